"""Which addresses may be asked: http and https, on the public network or one that is allowed.

A name is resolved once and everything that it resolves to is checked; the connection is made to
what was checked (`beatlake.sound.asking`), so that a name cannot turn into another network between
the look and the connection.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from beatlake.sound.outcomes import NotFetchedError

Network = IPv4Network | IPv6Network
#: A family and an address as sockets take them.
Place = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]

_PORTS = {"http": 80, "https": 443}
#: A longer one is no address of a file, and a pattern would take long over it.
_LONGEST = 8192
_HOST = re.compile(r"[0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_.])?|[0-9A-Fa-f:.]+")
#: Special networks of the registries of RFC 6890 that `ipaddress` takes for public, in some of the
#: versions of Python at least: translation (RFC 6052, RFC 8215), relays (RFC 7526), documentation
#: (RFC 9637), segment routing (RFC 9602) and discarded packets (RFC 9780).
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "100:0:0:1::/64",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)
#: The network whose last 32 bits are an IPv4 address that a gateway makes of it (RFC 6052).
_TRANSLATED = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Target:
    """Where one request goes: `path` with its query, `host` without brackets."""

    scheme: str
    host: str
    port: int
    path: str


def target(address: str) -> Target:
    """An address taken apart.

    Raises:
        NotFetchedError: ``refused``, it is none that may be asked.

    >>> target("https://p.scdn.co/mp3-preview/ab?cid=cd")
    Target(scheme='https', host='p.scdn.co', port=443, path='/mp3-preview/ab?cid=cd')
    >>> target("file:///etc/passwd")
    Traceback (most recent call last):
    beatlake.sound.outcomes.NotFetchedError: Only http and https addresses are asked.
    """
    if not _may_be_one(address):
        raise _refusal("The address is not one: it is too long or holds characters that none has.")
    try:
        parts = parse_url(address)
    except LocationParseError:
        raise _refusal("The address is not one.") from None
    if parts.scheme not in _PORTS:
        raise _refusal("Only http and https addresses are asked.")
    if parts.auth is not None:
        raise _refusal("The address holds a user or password.")
    host = (parts.host or "").removeprefix("[").removesuffix("]")
    if not _HOST.fullmatch(host):
        raise _refusal("The address names no host that can be asked.")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    if port < 1024 and port not in _PORTS.values():
        raise _refusal(f"Port {port} belongs to another service than the web.", host)
    return Target(parts.scheme, host, port, parts.request_uri)


def followed(at: Target, location: str) -> Target:
    """Where a redirect leads.

    Raises:
        NotFetchedError: ``refused``, it is no address that may be asked, or gives up encryption.
    """
    host = f"[{at.host}]" if ":" in at.host else at.host
    if not _may_be_one(location):
        raise _refusal(f"{at.host} leads to an address that is none.", at.host)
    try:
        to = target(urljoin(f"{at.scheme}://{host}:{at.port}{at.path}", location))
    except ValueError:
        raise _refusal(f"{at.host} leads to an address that is none.", at.host) from None
    except NotFetchedError as error:
        raise _refusal(f"{at.host} leads on. {error.reason}", at.host) from None
    if at.scheme == "https" and to.scheme == "http":
        raise _refusal(f"{at.host} leads from https to http.", at.host)
    return to


def resolved(to: Target, allowed: Iterable[Network]) -> list[Place]:
    """What a target's host resolves to, in the system's order.

    Raises:
        NotFetchedError: ``refused``, a place of it is in no network that may be asked; ``failed``,
            there is none.
    """
    try:
        answers = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        reason = f"The name {to.host} cannot be resolved."
        raise NotFetchedError("failed", reason, host=to.host, retry=True) from None
    places: list[Place] = [(family, place) for family, *_, place in answers]  # type: ignore[misc]
    networks = tuple(allowed)
    for _, place in places:
        what = closed(ipaddress.ip_address(place[0]), networks)
        if what is not None:
            raise _refusal(f"{to.host} is in a network that is not asked: {what}.", to.host)
    return places


def closed(address: IPv4Address | IPv6Address, allowed: Iterable[Network] = ()) -> str | None:
    """Why an address is not asked, or None where it is.

    >>> closed(ipaddress.ip_address("169.254.169.254")), closed(ipaddress.ip_address("8.8.8.8"))
    ('link-local', None)
    >>> closed(ipaddress.ip_address("::ffff:10.0.0.1"))
    'private'
    >>> closed(ipaddress.ip_address("10.0.0.1"), [ipaddress.ip_network("10.0.0.0/24")])
    """
    for within in _within(address):
        if any(within in network for network in allowed):
            continue
        if what := _special(within):
            return what
    return None


def _may_be_one(address: str) -> bool:
    # Parsers disagree on a backslash, and drop what cannot be seen.
    return (
        len(address) <= _LONGEST
        and address.isprintable()
        and not any(char.isspace() or char == "\\" for char in address)
    )


def _within(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, or those that reach the same as it or that it leads to by a tunnel."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _TRANSLATED:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    return [address, *(address.teredo or ())]


def _special(address: IPv4Address | IPv6Address) -> str | None:
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "private": address.is_private,
        "reserved": address.is_reserved or not address.is_global,
        "special": any(address in network for network in _SPECIAL),
    }
    return next((name for name, holds in kinds.items() if holds), None)


def _refusal(reason: str, host: str | None = None) -> NotFetchedError:
    return NotFetchedError("refused", reason, host=host)

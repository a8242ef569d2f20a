"""What is asked is on the public network, or on one that was named; nothing leads elsewhere."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from audio_files import tone
from file_server import FileServer, serving, status, whole
from quick_settings import one, told

from beatlake.sound.addresses import Target, closed, followed, target
from beatlake.sound.cache import Cache
from beatlake.sound.fetching import fetch
from beatlake.sound.outcomes import NotFetchedError

MP3 = tone("MP3")

#: The blocks of IANA's registries of special-purpose addresses (RFC 6890 and its updates) that are
#: not globally reachable, and those of multicast (RFC 5771, RFC 4291).
SPECIAL = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4
    240.0.0.0/4 255.255.255.255/32
    ::1/128 ::/128 64:ff9b:1::/48 100::/64 2001:2::/48 2001:db8::/32 3fff::/20 5f00::/16 fc00::/7
    fe80::/10 ff00::/8
""".split()


@pytest.fixture
def servers() -> Iterator[tuple[FileServer, FileServer]]:
    """One that may be asked, and one on another address of this machine that may not."""
    with ExitStack() as stack:
        pair = tuple(stack.enter_context(serving(f"127.0.0.{n}")) for n in (1, 2))
        yield pair  # type: ignore[misc]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.mark.parametrize("block", SPECIAL)
def test_special_networks_are_closed_from_end_to_end(block: str) -> None:
    network = ipaddress.ip_network(block)
    for inside in (network[0], network[-1]):
        assert closed(inside) is not None
        assert closed(inside, [network]) is None
        if inside.version == 4:
            for disguise in (
                f"::ffff:{inside}",
                f"64:ff9b::{inside}",
                ipaddress.IPv6Address((0x2002 << 112) | (int(inside) << 80)),
            ):
                assert closed(ipaddress.ip_address(disguise)) is not None


@pytest.mark.parametrize(
    "public",
    [
        "8.8.8.8",
        "151.101.1.1",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_public_addresses_are_open(public: str) -> None:
    assert closed(ipaddress.ip_address(public)) is None


@pytest.mark.parametrize(
    "address",
    [
        "", " ", "p.invalid/a", "//p.invalid/a", "file:///etc/passwd", "ftp://p.invalid/a",
        "data:audio/mpeg;base64,AAAA", "javascript:alert(1)", "gopher://p.invalid", "http://",
        "http:///a", "http:a", "https://me@p.invalid/a", "https://me:pw@p.invalid/a",
        "https://:@p.invalid/a", "http://p.invalid\\@127.0.0.1/", "http://p.invalid/a b",
        "http://p.invalid/a\r\nX: 1", "http://p.invalid\x00/", "http://p.invalid:0/",
        "http://p.invalid:22/", "http://p.invalid:99999/", "http://p.invalid:-1/",
        "http://[::1/", "http://[fe80::1%25eth0]/", "http://a%00b/", "http://a,b/", "http://-a/",
        "http://p.invalid/" + "a" * 10_000, "http://" + "a." * 5_000 + "co/", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_file_is_refused(address: str, cache: Cache) -> None:
    fetched = one(address, cache)
    assert (fetched.outcome, fetched.status) == ("refused", None)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "localhost",
     "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]",
     "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "10.0.0.1", "224.0.0.1"],
)  # fmt: skip
def test_this_machine_is_not_asked_by_any_name(
    servers: tuple[FileServer, FileServer], cache: Cache, host: str
) -> None:
    server, _ = servers
    server.at("/a", whole(MP3))
    address = server.base.replace("127.0.0.1", host) + "/a"
    fetched = one(address, cache, networks=[])
    assert (fetched.outcome, fetched.status) == ("refused", None)
    assert server.asked == []


def test_a_network_that_is_named_is_asked_and_no_other(
    servers: tuple[FileServer, FileServer], cache: Cache
) -> None:
    for server in servers:
        server.at("/a", whole(MP3))
    mine, other = (server.base + "/a" for server in servers)
    mapped = mine.replace("127.0.0.1", "[::ffff:127.0.0.1]")
    outcomes = fetch([mine, other, mapped], told(networks=["127.0.0.1/32"]), cache)
    assert [fetched.outcome for fetched in outcomes] == ["ok", "refused", "ok"]
    assert servers[1].asked == []


def test_redirects_are_followed_as_far_as_they_may_lead(
    servers: tuple[FileServer, FileServer], cache: Cache
) -> None:
    server, other = servers
    other.at("/a", whole(MP3))
    server.at("/file", whole(MP3))
    codes = (301, 302, 303, 307, 308)
    for n, code in enumerate(codes):
        to = ("/", "./", "", server.base + "/", "//" + server.base.removeprefix("http://") + "/")[n]
        server.at(f"/{n + 1}", status(code, Location=f"{to}{n or 'file'}"))
    assert one(server.base + "/5", cache, redirects=5).outcome == "ok"
    fetched = one(server.base + "/5?again", cache, redirects=4)
    assert (fetched.outcome, server.times("/1"), server.times("/file")) == ("failed", 2, 1)


@pytest.mark.parametrize(
    "location",
    ["OTHER/a", "file:///etc/passwd", "ftp://p.invalid/a", "http://[::1]/", "http://[",
     "http://me:pw@p.invalid/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/",
     "http://127.0.0.1:25/", "//0.0.0.0/", "\x01"],
)  # fmt: skip
def test_redirects_lead_to_nothing_that_is_not_asked(
    servers: tuple[FileServer, FileServer], cache: Cache, location: str
) -> None:
    server, other = servers
    other.at("/a", whole(MP3))
    address = server.at("/b", status(302, Location=location.replace("OTHER", other.base)))
    fetched = one(address, cache)
    assert fetched.outcome == "refused"
    assert (len(server.asked), other.asked) == (1, [])
    assert "pw" not in str(fetched.reason)


def test_a_ring_of_redirects_ends(servers: tuple[FileServer, FileServer], cache: Cache) -> None:
    server, _ = servers
    server.at("/a", status(302, Location="/b"))
    server.at("/b", status(302, Location="/a"))
    assert one(server.base + "/a", cache, redirects=3).outcome == "failed"
    assert len(server.asked) == 4


def test_encryption_is_not_given_up() -> None:
    at = Target("https", "p.scdn.co", 443, "/a")
    assert followed(at, "/b") == Target("https", "p.scdn.co", 443, "/b")
    with pytest.raises(NotFetchedError, match="https to http"):
        followed(at, "http://p.scdn.co/a")
    assert followed(Target("http", "::1", 80, "/a/b"), "c").host == "::1"
    assert target("HTTP://P.SCDN.CO/A").host == "p.scdn.co"


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Give one answer after the other for names of `.test`; gives the names that were asked."""
    real, asked = socket.getaddrinfo, list[str]()

    def look_up(host: str, port: int, *args: object, **kwargs: object) -> object:
        if not host.endswith(".test"):
            return real(host, port, *args, **kwargs)  # type: ignore[arg-type]
        asked.append(host)
        places = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port)) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_a_name_cannot_turn_between_the_look_and_the_connection(
    servers: tuple[FileServer, FileServer], cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = servers
    port = int(server.base.rpartition(":")[2])
    with serving("127.0.0.2", port=port) as other:
        for each in (server, other):
            each.at("/a", whole(MP3))
        asked = resolving(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
        assert one(f"http://turning.test:{port}/a", cache).outcome == "ok"
        assert asked == ["turning.test"]
        assert server.asked[0].headers["Host"] == f"turning.test:{port}"
        assert one(f"http://turning.test:{port}/a?2", cache).outcome == "refused"
        assert other.asked == []


def test_a_name_that_is_partly_private_is_not_asked(
    servers: tuple[FileServer, FileServer], cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = servers
    server.at("/a", whole(MP3))
    port = server.base.rpartition(":")[2]
    resolving(monkeypatch, ["127.0.0.1", "10.0.0.1"])
    assert one(f"http://partly.test:{port}/a", cache).outcome == "refused"
    assert server.asked == []


def test_the_next_place_of_a_name_is_tried(
    servers: tuple[FileServer, FileServer], cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = servers
    server.at("/a", whole(MP3))
    port = server.base.rpartition(":")[2]
    resolving(monkeypatch, ["127.0.0.3", "127.0.0.1"])
    fetched = one(f"http://two.test:{port}/a", cache, networks=["127.0.0.0/8"], retries=0)
    assert fetched.outcome == "ok"


def test_proxies_of_the_environment_are_not_used(
    servers: tuple[FileServer, FileServer], cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = servers
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.base)
    assert one(server.at("/a", whole(MP3)), cache).outcome == "ok"
    assert proxy.asked == []

"""What the answers of servers say: where they lead, what is wrong, and of what type a file is."""

from __future__ import annotations

import re
from http import HTTPStatus

from urllib3.exceptions import InvalidHeader
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from beatlake.sound import kinds
from beatlake.sound.addresses import Target, followed
from beatlake.sound.outcomes import NotFetchedError, Outcome

_GONE = {404, 410}
#: The server may give it later: it timed out, would not be hurried, or has trouble of its own.
_LATER = {408, 425, 429, *range(500, 600)}
#: A host that names a time further off is asked again after this, if anybody asks.
_LONGEST_REST_S = 24 * 3600.0
_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)


def led_to(at: Target, answer: BaseHTTPResponse) -> Target:
    """Where a redirect leads.

    Raises:
        NotFetchedError: it does not say, or may not lead there.
    """
    location = answer.headers.get("Location")
    if location is None:
        raise NotFetchedError(
            "failed",
            f"{at.host} leads on without saying where.",
            status=answer.status,
            host=at.host,
        )
    return followed(at, location)


def not_ok(at: Target, answer: BaseHTTPResponse) -> NotFetchedError:
    """What an answer that brings no file comes to, by its status."""
    status = answer.status
    outcome: Outcome = "failed"
    if status in _GONE:
        outcome = "gone"
    elif 400 <= status < 500 and status not in (408, 425):
        outcome = "refused"
    return NotFetchedError(
        outcome,
        f"{at.host} answered {_named(status)}.",
        status=status,
        host=at.host,
        type_said=type_said(answer),
        retry=status in _LATER,
        wait_s=_retry_after_s(answer),
        final=outcome in ("gone", "refused") and status not in _LATER,
    )


def damaged(at: Target, answer: BaseHTTPResponse, reason: str) -> NotFetchedError:
    """What an answer that brings no file of audio comes to."""
    return NotFetchedError(
        "damaged",
        reason,
        status=answer.status,
        host=at.host,
        type_said=type_said(answer),
        final=True,
    )


def found(at: Target, answer: BaseHTTPResponse, head: bytes) -> str:
    """The media type of what an answer brings, by its first bytes.

    Raises:
        NotFetchedError: ``damaged``, it is no audio.
    """
    if not head:
        raise damaged(at, answer, "It is empty.")
    media_type = kinds.found(head)
    if media_type is None:
        said = type_said(answer) or "no type"
        raise damaged(at, answer, f"Its first bytes are of no audio; the server says {said}.")
    return media_type


def type_said(answer: BaseHTTPResponse) -> str | None:
    """The media type of Content-Type, without parameters; None for what is none."""
    said = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return said if _TYPE.fullmatch(said) else None


def _retry_after_s(answer: BaseHTTPResponse) -> float:
    """How long a server wants to be left alone: 0 where it does not say it in a way that counts."""
    said = answer.headers.get("Retry-After", "")
    try:
        return min(Retry().parse_retry_after(said), _LONGEST_REST_S)
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


def _named(status: int) -> str:
    """A status with its name, as the standard has it and not as the server calls it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)

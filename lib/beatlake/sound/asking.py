"""Asking for one file once: redirects, limits, and the answer's bytes into the cache."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus

from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from beatlake import __version__
from beatlake.config import PreviewSettings
from beatlake.sound import answers, kinds
from beatlake.sound.addresses import Target, resolved, target
from beatlake.sound.cache import Cache
from beatlake.sound.connections import Line
from beatlake.sound.outcomes import NotFetchedError, Outcome
from beatlake.sound.pace import Pace, StoppedError

_REDIRECTS = {301, 302, 303, 307, 308}
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Got:
    """A file that is in the cache now."""

    status: int
    type_said: str | None
    type_found: str
    sha256: str
    bytes: int


class Clock:
    """The time that one file may take; it stands still while the file waits for its turn."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left_s(self) -> float:
        """What is left of it."""
        return self._ends - time.monotonic()

    @contextmanager
    def standing(self) -> Iterator[None]:
        """A block that does not count."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._ends += time.monotonic() - began


class Asker:
    """What all requests of a run share.

    Args:
        settings: limits, and who asks.
        cache: where files go.
        pace: turns of asking hosts.
    """

    def __init__(self, settings: PreviewSettings, cache: Cache, pace: Pace) -> None:
        self._settings = settings
        self._cache = cache
        self._pace = pace
        self._max_bytes = max_bytes(settings)
        self._headers = {
            "User-Agent": f"beatlake/{__version__} ({settings.contact})",
            "Accept": "audio/*, */*;q=0.1",
            # What comes packed all the same is not unpacked, and so no audio.
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        self._lock = threading.Lock()
        self._lines: set[Line] = set()
        self._given_up = False

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Certificates that the system trusts; reading them takes a moment."""
        return ssl.create_default_context()

    def give_up(self) -> None:
        """Cut what is under way."""
        with self._lock:
            self._given_up = True
            for line in self._lines:
                line.cut()

    def ask(self, address: str, clock: Clock) -> Got:
        """Get a file.

        Raises:
            NotFetchedError: there was none to get, for the reason that it names.
            StoppedError: the run was given up.
        """
        at = target(address)
        for _ in range(self._settings.redirects + 1):
            self._pace.check(at.host)
            places = resolved(at, self._settings.networks)
            with clock.standing():
                self._pace.turn(at.host)
            line = Line(
                at,
                places,
                connect_timeout_s=self._settings.connect_timeout_s,
                read_timeout_s=self._settings.read_timeout_s,
                left_s=clock.left_s(),
                tls=self._tls if at.scheme == "https" else None,
            )
            with self._registered(line), line:
                with self._troubles(at, line):
                    answer = line.get(at.path, self._headers)
                if answer.status not in _REDIRECTS:
                    got = self._taken(at, line, answer)
                    self._pace.judge(at.host, well=True)
                    return got
                at = answers.led_to(at, answer)
        raise NotFetchedError(
            "failed", f"It was led on more than {self._settings.redirects} times.", host=at.host
        )

    @contextmanager
    def _registered(self, line: Line) -> Iterator[None]:
        with self._lock:
            if self._given_up:
                raise StoppedError
            self._lines.add(line)
        try:
            yield
        finally:
            with self._lock:
                self._lines.discard(line)

    def _taken(self, at: Target, line: Line, answer: BaseHTTPResponse) -> Got:
        """The file that an answer brings, in the cache."""
        if answer.status != HTTPStatus.OK:
            raise answers.not_ok(at, answer)
        if (answer.length_remaining or 0) > self._max_bytes:
            raise answers.damaged(
                at, answer, f"Its {answer.length_remaining:,} bytes are more than previews.max_mb."
            )
        with self._cache.incoming() as incoming:
            head, found = b"", None
            for chunk in self._chunks(at, line, answer):
                incoming.write(chunk)
                if incoming.bytes > self._max_bytes:
                    raise answers.damaged(at, answer, "It is larger than previews.max_mb.")
                if found is None:
                    head += chunk
                    if len(head) >= kinds.HEAD_BYTES:
                        found = answers.found(at, answer, head)
            found = found or answers.found(at, answer, head)
        return Got(answer.status, answers.type_said(answer), found, incoming.sha256, incoming.bytes)

    def _chunks(self, at: Target, line: Line, answer: BaseHTTPResponse) -> Iterator[bytes]:
        """The body as it comes."""
        while True:
            with self._troubles(at, line, answer):
                chunk = answer.read1(_CHUNK_BYTES)
                if line.is_cut:
                    # Without a length, the end of the connection is the end of the body.
                    raise TimeoutError
            if not chunk:
                return
            yield chunk

    @contextmanager
    def _troubles(
        self, at: Target, line: Line, answer: BaseHTTPResponse | None = None
    ) -> Iterator[None]:
        """Around what a server or the network can spoil; nothing else belongs here."""
        try:
            yield
        except (HTTPError, http.client.HTTPException, OSError) as error:
            if self._given_up:
                raise StoppedError from error
            raise self._trouble(at, line, answer, error) from error

    def _trouble(
        self, at: Target, line: Line, answer: BaseHTTPResponse | None, error: Exception
    ) -> NotFetchedError:
        outcome: Outcome = "failed"
        retry = True
        if line.is_cut:
            reason, retry = f"{at.host} took longer than previews.total_s.", False
        elif not line.is_connected:
            reason = f"{at.host} gave no connection ({type(error).__name__})."
        elif isinstance(error, (TimeoutError, ReadTimeoutError)):
            reason = f"{at.host} stalled: nothing came for {self._settings.read_timeout_s:g} s."
        elif isinstance(error, ssl.SSLCertVerificationError):
            reason, retry = f"The certificate of {at.host} does not hold.", False
        elif answer is not None:
            outcome, reason = "damaged", "It ended before its end."
        else:
            reason = f"{at.host} gave no answer that can be read ({type(error).__name__})."
        return NotFetchedError(
            outcome,
            reason,
            status=None if answer is None else answer.status,
            host=at.host,
            type_said=None if answer is None else answers.type_said(answer),
            retry=retry,
        )


def max_bytes(settings: PreviewSettings) -> int:
    """The largest file that is taken."""
    return int(settings.max_mb * (1 << 20))

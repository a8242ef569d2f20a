"""When a host may be asked: so many times a second, and not before the time that it has named.

The time is kept in a small file per host, under a lock of the system, so that the rate holds for
all runs of a machine that share a cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beatlake.sound.outcomes import NotFetchedError

_TIME = struct.Struct("<d")


class StoppedError(Exception):
    """The run was given up while a request waited for its turn."""


class Pace:
    """Turns of asking hosts.

    Args:
        folder: where the files are.
        per_s: how often a second a host may be asked.
        longest_wait_s: how long is waited for a host that wants to be left alone.
        stopped: set when the run is given up.
    """

    def __init__(
        self, folder: Path, per_s: float, longest_wait_s: float, stopped: threading.Event
    ) -> None:
        self._folder = folder
        self._between_s = 1 / per_s
        self._longest_wait_s = longest_wait_s
        self._stopped = stopped

    def turn(self, host: str) -> None:
        """Wait until the host may be asked, and take the turn.

        Raises:
            NotFetchedError: ``refused``, the host wants to be left alone for longer than is waited.
            StoppedError: the run was given up.
        """
        while (wait_s := self._take(host)) > 0:
            if wait_s > self._longest_wait_s + self._between_s:
                reason = f"{host} wants to be left alone for {wait_s:,.0f} s more."
                raise NotFetchedError("refused", reason, host=host)
            self.wait(wait_s)

    def rest(self, host: str, seconds: float) -> None:
        """Leave a host alone for some time."""
        with self._next(host) as file:
            _write(file, max(_read(file), time.time() + seconds))

    def wait(self, seconds: float) -> None:
        """Wait.

        Raises:
            StoppedError: the run was given up.
        """
        if self._stopped.wait(seconds):
            raise StoppedError

    def _take(self, host: str) -> float:
        """Take the turn if it has come, else say how long it is until then."""
        with self._next(host) as file:
            # The clock of the wall is the only one that processes share through a restart.
            now = time.time()
            wait_s = _read(file) - now
            if wait_s <= 0:
                _write(file, now + self._between_s)
            return wait_s

    @contextmanager
    def _next(self, host: str) -> Iterator[int]:
        """The file with the time from which the host may be asked, locked."""
        name = hashlib.sha256(host.encode()).hexdigest()
        file = os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _read(file: int) -> float:
    kept = os.pread(file, _TIME.size, 0)
    moment: float = _TIME.unpack(kept)[0] if len(kept) == _TIME.size else 0.0
    return moment


def _write(file: int, moment: float) -> None:
    os.pwrite(file, _TIME.pack(moment), 0)

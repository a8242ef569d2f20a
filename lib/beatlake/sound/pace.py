"""When a host may be asked.

So many times a second, not before the time that it has named, and no more in this run once it has
failed too often in a row. When it was asked last, and until when it wants to be left alone, is kept
in a small file per host, under a lock of the system, so that the rate holds for all runs of a
machine that share a cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beatlake.config import PreviewSettings
from beatlake.sound.outcomes import NotFetchedError

#: When the host was asked last, and until when it wants to be left alone.
_TIMES = struct.Struct("<dd")


class StoppedError(Exception):
    """The run was given up while a request waited for its turn."""


class Pace:
    """Turns of asking hosts.

    Args:
        folder: where the files are.
        settings: how often a host may be asked, how long is waited for one that wants to be left
            alone, and how often it may fail.
        stopped: set when the run is given up.
    """

    def __init__(self, folder: Path, settings: PreviewSettings, stopped: threading.Event) -> None:
        self._folder = folder
        self._settings = settings
        self._between_s = 1 / settings.requests_per_s
        self._stopped = stopped
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()

    def judge(self, host: str, *, well: bool) -> None:
        """Note that a host has given what it had to give for a file, or has failed to."""
        with self._lock:
            self._failures[host] = 0 if well else self._failures[host] + 1

    def check(self, host: str) -> None:
        """Whether the host may still be asked in this run.

        Raises:
            NotFetchedError: ``failed``, it has failed too often in a row.
        """
        if self._failures[host] >= self._settings.give_up_after:
            reason = f"{host} has failed {self._failures[host]} times in a row and is left alone."
            raise NotFetchedError("failed", reason)

    def turn(self, host: str) -> None:
        """Wait until the host may be asked, and take the turn.

        Raises:
            NotFetchedError: ``refused``, the host wants to be left alone for longer than is waited.
            StoppedError: the run was given up.
        """
        while (wait_s := self._take(host)) > 0:
            if wait_s > self._settings.longest_wait_s + self._between_s:
                reason = f"{host} wants to be left alone for {wait_s:,.0f} s more."
                raise NotFetchedError("refused", reason, host=host)
            self.wait(wait_s)

    def rest(self, host: str, seconds: float) -> None:
        """Leave a host alone for some time."""
        with self._times(host) as file:
            asked, until = _read(file)
            _write(file, asked, max(until, time.time() + seconds))

    def wait(self, seconds: float) -> None:
        """Wait.

        Raises:
            StoppedError: the run was given up.
        """
        if self._stopped.wait(seconds):
            raise StoppedError

    def _take(self, host: str) -> float:
        """Take the turn if it has come, else say how long it is until then."""
        with self._times(host) as file:
            # The clock of the wall is the only one that processes share through a restart.
            now = time.time()
            asked, until = _read(file)
            if asked > now:
                # It was put back since, by who knows how much.
                asked = 0.0
            wait_s = max(asked + self._between_s, until) - now
            if wait_s <= 0:
                _write(file, now, until)
            return wait_s

    @contextmanager
    def _times(self, host: str) -> Iterator[int]:
        """The file with the times of a host, locked."""
        name = hashlib.sha256(host.encode()).hexdigest()
        file = os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _read(file: int) -> tuple[float, float]:
    kept = os.pread(file, _TIMES.size, 0)
    # A new file is empty.
    asked, until = _TIMES.unpack(kept.ljust(_TIMES.size, b"\0"))
    return asked, until


def _write(file: int, asked: float, until: float) -> None:
    os.pwrite(file, _TIMES.pack(asked, until), 0)

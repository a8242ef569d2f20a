"""Fetching the files of many addresses, politely, into a cache that later runs go on from.

Nothing is asked unless ``previews.fetch`` is on and ``previews.contact`` says who asks. A host gets
``requests_per_s`` requests a second at most, redirects and retries among them. After trouble that
may pass (`beatlake.sound.outcomes`) a file is asked for again, after twice the time before each
time, or after what the host says in Retry-After; then the host is left alone by all workers. One
that fails time after time is left alone for the rest of the run. What was found out is kept as soon
as it is, so a run that is killed loses what was under way only.

There is no look at robots.txt: addresses come from the data, and no links are followed.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from http import HTTPStatus

from beatlake.config import ConfigError, PreviewSettings
from beatlake.sound.asking import Asker, Clock, Got, max_bytes
from beatlake.sound.cache import Cache
from beatlake.sound.outcomes import Fetched, NotFetchedError
from beatlake.sound.pace import Pace

#: How far work runs ahead of the outcome that is due, in files per worker: one slow file does not
#: keep the others waiting, and an endless iterable is not read to its end.
_AHEAD = 16
_THREADS = "beatlake-preview"


def fetch(addresses: Iterable[str], settings: PreviewSettings, cache: Cache) -> Iterator[Fetched]:
    """What comes of each address, in the order of the addresses.

    Args:
        addresses: distinct ones, read as the work goes on.
        settings: whether, how fast and how long anything is asked.
        cache: where files are kept, and where earlier runs have left theirs.

    Raises:
        ConfigError: at once, when fetching is off or nobody says who asks.
    """
    if not settings.fetch:
        raise ConfigError(
            "Nothing is fetched, since previews.fetch is off. Turn it on: --set previews.fetch=true"
            " --set previews.contact=YOUR_ADDRESS"
        )
    if settings.contact is None:
        raise ConfigError(
            "Servers are to know who asks them: --set previews.contact=YOUR_ADDRESS, an e-mail or"
            " web address."
        )
    return _fetched(addresses, settings, cache)


def _fetched(
    addresses: Iterable[str], settings: PreviewSettings, cache: Cache
) -> Iterator[Fetched]:
    worker = _Worker(settings, cache)
    ahead: deque[Future[Fetched]] = deque()
    with _without_addresses_in_logs(), ThreadPoolExecutor(settings.at_a_time, _THREADS) as pool:
        try:
            for address in addresses:
                ahead.append(pool.submit(worker.outcome, address))
                if len(ahead) >= _AHEAD * settings.at_a_time:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            worker.give_up()


class _Worker:
    """What one worker does with one address; all workers share one."""

    def __init__(self, settings: PreviewSettings, cache: Cache) -> None:
        self._settings = settings
        self._cache = cache
        self._stopped = threading.Event()
        self._pace = Pace(cache.hosts, settings, self._stopped)
        self._asker = Asker(settings, cache, self._pace)

    def give_up(self) -> None:
        self._stopped.set()
        self._asker.give_up()

    def outcome(self, address: str) -> Fetched:
        """What came of an address in an earlier run, where that stands, or comes of it now."""
        limit = max_bytes(self._settings)
        remembered = self._cache.remembered(address, limit)
        if remembered is not None:
            return remembered
        try:
            fetched, final = _ok(address, self._got(address)), True
        except NotFetchedError as error:
            fetched, final = _not_ok(address, error), error.final
            if error.host is not None:
                self._pace.judge(error.host, well=error.outcome != "failed")
        self._cache.remember(fetched, final=final, max_bytes=limit)
        return fetched

    def _got(self, address: str) -> Got:
        """The file, asked for as often as it is worth it."""
        clock = Clock(self._settings.total_s)
        for retry in itertools.count():
            try:
                return self._asker.ask(address, clock)
            except NotFetchedError as error:
                wait_s = self._wait_s(retry, error)
                hurried = error.wait_s > 0 or error.status == HTTPStatus.TOO_MANY_REQUESTS
                if error.retry and hurried and error.host is not None:
                    self._pace.rest(error.host, wait_s)
                longest_s = min(self._settings.longest_wait_s, clock.left_s())
                if not error.retry or retry == self._settings.retries or wait_s > longest_s:
                    raise
            self._pace.wait(wait_s)
        raise AssertionError("the loop ends with a file or an error")

    def _wait_s(self, retry: int, error: NotFetchedError) -> float:
        """The time before a retry: doubled each time, and spread, so that not all come at once."""
        doubled = self._settings.backoff_s * 2.0**retry * random.uniform(0.5, 1)
        return max(min(doubled, self._settings.longest_wait_s), error.wait_s)


def _ok(address: str, got: Got) -> Fetched:
    return Fetched(
        address=address,
        outcome="ok",
        reason=None,
        status=got.status,
        type_said=got.type_said,
        type_found=got.type_found,
        sha256=got.sha256,
        bytes=got.bytes,
        at=_now(),
    )


def _not_ok(address: str, error: NotFetchedError) -> Fetched:
    return Fetched(
        address=address,
        outcome=error.outcome,
        reason=error.reason,
        status=error.status,
        type_said=error.type_said,
        type_found=None,
        sha256=None,
        bytes=None,
        at=_now(),
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)


@contextmanager
def _without_addresses_in_logs() -> Iterator[None]:
    """urllib3 logs the whole address where the headers of an answer cannot be parsed."""
    logger = logging.getLogger("urllib3.connection")

    def keep(record: logging.LogRecord) -> bool:
        return not (record.threadName or "").startswith(_THREADS)

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)

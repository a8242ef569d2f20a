"""Servers are asked as fast as they allow, and none can hold a worker for longer than is said."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from audio_files import tone
from file_server import Answer, FileServer, Handler, endless, serving, silent, status, then, whole
from quick_settings import one, stored, told

from beatlake.sound import asking, pace
from beatlake.sound.cache import Cache
from beatlake.sound.fetching import fetch
from beatlake.sound.pace import Pace, StoppedError

MP3 = tone("MP3")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as started:
        yield started


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_the_waits_before_retries_double(server: FileServer, cache: Cache) -> None:
    one(server.at("/a", status(500)), cache, retries=3, backoff_s=0.08)
    began = [asked.began for asked in server.asked]
    gaps = [later - earlier for earlier, later in pairwise(began)]
    # The jitter takes up to half of each.
    assert all(gap > least for gap, least in zip(gaps, [0.038, 0.078, 0.158], strict=True))


def test_retry_after_is_heeded(server: FileServer, cache: Cache) -> None:
    address = server.at("/a", then(status(429, Retry_After=1), whole(MP3)))
    assert one(address, cache).outcome == "ok"
    first, second = server.asked
    assert 0.99 < second.began - first.began < 30
    address = server.at("/b", then(status(429, Retry_After=1), whole(MP3)))
    assert one(address, cache, longest_wait_s=0.5).outcome == "refused"


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(lambda: 3600, id="seconds"),
        pytest.param(
            lambda: format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True),
            id="date",
        ),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_a_host_that_asks_for_an_hour_is_left_alone(
    server: FileServer, cache: Cache, code: int, after: Callable[[], object]
) -> None:
    addresses = [server.at("/a", status(code, Retry_After=after()))]
    addresses += [server.at(f"/{n}", whole(MP3)) for n in range(3)]
    began = time.monotonic()
    first, *others = fetch(addresses, told(at_a_time=1), cache)
    assert (first.outcome, first.status) == ("refused" if code == 429 else "failed", code)
    # The next run leaves it alone as well.
    others += fetch(addresses, told(), cache)
    assert {(fetched.outcome, fetched.status) for fetched in others} == {("refused", None)}
    assert time.monotonic() - began < 30
    assert len(server.asked) == 1


@pytest.mark.parametrize("after", ["-5", "soon", "1e9", "Thu, 99 Foo 2024 00:00:00 GMT", ""])
def test_a_retry_after_that_makes_no_sense_is_none(
    server: FileServer, cache: Cache, after: str
) -> None:
    address = server.at("/a", then(status(503, Retry_After=after), whole(MP3)))
    assert one(address, cache).outcome == "ok"


def test_429_without_end_is_refused_and_asked_again_later(server: FileServer, cache: Cache) -> None:
    address = server.at("/a", status(429))
    fetched = one(address, cache, retries=2)
    assert (fetched.outcome, fetched.status, server.times("/a")) == ("refused", 429, 3)
    server.at("/a", whole(MP3))
    assert one(address, cache).outcome == "ok"


def stalled_half_way(handler: Handler, before: int) -> None:
    handler.head(200, Content_Type="audio/mpeg", Content_Length=len(MP3))
    handler.wfile.write(MP3[: len(MP3) // 2])
    silent(handler, before)


def head_in_drops(handler: Handler, before: int) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.known.over.wait(0.02):
        handler.wfile.write(b"x")


def test_waiting_for_its_turn_takes_no_time_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: now[0]))
    clock = asking.Clock(10)
    now[0] += 4
    with clock.standing():
        now[0] += 30
    now[0] += 1
    assert clock.left_s() == 5


@pytest.mark.parametrize(
    "answer", [silent, stalled_half_way, head_in_drops, endless(b"O", 0.02), endless(MP3, 0.02)]
)
def test_no_server_can_hold_a_worker(server: FileServer, cache: Cache, answer: Answer) -> None:
    began = time.monotonic()
    fetched = one(server.at("/a", answer), cache, total_s=0.4, max_mb=1000)
    assert 0.4 <= time.monotonic() - began < 10
    assert fetched.outcome == "failed"
    assert stored(cache) == []


def test_a_stall_is_over_after_the_time_without_a_byte(server: FileServer, cache: Cache) -> None:
    address = server.at("/a", then(stalled_half_way, silent, whole(MP3)))
    assert one(address, cache, retries=10, read_timeout_s=0.2).outcome == "ok"
    first, second, third, *_ = (asked.began for asked in server.asked)
    assert 0.2 < second - first < 10
    assert 0.2 < third - second < 10


def test_a_server_that_takes_no_connection_is_let_go(cache: Cache) -> None:
    with socket.socket() as listening, ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            # Nobody takes them, so there is no room for another.
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/a"
        began = time.monotonic()
        fetched = one(address, cache, connect_timeout_s=0.2, retries=0)
        assert 0.2 <= time.monotonic() - began < 10
    assert (fetched.outcome, fetched.status) == ("failed", None)


def test_a_greeting_that_does_not_come_is_waited_for_as_long_as_a_byte(cache: Cache) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"https://127.0.0.1:{listening.getsockname()[1]}/a"
        began = time.monotonic()
        fetched = one(address, cache, read_timeout_s=0.2, retries=0)
        assert 0.2 <= time.monotonic() - began < 10
    assert (fetched.outcome, fetched.status) == ("failed", None)


def test_a_greeting_in_drops_holds_no_worker(cache: Cache) -> None:
    over = threading.Event()

    def greet(listening: socket.socket) -> None:
        taken, _ = listening.accept()
        with taken, suppress(OSError):
            # The beginning of a record of 16 KiB, which TLS waits for.
            taken.sendall(b"\x16\x03\x03\x40\x00")
            while not over.wait(0.02):
                taken.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=greet, args=(listening,))
        thread.start()
        began = time.monotonic()
        fetched = one(f"https://127.0.0.1:{listening.getsockname()[1]}/a", cache, total_s=0.4)
        assert 0.4 <= time.monotonic() - began < 10
        over.set()
        thread.join()
    assert (fetched.outcome, fetched.status) == ("failed", None)


def test_a_server_that_speaks_no_tls_is_let_go(server: FileServer, cache: Cache) -> None:
    address = server.base.replace("http", "https") + "/a"
    fetched = one(address, cache)
    assert (fetched.outcome, fetched.status) == ("failed", None)


def test_a_rate_holds_by_the_clock_of_the_server(server: FileServer, cache: Cache) -> None:
    addresses = [server.at(f"/{n}", whole(MP3)) for n in range(16)]
    settings = told(requests_per_s=40, at_a_time=8)
    assert {fetched.outcome for fetched in fetch(addresses, settings, cache)} == {"ok"}
    began = sorted(asked.began for asked in server.asked)
    assert len(began) == 16
    # 15 spaces of 25 ms; the first request may have been on its way for a while.
    assert began[-1] - began[0] > 0.2


def test_a_rate_that_was_slower_before_does_not_stay(server: FileServer, cache: Cache) -> None:
    began = time.monotonic()
    for n, rate in enumerate((0.001, 1000)):
        fetched = one(server.at(f"/{n}", whole(MP3)), cache, requests_per_s=rate)
        assert fetched.outcome == "ok"
    assert time.monotonic() - began < 30


def test_each_host_has_a_rate_of_its_own(server: FileServer, cache: Cache) -> None:
    with serving("127.0.0.2") as other:
        addresses = [each.at("/a", whole(MP3)) for each in (server, other)]
        settings = told(requests_per_s=0.02, networks=["127.0.0.0/8"], at_a_time=1)
        began = time.monotonic()
        assert {fetched.outcome for fetched in fetch(addresses, settings, cache)} == {"ok"}
        assert time.monotonic() - began < 40


def test_so_many_are_fetched_at_a_time(server: FileServer, cache: Cache) -> None:
    three, under_way, seen = threading.Barrier(3), set[str](), set[int]()

    def waiting(handler: Handler, before: int) -> None:
        under_way.add(handler.path)
        three.wait(50)
        seen.add(len(under_way))
        three.wait(50)
        under_way.discard(handler.path)
        whole(MP3)(handler, before)

    addresses = [server.at(f"/{n}", waiting) for n in range(9)]
    settings = told(at_a_time=3, read_timeout_s=100, total_s=100)
    assert {fetched.outcome for fetched in fetch(addresses, settings, cache)} == {"ok"}
    assert seen == {3}


def test_a_host_that_always_fails_is_left_alone(server: FileServer, cache: Cache) -> None:
    addresses = [server.at(f"/{n}", status(500)) for n in range(9)]
    settings = told(at_a_time=1, retries=0, give_up_after=3)
    assert {fetched.outcome for fetched in fetch(addresses, settings, cache)} == {"failed"}
    assert len(server.asked) == 3
    # In a row: what it answers in between counts.
    server.at("/2", whole(MP3))
    server.at("/5", status(404))
    server.asked.clear()
    list(fetch(addresses, settings, cache))
    assert len(server.asked) == 9


def test_a_turn_is_taken_once(cache: Cache) -> None:
    workers, hosts = 8, 30
    stopped = threading.Event()
    # Who would have to wait is stopped at once.
    stopped.set()
    settings = told(requests_per_s=0.01)
    together = threading.Barrier(workers)
    taken: list[str] = []

    def take() -> None:
        turns = Pace(cache.hosts, settings, stopped)
        for n in range(hosts):
            together.wait(60)
            with suppress(StoppedError):
                turns.turn(f"{n}.test")
                taken.append(f"{n}.test")

    threads = [threading.Thread(target=take) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"{n}.test" for n in range(hosts))


def test_a_clock_that_is_put_back_keeps_nobody(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr(pace, "time", SimpleNamespace(time=lambda: now[0]))
    stopped = threading.Event()
    stopped.set()
    turns = Pace(cache.hosts, told(requests_per_s=0.5), stopped)
    turns.turn("a.test")
    now[0] += 1.9
    with pytest.raises(StoppedError):
        turns.turn("a.test")
    now[0] += 0.2
    turns.turn("a.test")
    now[0] -= 86_400
    turns.turn("a.test")


@pytest.mark.parametrize(
    ("answer", "rate"),
    [pytest.param(silent, 1000, id="asking"), pytest.param(whole(MP3), 0.02, id="waiting")],
)
def test_an_iterator_that_is_closed_ends_at_once(
    server: FileServer, cache: Cache, answer: Answer, rate: float
) -> None:
    addresses = [server.at("/a", whole(MP3)), *(server.at(f"/{n}", answer) for n in range(50))]
    settings = told(read_timeout_s=100, total_s=100, at_a_time=4, requests_per_s=rate)
    outcomes = fetch(addresses[:1], settings, cache)
    assert next(outcomes).outcome == "ok"
    outcomes = fetch(addresses, settings, cache)
    assert next(outcomes).outcome == "ok"
    began = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 20
    assert len(server.asked) < 10

"""A run goes on where another was stopped, and two at a time do each other no harm."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from audio_files import tone
from file_server import FileServer, Handler, serving, status, whole
from quick_settings import stored, told

from beatlake.sound.cache import Cache
from beatlake.sound.fetching import fetch

#: Fetches the addresses of its arguments into the cache of the first.
PROGRAM = """
import sys
from pathlib import Path
from beatlake.config import PreviewSettings
from beatlake.sound.cache import Cache
from beatlake.sound.fetching import fetch
settings = PreviewSettings.model_validate_json(sys.argv[1])
for fetched in fetch(sys.argv[3:], settings, Cache(Path(sys.argv[2]))):
    print(fetched.outcome)
"""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as started:
        yield started


def files(server: FileServer, n: int) -> list[str]:
    """Addresses of files that differ."""
    return [server.at(f"/{i}", whole(tone("WAV", 200.0 + i, 0.05))) for i in range(n)]


def is_sound(cache: Cache) -> bool:
    """Whether every file there is the one that its name says."""
    return all(
        path == cache.path(hashlib.sha256(path.read_bytes()).hexdigest()) for path in stored(cache)
    )


def test_a_second_run_asks_for_what_is_missing(server: FileServer, tmp_path: Path) -> None:
    addresses = files(server, 6)
    cache = Cache(tmp_path)
    server.at("/4", status(500))
    first = list(fetch(addresses, told(retries=0), cache))
    assert [fetched.outcome for fetched in first].count("failed") == 1
    cache.path(str(first[0].sha256)).unlink()
    cache.path(str(first[1].sha256)).write_bytes(b"torn")
    server.at("/4", whole(tone("OGG")))
    server.asked.clear()
    second = list(fetch(addresses, told(), cache))
    assert {fetched.outcome for fetched in second} == {"ok"}
    assert server.counts() == {"/0": 1, "/1": 1, "/4": 1}
    assert second[2] == first[2]
    assert is_sound(cache)
    assert len(stored(cache)) == 6


def test_the_same_file_of_two_addresses_is_kept_once(server: FileServer, tmp_path: Path) -> None:
    addresses = [server.at(f"/{n}", whole(tone("MP3"))) for n in range(5)]
    cache = Cache(tmp_path)
    assert len({fetched.sha256 for fetched in fetch(addresses, told(), cache)}) == 1
    assert len(stored(cache)) == 1


def test_another_limit_asks_again_for_what_was_too_large(
    server: FileServer, tmp_path: Path
) -> None:
    [address] = files(server, 1)
    for limit, outcome, times in ((0.001, "damaged", 1), (0.001, "damaged", 1), (1, "ok", 2)):
        [fetched] = fetch([address], told(max_mb=limit), Cache(tmp_path))
        assert (fetched.outcome, server.times("/0")) == (outcome, times)


@pytest.mark.parametrize("text", [b"", b"{", b'{"outcome": "ok"}', b"\xff"])
def test_a_record_that_cannot_be_read_is_none(
    server: FileServer, tmp_path: Path, text: bytes
) -> None:
    addresses = files(server, 1)
    for times in (1, 2):
        [fetched] = fetch(addresses, told(), Cache(tmp_path))
        assert (fetched.outcome, server.times("/0")) == ("ok", times)
        [record] = (tmp_path / "records").rglob("*.json")
        record.write_bytes(text)


def test_a_hash_leads_nowhere_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for text in ("../../etc/passwd", "", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n"):
        with pytest.raises(ValueError, match="no SHA-256"):
            cache.path(text)
    assert cache.path("ab" * 32) == tmp_path / "ab" / ("ab" * 32)


def test_what_a_kill_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    Cache(tmp_path)
    old, new = tmp_path / "incoming" / "old", tmp_path / "incoming" / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))
    Cache(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_killed_run_loses_what_was_under_way_only(server: FileServer, tmp_path: Path) -> None:
    at_a_time, done = 3, 20
    addresses = files(server, 40)

    def half(handler: Handler, before: int) -> None:
        """Half a file, then nothing; all workers end up here."""
        body = tone("WAV", 100.0, 1.0)
        handler.head(200, Content_Type="audio/wav", Content_Length=len(body))
        handler.wfile.write(body[: len(body) // 2])
        handler.server.known.over.wait()

    for n in range(done, done + at_a_time):
        server.at(f"/{n}", half)
    settings = told(at_a_time=at_a_time, read_timeout_s=100, total_s=100)
    killed = program(settings.model_dump_json(), tmp_path, addresses)
    until = time.monotonic() + 60
    while len(under_way(tmp_path)) < at_a_time or len(server.asked) < done + at_a_time:
        assert time.monotonic() < until
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert server.counts() == {f"/{n}": 1 for n in range(done + at_a_time)}
    cache = Cache(tmp_path)
    left = under_way(tmp_path)
    assert len(left) == at_a_time

    addresses = files(server, 40)
    outcomes = list(fetch(addresses, told(), cache))
    assert {fetched.outcome for fetched in outcomes} == {"ok"}
    again = {f"/{n}": 2 for n in range(done, done + at_a_time)}
    assert server.counts() == {f"/{n}": 1 for n in range(40)} | again
    for path in left:
        path.unlink()
    assert is_sound(cache)
    assert len(stored(cache)) == 40


def test_two_runs_at_a_time_share_the_rate_and_the_cache(
    server: FileServer, tmp_path: Path
) -> None:
    addresses = files(server, 12)
    settings = told(requests_per_s=25, at_a_time=4).model_dump_json()
    runs = [program(settings, tmp_path, addresses), program(settings, tmp_path, addresses[::-1])]
    for run in runs:
        said, _ = run.communicate(timeout=120)
        assert (run.returncode, said.split()) == (0, ["ok"] * 12)
    began = sorted(asked.began for asked in server.asked)
    # What both have under way at the same time is asked for twice, the rest once.
    assert 12 <= len(began) <= 12 + 2 * 4
    # The first may have been on its way for a while.
    assert began[-1] - began[0] > (len(began) - 1) / 25 * 0.5
    cache = Cache(tmp_path)
    assert is_sound(cache)
    assert len(stored(cache)) == 12


def test_two_runs_of_a_process_write_the_same_files(server: FileServer, tmp_path: Path) -> None:
    addresses = files(server, 20)

    def run(_: int) -> list[str]:
        return [fetched.outcome for fetched in fetch(addresses, told(), Cache(tmp_path))]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(run, range(3))) == [["ok"] * 20] * 3
    assert is_sound(Cache(tmp_path))
    assert len(stored(Cache(tmp_path))) == 20


def under_way(cache: Path) -> list[Path]:
    """What is on its way into a cache, or was left there."""
    return list(cache.glob("incoming/*"))


def program(settings: str, cache: Path, addresses: list[str]) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, settings, str(cache), *addresses],
        stdout=subprocess.PIPE,
        text=True,
    )

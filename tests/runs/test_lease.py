"""One writer at a time: separate processes, stopped and woken at will, on one lake."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import deltalake
import pytest

from beatlake import cli, releases
from beatlake.errors import ConflictError
from beatlake.lake import Lake
from beatlake.releases import Release
from beatlake.runs import lease as leases
from beatlake.runs import publishing

EXPIRES_S = 1.0

#: A process that does as it is told, one line at a time, and answers with what came of it.
WRITER = """
import sys
from pathlib import Path
from beatlake.errors import ConflictError
from beatlake.commits import Stamp
from beatlake.lake import Lake
from beatlake.releases import Release
from beatlake.runs import lease, publishing
root, name = Path(sys.argv[1]), sys.argv[2]
held = None
for line in sys.stdin:
    command, _, number = line.strip().partition(" ")
    try:
        if command == "take":
            held = lease.take(Lake(root), name, float(number))
            publishing.catch_up(held.lake)
        elif command == "publish":
            release = Release(
                release=publishing.next_number(held.lake), kind="run", run_id=name, identity=name,
                published_at="2026-01-01T00:00:00+00:00", code_version="", inputs={}, absent=[],
                settings={}, tables={})
            publishing.publish(held, release, Stamp(name, "test", name, ""))
        elif command == "end":
            held.give_back()
        print("ok", flush=True)
    except ConflictError as error:
        print("conflict", error, flush=True)
"""


class Writer:
    """The process, from outside."""

    def __init__(self, lake: Lake, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(lake.root), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def does(self, command: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def sleep(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def writer(lake: Lake) -> Iterator[Callable[[str], Writer]]:
    made: list[Writer] = []

    def make(name: str) -> Writer:
        made.append(Writer(lake, name))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.wait()
        assert one.process.stdin is not None and one.process.stdout is not None
        one.process.stdin.close()
        one.process.stdout.close()


def runs_published(lake: Lake) -> list[str]:
    return [release.run_id for release in publishing.published(lake)]


def test_a_second_run_stops_at_once_and_says_who_holds_the_lake(
    lake: Lake, writer: Callable[[str], Writer]
) -> None:
    first = writer("first")
    assert first.does("take 60") == "ok"
    began = time.monotonic()
    with pytest.raises(ConflictError) as caught:
        leases.take(lake, "second", EXPIRES_S)
    assert time.monotonic() - began < 1
    assert "Run first on " in str(caught.value)
    assert f"process {first.process.pid}" in str(caught.value)
    assert first.does("end") == "ok"
    leases.take(lake, "second", EXPIRES_S).give_back()


def test_the_command_line_says_conflict_with_exit_code_6(
    lake: Lake, writer: Callable[[str], Writer], capsys: pytest.CaptureFixture[str]
) -> None:
    assert writer("first").does("take 60") == "ok"
    assert cli.main(["rollback", "1", "--lake", str(lake.root)]) == 6
    assert "Run first on " in capsys.readouterr().err


def test_the_lease_of_a_killed_process_is_taken_over_at_once(
    lake: Lake, writer: Callable[[str], Writer]
) -> None:
    first = writer("first")
    assert first.does("take 3600") == "ok"
    first.process.kill()
    first.process.wait()
    leases.take(lake, "second", EXPIRES_S).give_back()


def test_the_lease_of_a_process_elsewhere_is_taken_over_after_it_expired(
    lake: Lake, writer: Callable[[str], Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = writer("first")
    assert first.does(f"take {EXPIRES_S}") == "ok"
    first.process.kill()
    first.process.wait()
    monkeypatch.setattr(leases, "_place", lambda: "another machine")
    with pytest.raises(ConflictError):
        leases.take(lake, "second", EXPIRES_S)
    time.sleep(EXPIRES_S + 0.2)
    leases.take(lake, "second", EXPIRES_S).give_back()


def test_a_lease_is_given_back_where_the_disk_is_full(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = leases.take(lake, "first", 60)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(releases, "replace", full)
        held.give_back()
    leases.take(lake, "second", EXPIRES_S).give_back()


def test_a_heart_that_missed_a_beat_for_want_of_room_beats_on(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, missed = releases.replace, threading.Event()

    def full(*_: object) -> None:
        missed.set()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    held = leases.take(lake, "first", EXPIRES_S)
    monkeypatch.setattr(releases, "replace", full)
    assert missed.wait(EXPIRES_S)
    monkeypatch.setattr(releases, "replace", replace)
    time.sleep(2 * EXPIRES_S)
    with pytest.raises(ConflictError):
        leases.take(lake, "second", EXPIRES_S)
    held.give_back()


def test_a_living_holder_keeps_its_lease_for_longer_than_it_lasts(
    lake: Lake, writer: Callable[[str], Writer]
) -> None:
    assert writer("first").does(f"take {EXPIRES_S}") == "ok"
    time.sleep(2 * EXPIRES_S)
    with pytest.raises(ConflictError):
        leases.take(lake, "second", EXPIRES_S)


STEPS = ("a take", "a publish", "b take", "b publish")
ORDERS = [
    order
    for order in itertools.permutations(STEPS)
    if order.index("a take") < order.index("a publish")
    and order.index("b take") < order.index("b publish")
]


@pytest.mark.parametrize(
    "order", ORDERS, ids=lambda order: "-".join(s.replace(" ", "_") for s in order)
)
def test_of_two_runs_in_any_order_only_holders_publish(
    lake: Lake, writer: Callable[[str], Writer], order: tuple[str, ...]
) -> None:
    """Each process sleeps while the other acts, for longer than its lease lasts."""
    both = {name: writer(name) for name in ("a", "b")}
    holder, expected = "", []
    for step in order:
        name, command = step.split()
        for one in both.values():
            one.sleep()
        if command == "take":
            time.sleep(EXPIRES_S + 0.2)
        both[name].wake()
        answer = both[name].does(f"take {EXPIRES_S}" if command == "take" else command)
        if command == "take":
            assert answer == "ok", answer
            holder = name
        elif holder == name:
            assert answer == "ok", answer
            expected.append(name)
        else:
            assert answer.startswith("conflict"), answer
    assert runs_published(lake) == expected
    assert [r.release for r in publishing.published(lake)] == list(range(1, len(expected) + 1))


def test_of_two_that_take_the_lease_at_the_same_moment_one_gets_it(
    lake: Lake, writer: Callable[[str], Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    leases.take(lake, "first", EXPIRES_S).give_back()
    commit, rival = deltalake.write_deltalake, writer("rival")
    answers = []

    def overtaken(*arguments: object, **options: object) -> None:
        answers.append(rival.does("take 60"))
        commit(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(deltalake, "write_deltalake", overtaken)
    with pytest.raises(ConflictError, match="at the same moment"):
        leases.take(lake, "second", EXPIRES_S)
    assert answers == ["ok"]
    holder = leases.holder_of(lake, leases.epoch(lake))
    assert holder is not None and holder.run_id == "rival"


def test_a_publish_that_is_overtaken_in_the_act_publishes_nothing(
    lake: Lake, writer: Callable[[str], Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = leases.take(lake, "first", EXPIRES_S)
    release = empty_release("first")
    commit, rival = deltalake.write_deltalake, writer("rival")
    held._ended.set()
    time.sleep(EXPIRES_S + 0.2)

    def overtaken(*arguments: object, **options: object) -> None:
        assert rival.does("take 60") == "ok"
        commit(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(deltalake, "write_deltalake", overtaken)
    with pytest.raises(ConflictError, match="run rival"):
        publishing.publish(held, release, publishing.Stamp("first", "test", "", ""))
    assert runs_published(lake) == []
    assert releases.numbers(lake) == []


def test_a_release_whose_files_were_not_written_is_caught_up_with(lake: Lake) -> None:
    held = leases.take(lake, "first", EXPIRES_S)
    held.publish(
        {
            "release": 1,
            "kind": "run",
            "run_id": "first",
            "identity": "first",
            "published_at": leases._now(),
            "manifest": empty_release("first").model_dump_json(),
        },
        publishing.Stamp("first", "test", "", ""),
    )
    held.give_back()
    assert releases.numbers(lake) == []
    publishing.catch_up(lake)
    assert releases.load(lake) == empty_release("first")
    current = releases.directory(lake) / releases.CURRENT
    assert json.loads(current.read_text())["release"] == 1
    assert not releases.stale(lake)
    current.unlink()
    assert releases.stale(lake)
    publishing.catch_up(lake)
    assert json.loads(current.read_text())["release"] == 1


def test_current_json_never_goes_back_to_an_older_release(lake: Lake) -> None:
    releases.save(lake, empty_release("one", 1))
    releases.save(lake, empty_release("two", 2))
    releases.save(lake, empty_release("one", 1))
    current = json.loads((releases.directory(lake) / releases.CURRENT).read_text())
    assert current["release"] == 2
    assert releases.load(lake).release == 2


def empty_release(run_id: str, number: int = 1) -> Release:
    return Release(
        release=number,
        kind="run",
        run_id=run_id,
        identity=run_id,
        published_at="2026-01-01T00:00:00+00:00",
        code_version="",
        inputs={},
        absent=[],
        settings={},
        tables={},
    )


def test_process_numbers_are_only_compared_where_they_mean_the_same() -> None:
    assert leases._runs(os.getpid())
    assert not leases._runs(2**22 + 1)

"""Every run has one record: its own, or the one that the next run leaves in its place."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from beatlake import releases
from beatlake.commits import Stamp
from beatlake.config import load
from beatlake.errors import ConflictError, SetupError
from beatlake.lake import Lake
from beatlake.runs import history, runner
from beatlake.runs import lease as leases
from beatlake.runs.records import StageRecord, StageRecords
from beatlake.runs.report import Silent
from beatlake.tables import ops
from small_lake import required_files

EXPIRES_S = 1.0
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

#: A run that takes the lease, does a stage, and waits to be told to end.
RUN = """
import sys
from pathlib import Path
from beatlake.errors import BeatlakeError
from beatlake.lake import Lake
from beatlake.runs import history, lease
from beatlake.runs.lease import Begun
begun = Begun.model_validate_json(sys.argv[2])
held = lease.take(Lake(Path(sys.argv[1])), begun.run_id, float(sys.argv[3]), begun)
print("ok", flush=True)
for line in sys.stdin:
    failure = None
    try:
        held.check()
    except BeatlakeError as error:
        failure = error
    history.record(Lake(held.lake.root), begun, history.End(9.0, 3, "4.1.4", None, failure))
    held.give_back()
    print("ended", flush=True)
"""


def begun(run_id: str) -> leases.Begun:
    return leases.Begun(
        run_id=run_id,
        identity="identity",
        started_at=STARTED,
        input_directory="input",
        absent_files=["bp_track"],
        settings="{}",
        code_version="0.1.0+abc",
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def run(lake: Lake) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    made: list[subprocess.Popen[str]] = []

    def start(run_id: str) -> subprocess.Popen[str]:
        text = begun(run_id).model_dump_json()
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(lake.root), text, str(EXPIRES_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        made.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ok\n"
        return process

    yield start
    for process in made:
        process.kill()
        process.communicate()


def ends(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("end\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ended\n"


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def next_run(lake: Lake, run_id: str) -> None:
    """Another run that takes the lease, records what it finds, and has nothing to do."""
    lease = leases.take(lake, run_id, EXPIRES_S, begun(run_id))
    history.record_killed(lease.lake, Stamp(run_id, "ops", "", ""))
    lease.give_back()


def recorded(lake: Lake) -> dict[str, dict[str, Any]]:
    rows = lake.open("ops.runs").to_pyarrow_table().to_pylist()
    assert len({row["run_id"] for row in rows}) == len(rows)
    return {row["run_id"]: row for row in rows}


def test_a_killed_run_is_recorded_by_the_next_with_all_that_is_known_of_it(
    lake: Lake, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = run("killed")
    stages = StageRecords(lake, "killed", "")
    for stage in ("ingest.a", "ingest.b"):
        stages.add(StageRecord("killed", stage, "key", STARTED, 1.0, (), ()))
    lake.record(
        ops.RELEASES,
        [
            {
                "release": 7,
                "kind": "run",
                "run_id": "killed",
                "identity": "identity",
                "published_at": STARTED,
                "manifest": "{}",
            }
        ],
        Stamp("killed", "ops", "", ""),
        "append",
    )
    kill(process)
    (held,) = leases.left(lake).values()
    assert held.pid == process.pid
    next_run(lake, "next")
    (row,) = recorded(lake).values()
    reason = row.pop("reason")
    assert f"process {held.pid}" in reason and "found by run next" in reason
    assert f"{held.seen:%Y-%m-%d %H:%M:%S} UTC" in reason
    assert row == {
        **begun("killed").model_dump(),
        "seconds": pytest.approx((held.seen - STARTED).total_seconds()),
        "status": "killed",
        "exit_code": None,
        "stages": 2,
        "spark_version": None,
        "release": 7,
    }
    assert leases.left(lake) == {}


def test_runs_killed_before_they_recorded_others_are_recorded_with_them(
    lake: Lake, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    for run_id in ("first", "second", "third"):
        kill(run(run_id))
    next_run(lake, "next")
    next_run(lake, "one more")
    assert {k: row["status"] for k, row in recorded(lake).items()} == dict.fromkeys(
        ("first", "second", "third"), "killed"
    )


def test_a_run_that_left_its_record_and_was_killed_then_has_no_other(
    lake: Lake, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = run("first")
    history.record(lake, begun("first"), history.End(2.0, 1, "4.1.4", 1, None))
    kill(process)
    next_run(lake, "next")
    assert recorded(lake)["first"]["status"] == "done"
    assert leases.left(lake) == {}


def test_a_run_that_was_only_asleep_has_the_last_word_on_how_it_ended(
    lake: Lake, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    kill(run("before"))
    process = run("asleep")
    process.send_signal(signal.SIGSTOP)
    time.sleep(EXPIRES_S + 0.2)
    next_run(lake, "next")
    assert recorded(lake)["asleep"]["status"] == "killed"
    process.send_signal(signal.SIGCONT)
    ends(process)
    rows = recorded(lake)
    assert (rows["asleep"]["status"], rows["asleep"]["exit_code"]) == ("failed", 6)
    assert "has taken" in rows["asleep"]["reason"]
    assert rows["before"]["status"] == "killed"
    assert leases.left(lake) == {}


def test_a_living_run_is_not_recorded_as_killed(
    lake: Lake, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = run("living")
    assert leases.left(lake) == {}
    with pytest.raises(ConflictError):
        next_run(lake, "next")
    ends(process)
    next_run(lake, "next")
    assert recorded(lake)["living"]["status"] == "done"


def test_a_run_that_found_no_room_for_its_record_is_recorded_by_the_next(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = leases.take(lake, "full", EXPIRES_S, begun("full"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(releases, "replace", full)
        lease.give_back()
    assert [holder.run_id for holder in leases.left(lake).values()] == ["full"]
    next_run(lake, "next")
    assert recorded(lake)["full"]["status"] == "killed"
    assert leases.left(lake) == {}


def test_rollbacks_and_clean_ups_that_were_killed_are_no_runs(lake: Lake) -> None:
    leases.take(lake, "rollback", EXPIRES_S)._ended.set()
    time.sleep(EXPIRES_S + 0.2)
    next_run(lake, "next")
    assert not lake.exists("ops.runs")
    assert not list(releases.directory(lake).glob("lease-1*"))


def test_a_run_whose_spark_does_not_start_leaves_a_record(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_java(*_: object) -> None:
        raise SetupError("There is no Java.", "apt-get install openjdk-17-jre-headless")

    monkeypatch.setattr("beatlake.session.session", no_java)
    folder = required_files(tmp_path / "input", clean=True)
    with pytest.raises(SetupError):
        runner.run(str(folder), lake, load(environment={}), Silent())
    (row,) = recorded(lake).values()
    assert (row["status"], row["exit_code"], row["stages"]) == ("failed", 2, 0)
    assert row["spark_version"] is None
    assert row["reason"].startswith("There is no Java.")

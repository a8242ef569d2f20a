"""A run that is killed at a commit goes on where it was, and ends with the same release."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyspark.sql import SparkSession

import beatlake
from beatlake import cli, failpoints, releases
from beatlake.commits import user_metadata
from beatlake.errors import SparkLostError
from beatlake.lake import Lake
from beatlake.runs import publishing
from beatlake.runs.history import OF_KILLED_RUNS
from small_lake import IN_ORDER, SMALL, Drop, hashes, publish, required_files, run_arguments

#: The commit that publishes.
PUBLISHES = "ops.releases"
#: Where the first run of all that ends in order leaves its record.
CREATES_RUNS = "create ops.runs"
#: What every stage commits to, so that a kill there may leave a stage done: the last of part 0.
EVERY_STAGE = "ops.stages"
#: Killed at by `make test`: with data written and no commit, and with a release made but no file.
QUICK = ("during:silver.recordings", f"after:{PUBLISHES}")
#: What `make test` changes between two releases: recordings and what is made of them.
SOUTH = "aggregate.hemisphere=south"
#: The walk through all places is divided into so many tests.
PARTS = 4
#: What readers must find in each release, the first one first.
Expected = Sequence[dict[str, str]]


def run(folder: Path, lake: Path, settings: Sequence[str], **environment: str) -> tuple[int, str]:
    """The exit code and output of `beatlake run` in a process group of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "beatlake.cli", *run_arguments(folder, lake, *settings)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    return done.returncode, done.stdout + done.stderr


def commits(lake: Path) -> int:
    """How many commits all tables of a lake have."""
    return len(list(lake.glob("*/*/_delta_log/*.json")))


def renamed(lake: Path) -> set[str]:
    """The files that a lake replaces by rename."""
    return {path.name for path in (lake / "releases").glob("*.json")}


def takers(lake: Path) -> set[str]:
    """The runs that have taken the lease, as the log of `ops.releases` names them."""
    commits = Lake(lake).open(PUBLISHES).history()
    stamps = [user_metadata(commit) for commit in commits if commit["operation"] == "WRITE"]
    return {stamp["run_id"] for stamp in stamps if stamp["stage"] == "lease"}


def test_every_commit_has_failpoints(first_drop: Drop) -> None:
    files = {name for name in first_drop.commits if name.endswith(".json")}
    assert files == renamed(first_drop.lake)
    announced = [name for name in first_drop.commits if name not in files]
    assert len(announced) == commits(first_drop.lake)


def killed(
    folder: Path, lake: Path, place: str, expected: Expected, *settings: str
) -> dict[str, Any]:
    """Kill a run at a place, and see that readers find the last release or the one before."""
    started = time.monotonic()
    code, said = run(folder, lake, settings, **{failpoints.VARIABLE: place})
    assert code == -signal.SIGKILL, f"{place}: {code}: {said}"
    released = [release.release for release in publishing.published(Lake(lake))]
    assert len(expected) - len(released) in (0, 1), place
    if readable := releases.numbers(Lake(lake)):
        assert hashes(beatlake.open(lake)) == expected[max(readable) - 1], place
    seconds = round(time.monotonic() - started, 1)
    found = {
        "place": place,
        "seconds": seconds,
        "commits": commits(lake),
        "release": len(released) == len(expected),
    }
    if report := os.environ.get("BEATLAKE_FAILPOINT_REPORT"):
        with Path(report).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(found) + "\n")
    return found


def finished(
    folder: Path, lake: Path, expected: Expected, *settings: str, unbegun: int = 0
) -> list[dict[str, Any]]:
    """Go on after a kill, to the same release and without doing a stage again.

    Returns:
        The records of all runs: one of each that took the lease, but for as many as were killed
        before they could say who they are.
    """
    code, said = run(folder, lake, settings)
    assert code == 0, said
    assert hashes(beatlake.open(lake)) == expected[-1]
    numbers = [release.release for release in publishing.published(Lake(lake))]
    assert numbers == list(range(1, len(expected) + 1))
    assert not releases.stale(Lake(lake))
    done = beatlake.open(lake).table("ops.stages").arrow().to_pylist()
    assert max(Counter(row["stage_key"] for row in done).values()) == 1, "a stage ran twice"
    runs: list[dict[str, Any]] = Lake(lake).open("ops.runs").to_pyarrow_table().to_pylist()
    assert max(Counter(row["run_id"] for row in runs).values()) == 1, "a run has two records"
    # The last run records those before, and itself only if it had something to do.
    missing = takers(lake) - {row["run_id"] for row in runs}
    assert len(missing) - unbegun in (0, 1) and {row["run_id"] for row in done} <= {
        row["run_id"] for row in runs
    }
    return runs


def test_a_killed_run_goes_on_and_ends_with_the_same_release(
    first_drop: Drop, tmp_path: Path
) -> None:
    """Killed while it makes a second release, of which an undisturbed one stands beside."""
    undisturbed, lake = tmp_path / "undisturbed", tmp_path / "lake"
    for copy in (undisturbed, lake):
        shutil.copytree(first_drop.lake, copy)
    assert cli.main(run_arguments(first_drop.folder, undisturbed, *SMALL, SOUTH)) == 0
    expected = [hashes(beatlake.open(path)) for path in (first_drop.lake, undisturbed)]
    assert expected[0] != expected[1]
    for place in QUICK:
        killed(first_drop.folder, lake, place, expected, *SMALL, SOUTH)
    runs = finished(first_drop.folder, lake, expected, *SMALL, SOUTH)
    ended = sorted((row["status"], row["exit_code"], row["release"] or 0) for row in runs)
    assert ended == [("done", 0, 1), ("killed", None, 0), ("killed", None, 2)]
    stages = Counter(
        r["run_id"] for r in beatlake.open(lake).table("ops.stages").arrow().to_pylist()
    )
    assert Counter({row["run_id"]: row["stages"] for row in runs}) == stages


@pytest.mark.full
def test_a_run_whose_java_is_killed_says_so_and_the_next_goes_on(
    first_drop: Drop, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    command = [
        sys.executable,
        "-m",
        "beatlake.cli",
        *run_arguments(first_drop.folder, lake, *SMALL),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(lake.glob("silver/*/_delta_log/*.json")):
            assert process.poll() is None
            time.sleep(0.05)
        children = psutil.Process(process.pid).children()
        (java,) = [child for child in children if child.name() == "java"]
        java.kill()
        said = process.communicate()[1]
    assert process.returncode == SparkLostError.exit_code
    assert "The Java process that drives Spark has ended (signal SIGKILL)" in said
    assert not publishing.published(Lake(lake))
    finished(first_drop.folder, lake, [hashes(beatlake.open(first_drop.lake))], *SMALL)


@pytest.fixture(scope="module")
def undisturbed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Drop:
    """A published input that has set-aside records, so that every kind of table is written."""
    made = tmp_path_factory.mktemp("failpoints")
    return publish(required_files(made / "input"), made, *IN_ORDER)


def commits_of(drop: Drop) -> tuple[list[str], list[str]]:
    """The names of a run's commits before the publishing one, and after it."""
    names = list(dict.fromkeys(drop.commits))
    at = names.index(PUBLISHES)
    return names[:at], names[at + 1 :]


@pytest.mark.full
@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_killed_at_every_commit_ends_with_the_same_release(
    undisturbed: Drop, tmp_path: Path, part: int
) -> None:
    """Before every commit; within and after every write of rows.

    After any other commit is before the next one. Every run goes on where the one before was
    killed; each part of the places is met on the way to a release of its own.
    """
    opened = beatlake.open(undisturbed.lake)
    expected, rows = [hashes(opened)], {name: opened.table(name).rows for name in opened.tables}
    names = commits_of(undisturbed)[0]
    names.remove(EVERY_STAGE)
    size = -(-len(names) // PARTS)
    last = [EVERY_STAGE] if part == 0 else []
    lake = tmp_path / "lake"
    left = 0
    for place in (
        f"{kind}:{name}"
        for name in (*names[part * size : (part + 1) * size], *last)
        for kind in (("before", "during", "after") if rows.get(name) else ("before",))
    ):
        now = killed(undisturbed.folder, lake, place, expected, *IN_ORDER)["commits"]
        assert now >= left, "a commit was lost"
        left = now
    # Killed between taking the lease and saying so in a file, a run has no record.
    unbegun = sum(name.startswith("lease-") for name in names[part * size : (part + 1) * size])
    finished(undisturbed.folder, lake, expected, *IN_ORDER, unbegun=unbegun)


@pytest.mark.full
def test_a_run_killed_as_it_publishes_ends_with_the_same_release(
    undisturbed: Drop, tmp_path: Path
) -> None:
    """At the publishing commit and at each one that follows it, always anew.

    A run that was killed is recorded by the next before it goes on, so those are places, too.
    """
    expected = [hashes(beatlake.open(undisturbed.lake))]
    lake = tmp_path / "lake"
    assert killed(undisturbed.folder, lake, f"before:{CREATES_RUNS}", expected, *IN_ORDER)[
        "release"
    ]
    finished(undisturbed.folder, lake, expected, *IN_ORDER)
    shutil.rmtree(lake)
    killed(undisturbed.folder, lake, f"before:{PUBLISHES}", expected, *IN_ORDER)
    for place in (
        *(f"{kind}:{OF_KILLED_RUNS}" for kind in ("before", "during", "after")),
        *(f"{kind}:{PUBLISHES}" for kind in ("during", "after")),
        *(f"{k}:{name}" for name in commits_of(undisturbed)[1] for k in ("before", "after")),
    ):
        copy = tmp_path / place.replace(":", "-")
        shutil.copytree(lake, copy)
        killed(undisturbed.folder, copy, place, expected, *IN_ORDER)
        finished(undisturbed.folder, copy, expected, *IN_ORDER)

"""A full disk stops a run with one sentence; with room again it goes on to the same release.

The disks are small file systems in memory, which only some places allow to be mounted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import beatlake
from beatlake import cli
from beatlake.lake import Lake
from beatlake.reading import OpenLake
from beatlake.runs import publishing
from small_lake import hashes, required_files, run_arguments

pytestmark = pytest.mark.full

#: So much more room after each run that fails, as a share of what a whole lake takes.
_STEP = 0.05
_PAGE = 4096


class Disk:
    """A file system of a size that can be changed."""

    def __init__(self, root: Path, size: int) -> None:
        """Mount it; skip the test where that is not allowed."""
        self.root = root
        root.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", root],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")

    def resize(self, size: int) -> None:
        """Give it another size."""
        subprocess.run(["mount", "-o", f"remount,size={size}", self.root], check=True)

    def leave(self, free: int) -> None:
        """Make it as large as what is on it, and so many bytes more."""
        found = os.statvfs(self.root)
        self.resize((found.f_blocks - found.f_bfree) * found.f_bsize + free)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    made: list[Disk] = []

    def mount(size: int) -> Disk:
        made.append(Disk(tmp_path / "disk", size))
        return made[-1]

    yield mount
    for one in made:
        subprocess.run(["umount", one.root], check=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return required_files(tmp_path_factory.mktemp("room") / "input")


def arguments(folder: Path, lake: Path, *settings: str) -> list[str]:
    listed = ("parallel_stages=1", "spark.shuffle_partitions=2", *settings)
    return [*run_arguments(folder, lake, *listed), "--log", "json"]


@pytest.fixture(scope="module")
def expected(spark: SparkSession, folder: Path) -> OpenLake:
    """The release that a run with room enough makes."""
    assert cli.main(arguments(folder, folder.parent / "lake")) == 0
    return beatlake.open(folder.parent / "lake")


def refused(error: str) -> None:
    """One sentence that says it, no traceback, nothing of Java."""
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: A disk is full: ")
    assert "Traceback" not in error
    assert "Exception" not in line


def stopped_at(out: str) -> str:
    """Where a run was when it failed: the kind of its last stage, or what is around stages."""
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    total = sum(e["fields"]["stages"] for e in events if e["event"] == "run_started")
    finished = sum(e["event"] == "stage_finished" for e in events)
    started = [e["fields"]["stage"] for e in events if e["event"] == "stage_started"]
    if not started:
        return "lease"
    return "publish" if finished == total else str(started[-1]).partition(".")[0]


def places(
    run: list[str], lake: Path, small: Disk, step: int, capfd: pytest.CaptureFixture[str]
) -> list[str]:
    """Where a run stopped each time until it had room enough: a step more after each failure.

    Nothing is published before the run has come as far as publishing.
    """
    found: list[str] = []
    free = 0
    capfd.readouterr()
    while (code := cli.main(run)) != 0:
        said = capfd.readouterr()
        assert code == 2, said.err
        refused(said.err)
        found.append(stopped_at(said.out))
        assert "publish" in found or publishing.published(Lake(lake)) == []
        free += step
        small.leave(free)
    return found


def test_a_lake_that_runs_full_in_any_stage_is_finished_when_there_is_room(
    folder: Path,
    expected: OpenLake,
    disk: Callable[[int], Disk],
    capfd: pytest.CaptureFixture[str],
) -> None:
    step = int(_STEP * sum(path.stat().st_size for path in expected.lake.root.rglob("*")))
    small = disk(step)
    lake = small.root / "lake"
    stopped = places(arguments(folder, lake), lake, small, step, capfd)
    assert {"ingest", "integrate", "aggregate"} <= set(stopped), stopped
    assert hashes(beatlake.open(lake)) == hashes(expected)


def test_a_lake_that_runs_full_while_it_is_published_is_published_when_there_is_room(
    folder: Path,
    expected: OpenLake,
    disk: Callable[[int], Disk],
    capfd: pytest.CaptureFixture[str],
) -> None:
    small = disk(1 << 30)
    lake = small.root / "lake"
    run = arguments(folder, lake)
    for kind in ("ingest", "integrate", "aggregate"):
        assert cli.main([*run, "--only", kind]) == 0
    small.leave(0)
    stopped = places(run, lake, small, 4 * _PAGE, capfd)
    assert stopped[0] == "lease"
    assert "publish" in stopped, stopped
    assert hashes(beatlake.open(lake)) == hashes(expected)


def test_every_other_command_says_that_a_disk_is_full(
    expected: OpenLake, disk: Callable[[int], Disk], capfd: pytest.CaptureFixture[str]
) -> None:
    """What a rollback left half done does no harm: with room it is done."""
    small = disk(1 << 30)
    lake = small.root / "lake"
    shutil.copytree(expected.lake.root, lake)
    at = ["--lake", str(lake)]
    commands = [
        ["rollback", "1", *at],
        ["export", "gold.by_year", "--to", str(small.root / "by_year.parquet"), *at],
        ["generate", "--scale", "0.0002", "--out", str(small.root / "input")],
    ]
    small.leave(0)
    capfd.readouterr()
    for command in commands:
        assert cli.main(command) == 2
        said = capfd.readouterr().err
        assert said.startswith("error: A disk is full"), (command, said)
        assert "Traceback" not in said
    small.resize(1 << 30)
    assert [cli.main(command) for command in commands] == [0, 0, 0]
    assert hashes(beatlake.open(lake)) == hashes(expected)


def test_a_run_without_room_for_what_spark_keeps_is_finished_when_there_is_room(
    folder: Path, expected: OpenLake, disk: Callable[[int], Disk], tmp_path: Path
) -> None:
    small = disk(64 * _PAGE)
    lake = tmp_path / "lake"

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "beatlake.cli", *arguments(folder, lake, "spark.memory=2g")],
            env={**os.environ, "SPARK_LOCAL_DIRS": str(small.root)},
            capture_output=True,
            text=True,
            check=False,
        )

    done = run()
    assert done.returncode == 2, done.stderr
    refused(done.stderr)
    assert str(small.root) in done.stderr
    assert publishing.published(Lake(lake)) == []
    small.resize(1 << 30)
    done = run()
    assert done.returncode == 0, done.stderr
    assert hashes(beatlake.open(lake)) == hashes(expected)


def test_a_clean_up_makes_room_on_a_disk_that_has_none(
    expected: OpenLake, disk: Callable[[int], Disk], capfd: pytest.CaptureFixture[str]
) -> None:
    """Without the reserve that runs leave it cannot begin, and says so."""
    small = disk(1 << 30)
    lake = small.root / "lake"
    shutil.copytree(expected.lake.root, lake)
    clean_up = ["vacuum", "--keep", "1", "--lake", str(lake)]
    nobodys = lake / "gold" / "by_year" / "of_a_killed_run.parquet"
    for reserve in (True, False):
        small.resize(1 << 30)
        nobodys.write_bytes(os.urandom(1 << 21))
        if not reserve:
            (lake / "releases" / "reserve").unlink()
        small.leave(0)
        capfd.readouterr()
        assert cli.main(["rollback", "1", "--lake", str(lake)]) == 2
        assert cli.main(clean_up) == (0 if reserve else 2)
        assert nobodys.exists() != reserve
        assert hashes(beatlake.open(lake)) == hashes(expected)
        if reserve:
            assert cli.main(["rollback", "1", "--lake", str(lake)]) == 0
            assert (lake / "releases" / "reserve").stat().st_size > 0

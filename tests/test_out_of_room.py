"""A full disk stops a run with one sentence; with room again it goes on to the same release.

The disks are small file systems in memory, which only some places allow to be mounted.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import beatlake
from beatlake import cli
from beatlake.lake import Lake
from beatlake.reading import OpenLake
from beatlake.runs import publishing
from small_lake import hashes, required_files

pytestmark = pytest.mark.full

#: So much more room after each run that fails, as a share of what a whole lake takes.
_STEP = 0.15
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
    options = [option for setting in listed for option in ("--set", setting)]
    return ["run", "--input", str(folder), "--lake", str(lake), "--log", "json", *options]


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
    """Where a run was when it failed: the kind of its last stage, or what comes after stages."""
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    stages = [(e["event"], e["fields"]["stage"]) for e in events if "stage" in e["fields"]]
    if not stages:
        return "lease"
    event, stage = stages[-1]
    return stage.partition(".")[0] if event == "stage_started" else f"after {stage}"


def test_a_lake_that_runs_full_at_any_stage_is_finished_when_there_is_room(
    folder: Path,
    expected: OpenLake,
    disk: Callable[[int], Disk],
    capfd: pytest.CaptureFixture[str],
) -> None:
    whole = sum(path.stat().st_size for path in (folder.parent / "lake").rglob("*"))
    small = disk(int(_STEP * whole))
    lake = small.root / "lake"
    places: list[str] = []
    capfd.readouterr()
    free = 0
    while (code := cli.main(arguments(folder, lake))) != 0:
        said = capfd.readouterr()
        assert code == 2, said.err
        refused(said.err)
        assert publishing.published(Lake(lake)) == []
        places.append(stopped_at(said.out))
        free += int(_STEP * whole)
        small.leave(free)
    print(places)
    assert hashes(beatlake.open(lake)) == hashes(expected)

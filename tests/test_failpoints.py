"""A run that is killed at a commit goes on where it was, and ends with the same release."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import beatlake
from beatlake import failpoints
from beatlake.lake import Lake
from beatlake.quality.contract import contracts
from beatlake.reading import OpenLake
from beatlake.runs import publishing
from beatlake.synth import generate

#: Killed at by `make test`: with data written and no commit, and with a release made but no file.
QUICK = ("during:silver.recordings", "after:ops.releases")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five required files, small."""
    made = tmp_path_factory.mktemp("failpoints") / "input"
    generate(made, scale=0.0002, seed=1, processes=1, progress=False)
    for name, contract in contracts().items():
        if not contract.required:
            (made / f"{name}.csv").unlink()
    return made


def run(folder: Path, lake: Path, **environment: str) -> tuple[int, str]:
    """The exit code and output of `beatlake run` in a process group of its own."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "beatlake.cli", "run", "--input", folder, "--lake", lake),
            *("--log", "json", "--set", "spark.shuffle_partitions=2", "--set", "spark.memory=2g"),
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    return done.returncode, done.stdout + done.stderr


def hashes(opened: OpenLake) -> dict[str, str]:
    """A hash of the rows of every table but the records of runs, whatever their order."""
    found = {}
    for name in opened.tables:
        if not name.startswith("ops."):
            rows = sorted(
                repr(sorted(row.items())) for row in opened.table(name).arrow().to_pylist()
            )
            found[name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


def commits(lake: Path) -> int:
    """How many commits all tables of a lake have."""
    return len(list(lake.glob("*/*/_delta_log/*.json")))


def renamed(lake: Path) -> set[str]:
    """The files that a lake replaces by rename."""
    return {path.name for path in (lake / "releases").iterdir()}


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> tuple[Path, list[str]]:
    """A lake that nothing happened to, and every commit that its run announced."""
    lake, trace = folder.parent / "undisturbed", folder.parent / "trace"
    code, said = run(folder, lake, **{failpoints.TRACE: str(trace)})
    assert code == 0, said
    return lake, trace.read_text(encoding="utf-8").splitlines()


def test_every_commit_has_failpoints(undisturbed: tuple[Path, list[str]]) -> None:
    lake, announced = undisturbed
    files = {name for name in announced if name.endswith(".json")}
    assert files == renamed(lake)
    assert len([name for name in announced if name not in files]) == commits(lake)


def walk(
    folder: Path, lake: Path, places: Iterable[str], expected: dict[str, str]
) -> list[dict[str, Any]]:
    """Kill a run at one place after the other, each time going on with what it left behind."""
    seen = []
    for place in places:
        code, said = run(folder, lake, **{failpoints.VARIABLE: place})
        reached = code == -signal.SIGKILL
        assert reached or code == 0, said
        released = [release.release for release in publishing.published(Lake(lake))]
        assert released in ([], [1]), place
        if (lake / "releases" / "1.json").exists():
            assert hashes(beatlake.open(lake)) == expected, place
        seen.append({"place": place, "killed": reached, "published": bool(released)})
    code, said = run(folder, lake)
    assert code == 0, said
    assert hashes(beatlake.open(lake)) == expected
    return seen


def test_a_killed_run_goes_on_and_ends_with_the_same_release(
    folder: Path, undisturbed: tuple[Path, list[str]], tmp_path: Path
) -> None:
    expected = hashes(beatlake.open(undisturbed[0]))
    seen = walk(folder, tmp_path / "lake", QUICK, expected)
    assert [step["killed"] for step in seen] == [True, True]
    stages = beatlake.open(tmp_path / "lake").table("ops.stages").arrow().to_pylist()
    assert max(Counter(row["stage"] for row in stages).values()) == 1, "a stage ran twice"


@pytest.mark.full
def test_a_run_killed_at_every_commit_ends_with_the_same_release(
    folder: Path, undisturbed: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """Before, during and after every write; before and after every other commit."""
    expected = hashes(beatlake.open(undisturbed[0]))
    places = []
    for name in dict.fromkeys(undisturbed[1]):
        written = "." in name and not name.startswith(("create ", "constrain ", "lease-"))
        kinds = ("before", "during", "after") if written else ("before", "after")
        places += [f"{kind}:{name}" for kind in kinds]
    seen = walk(folder, tmp_path / "lake", places, expected)
    report = os.environ.get("BEATLAKE_FAILPOINT_REPORT")
    if report:
        Path(report).write_text(json.dumps(seen, indent=1), encoding="utf-8")
    assert sum(step["killed"] for step in seen) > len(places) // 2

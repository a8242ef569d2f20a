"""The small input that tests of whole runs share, and what they compare of the lakes made of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from beatlake import cli, failpoints
from beatlake.quality.contract import contracts
from beatlake.reading import OpenLake
from beatlake.synth import generate

#: Spark for small inputs, in a process of its own.
SMALL = ("spark.shuffle_partitions=2", "spark.memory=2g")
#: One stage after the other, so that places are reached in one order.
IN_ORDER = (*SMALL, "parallel_stages=1")


@dataclass(frozen=True)
class Drop:
    """An input that was published: its folder, its lake, every commit that its run announced."""

    folder: Path
    lake: Path
    commits: list[str]


def required_files(folder: Path, *, clean: bool = False) -> Path:
    """Make the five required files in a folder, small; the folder."""
    generate(folder, scale=0.0002, seed=1, clean=clean, processes=1, progress=False)
    for name, contract in contracts().items():
        if not contract.required:
            (folder / f"{name}.csv").unlink()
    return folder


def run_arguments(folder: Path | str, lake: Path | str, *settings: str) -> list[str]:
    """The words after `beatlake` that run the pipeline with some settings."""
    options = [word for setting in settings for word in ("--set", setting)]
    return ["run", "--input", str(folder), "--lake", str(lake), *options]


def publish(folder: Path, made: Path, *settings: str) -> Drop:
    """Publish an input, from this process, in a lake below a folder."""
    lake, trace = made / "lake", made / "trace"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(failpoints.TRACE, str(trace))
        assert cli.main(run_arguments(folder, lake, *settings)) == 0
    return Drop(folder, lake, trace.read_text(encoding="utf-8").splitlines())


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


def counts(opened: OpenLake) -> dict[str, list[str]]:
    """What a release says became of every record: its ledger and its quality report, in order."""
    found = {}
    for name in ("ops.ledger", "ops.quality"):
        rows = opened.table(name).arrow().drop_columns(["run_id"]).to_pylist()
        found[name] = sorted(repr(sorted(row.items())) for row in rows)
    return found

"""The small input that tests of whole runs share, and what they compare of the lakes made of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from beatlake.quality.contract import contracts
from beatlake.reading import OpenLake
from beatlake.synth import generate


def required_files(folder: Path, *, clean: bool = False) -> Path:
    """Make the five required files in a folder, small; the folder."""
    generate(folder, scale=0.0002, seed=1, clean=clean, processes=1, progress=False)
    for name, contract in contracts().items():
        if not contract.required:
            (folder / f"{name}.csv").unlink()
    return folder


def run_arguments(folder: Path, lake: Path, *settings: str) -> list[str]:
    """The words after `beatlake` that run the pipeline with some settings."""
    options = [word for setting in settings for word in ("--set", setting)]
    return ["run", "--input", str(folder), "--lake", str(lake), *options]


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

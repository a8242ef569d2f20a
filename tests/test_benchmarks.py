"""The benchmark runs, and the engines agree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from beatlake.synth import generate

ETL = Path(__file__).parents[1] / "benchmarks" / "etl.py"


@pytest.mark.parametrize(
    "engines",
    ["duckdb,polars,pandas", pytest.param("duckdb,beatlake", marks=pytest.mark.full)],
)
def test_engines_agree_and_are_measured(tmp_path: Path, engines: str) -> None:
    generate(tmp_path / "in", scale=0.0002, seed=1, clean=True, processes=1, progress=False)
    out = tmp_path / "out.json"
    done = subprocess.run(
        [
            sys.executable,
            ETL,
            "--input",
            tmp_path / "in",
            "--engines",
            engines,
            "--rounds",
            "1",
            "--json",
            out,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text(encoding="utf-8"))
    assert list(found) == engines.split(",")
    for row in found.values():
        assert row["wall_s"] > 0 and row["cpu_s"] > 0 and row["peak_rss_mb"] > 0
        assert row["ratio_to_duckdb"] > 0

"""The same input gives the same tables, whatever the order of its rows or how Spark cuts them."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import beatlake
from beatlake.synth import generate
from small_lake import run_arguments

pytestmark = pytest.mark.full


def run(folder: Path, lake: Path, *settings: str) -> None:
    """The pipeline in a process of its own, since a process keeps the Spark it has."""
    words = [sys.executable, "-m", "beatlake.cli", *run_arguments(folder, lake, *settings)]
    subprocess.run(words, check=True, capture_output=True)


def permuted(folder: Path, target: Path) -> None:
    """The files with their records in another order (no record of these spans lines)."""
    target.mkdir()
    shuffle = random.Random(11)
    for path in sorted(folder.glob("*.csv")):
        header, *lines = path.read_bytes().split(b"\r\n")[:-1]
        if any(line.count(b'"') % 2 for line in lines):
            lines = [line for line in lines if line.count(b'"') % 2 == 0]
            path.write_bytes(b"\r\n".join([header, *lines, b""]))
        shuffle.shuffle(lines)
        (target / path.name).write_bytes(b"\r\n".join([header, *lines, b""]))


def assert_files_are_ranges(lake: Path) -> None:
    """The files of recordings hold ranges of ISRCs, as the commit says that readers go by."""
    actions = DeltaTable(str(lake / "silver" / "recordings")).get_add_actions(flatten=True)
    ends = zip(*(actions.column(f"{end}.isrc").to_pylist() for end in ("min", "max")), strict=True)
    ranges = sorted(ends)
    assert len(ranges) > 2
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(ranges))
    files = beatlake.open(lake).table("silver.recordings").files
    found = sorted(
        (min(isrcs), max(isrcs))
        for isrcs in (pq.read_table(file, columns=["isrc"])["isrc"].to_pylist() for file in files)
    )
    assert found == ranges


def test_permuted_rows_and_other_cores_and_buckets_give_the_same_silver_and_gold(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    generate(first, scale=0.0005, seed=5, clean=True, processes=1, progress=False)
    permuted(first, second)
    for folder, cores, values in ((first, 2, 1_000_000), (second, 1, 20_000)):
        settings = (
            f"spark.cores={cores}",
            f"spark.task_values={values}",
            f"spark.alone_values={values}",
            f"spark.bucket_rows={values // 100}",
        )
        run(folder, tmp_path / f"lake-{folder.name}", *settings, "ingest.split_mb=1")
    assert_files_are_ranges(tmp_path / "lake-second")
    one, other = (beatlake.open(tmp_path / f"lake-{name}") for name in ("first", "second"))
    compared = 0
    for name in one.tables:
        if not name.startswith(("silver.", "gold.")):
            continue
        tables = [opened.table(name).arrow().to_pylist() for opened in (one, other)]
        texts = [sorted(repr(sorted(row.items())) for row in rows) for rows in tables]
        assert texts[0] == texts[1], name
        compared += len(texts[0])
    assert compared > 10_000

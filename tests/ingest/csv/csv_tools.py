"""Putting files where the reader finds them, and reading them back whole."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

from csv_reference import Row

import beatlake
from beatlake.ingest.csv import CsvLimits, FileSurvey, find_parts, read_split, splits, survey

LIMITS = CsvLimits()
NAME = "tracks"
# The package exports functions named like two of its modules.
CHUNKS = importlib.import_module("beatlake.ingest.csv.chunks")
SURVEY = importlib.import_module("beatlake.ingest.csv.survey")
BLOCKS = importlib.import_module("beatlake.ingest.csv.blocks")


def put(root: Path, data: bytes, name: str = f"{NAME}.csv") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def look(root: Path, columns: list[str], limits: CsvLimits = LIMITS, threads: int = 1):
    return survey(find_parts(str(root), NAME), columns, limits, threads)


def rows(
    surveyed: FileSurvey, columns: list[str], limits: CsvLimits = LIMITS, split_bytes: int = 1 << 26
) -> list[dict]:
    """All records as dictionaries, each split read by itself, in order."""
    return [
        row
        for split in splits(surveyed, split_bytes)
        for batch in read_split(surveyed.parts[split.part_index], split, columns, limits)
        for row in batch.to_pylist()
    ]


def as_reference(found: list[dict], columns: list[str]) -> list[Row]:
    """The reader's rows in the reference's form."""
    return [
        Row(
            tuple(row[column] for column in columns) if row["defect"] is None else None,
            row["defect"],
            row["byte_offset"],
            row["byte_length"],
        )
        for row in found
    ]


def check_conserved(surveyed: FileSurvey, found: list[dict]) -> None:
    """Every byte after the header belongs to exactly one row, and every record was counted."""
    assert surveyed.records == len(found)
    for index, part in enumerate(surveyed.parts):
        expected = part.data_start
        for row in found:
            if row["part_index"] == index:
                assert row["byte_offset"] == expected
                expected += row["byte_length"]
        assert expected == part.size
    for row in found:
        assert (row["defect"] is None) == (row["raw_record"] is None)


def in_another_process(code: str, *arguments: str, given: bytes = b"") -> list[str]:
    """The words that a fresh Python prints when it runs the code with beatlake on its path."""
    library = Path(beatlake.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(library)},
        input=given,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split()

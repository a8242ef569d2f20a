"""Golden cases of a second drop: `scenarios/NAME/{first,second,expected}`, whose names say what.

`expected/LAYER.TABLE.csv` holds the rows that the second release must have, in the columns that its
header names; `expected/error.txt` holds a text that the refusal must contain, and then the first
release stays.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import beatlake
from beatlake.config import load
from beatlake.errors import BeatlakeError, InputError
from beatlake.lake import Lake
from beatlake.runs.report import Silent
from beatlake.runs.runner import run
from small_lake import Drop

#: Run by `make test`; all others, which take the same way, by `make test-full`.
QUICK = ("a_value_is_changed", "a_new_column_is_refused_by_name")
SCENARIOS = [
    pytest.param(path, id=path.name, marks=() if path.name in QUICK else pytest.mark.full)
    for path in sorted((Path(__file__).parent / "scenarios").iterdir())
]
SETTINGS = load(assignments=["spark.shuffle_partitions=2"], environment={})
#: Lakes by the content of their first drop: the scenarios that share one share its run.
Lakes = dict[tuple[tuple[str, bytes], ...], Path]


def content(drop: Path) -> tuple[tuple[str, bytes], ...]:
    return tuple((path.name, path.read_bytes()) for path in sorted(drop.iterdir()))


@pytest.fixture(scope="module")
def lakes(first_drop: Drop) -> Lakes:
    return {content(first_drop.folder): first_drop.lake}


@pytest.fixture
def lake(
    spark: SparkSession,
    lakes: Lakes,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Lake:
    """A lake of its own in which the first drop has been published."""
    first = request.getfixturevalue("scenario") / "first"
    if (dropped := content(first)) not in lakes:
        lakes[dropped] = tmp_path_factory.mktemp("first")
        run(str(first), Lake(lakes[dropped]), SETTINGS, Silent())
    shutil.copytree(lakes[dropped], tmp_path / "lake")
    return Lake(tmp_path / "lake")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: Path, lake: Lake) -> None:
    expected = sorted((scenario / "expected").iterdir())
    assert expected
    error = scenario / "expected" / "error.txt"
    if error.exists():
        with pytest.raises(BeatlakeError) as refused:
            run(str(scenario / "second"), lake, SETTINGS, Silent())
        assert isinstance(refused.value, InputError)
        assert error.read_text(encoding="utf-8").strip() in str(refused.value)
        assert beatlake.open(lake.root).release.release == 1
        return
    run(str(scenario / "second"), lake, SETTINGS, Silent())
    opened = beatlake.open(lake.root)
    assert opened.release.release == 2
    for path in expected:
        with path.open(encoding="utf-8", newline="") as stream:
            names, *rows = csv.reader(stream)
        listed = ", ".join(f"coalesce({name}::varchar, '')" for name in names)
        found = opened.sql(f"SELECT {listed} FROM {path.stem}").fetchall()
        assert sorted(map(list, found)) == sorted(rows), path.name

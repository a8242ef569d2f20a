"""References of files that only link others, to rows that are not in the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from beatlake.config import Settings
from beatlake.datafiles import Target
from beatlake.exchange import Done, Output, Sizes, Stored, collect, write
from beatlake.integrate.common import Inputs
from beatlake.integrate.links import orphans
from beatlake.quality.contract import contracts
from beatlake.runs import plan
from beatlake.tables import registry
from beatlake.tables.spec import arrow_type
from tables_on_disk import stored

Rows = list[dict[str, Any]]
ORPHANS = registry.table("silver.orphans")
INPUTS = {s.name: s.inputs for s in plan.stages(Settings(), dict.fromkeys(contracts()))}
FILES = [table.removeprefix("bronze.") for table in INPUTS["integrate.orphans"]]

#: The ids in each file, by column; a name that is not here is an empty file.
ROWS: dict[str, list[dict[str, int | None]]] = {
    "bp_artist": [{"artist_id": 1}, {"artist_id": 1}, {"artist_id": 2}],
    "bp_label": [{"label_id": 7}],
    "bp_label_artist": [
        {"label_id": 7, "artist_id": 1},
        {"label_id": 8, "artist_id": 3},
        {"label_id": 8, "artist_id": 2},
        {"label_id": None, "artist_id": None},
    ],
    "bp_artist_media": [{"artist_id": 2}, {"artist_id": 3}],
    "bp_track_media": [{"track_id": 5}],
}


def bronze(folder: Path, file: str) -> Stored:
    """The rows of a file in its table of bronze, without columns that name nothing."""
    contract = contracts()[file]
    ids = [c for c in contract.columns if c.endswith("_id")]
    schema = pa.schema([(c, arrow_type(contract.columns[c].type)) for c in ids])
    rows = [{c: row.get(c) for c in ids} for row in ROWS.get(file, [])]
    return stored(folder, file, pa.Table.from_pylist(rows, schema))


@pytest.fixture(scope="module")
def found(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Done]:
    """The rows, and what was written and counted."""
    folder = tmp_path_factory.mktemp("bronze")
    tables = {f"bronze.{file}": bronze(folder, file) for file in FILES}
    query = orphans(Inputs(tables, absent=frozenset({"bp_track"})))
    target = Target(folder / "silver", ORPHANS.arrow_schema)
    (done,) = write(spark, [Output(ORPHANS, target, query)], Sizes(10**6, 10**6, 10**6))
    return collect(spark, query, Sizes(5, 5, 5)).to_pylist(), done


def test_every_file_with_references_is_read_where_they_are_judged() -> None:
    """A new file with foreign keys must be given to a stage that judges them."""
    read = {table for inputs in INPUTS.values() for table in inputs}
    assert {f"bronze.{name}" for name, c in contracts().items() if c.foreign_keys} <= read


def test_references_that_name_nothing_are_listed_and_empty_ones_are_not(
    found: tuple[Rows, Done],
) -> None:
    rows = [(row["file"], row["rule"], row["reference"], row["n_rows"]) for row in found[0]]
    assert sorted(rows) == [
        ("bp_artist_media", "orphan_artist", "3", 1),
        ("bp_label_artist", "orphan_artist", "3", 1),
        ("bp_label_artist", "orphan_label", "8", 2),
    ]


def test_they_are_counted_by_file_and_rule_with_an_example(found: tuple[Rows, Done]) -> None:
    tallies = found[1].tallies
    assert {(t.source, t.rule, t.rows, t.example) for t in tallies} == {
        ("bronze.bp_artist_media", "orphan_artist", 1, "3"),
        ("bronze.bp_label_artist", "orphan_artist", 1, "3"),
        ("bronze.bp_label_artist", "orphan_label", 2, "8"),
    }
    assert {t.outcome for t in tallies} == {"flagged"}


def test_nothing_is_said_of_targets_in_a_file_that_was_not_given(found: tuple[Rows, Done]) -> None:
    assert [row for row in found[0] if row["file"] == "bp_track_media"] == []

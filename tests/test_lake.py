"""What a write leaves in a table."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.errors import PythonException, SparkRuntimeException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from beatlake.commits import LakeError, Stamp
from beatlake.datafiles import DataFileWriter, Target, Written
from beatlake.lake import Lake
from beatlake.tables.spec import PROPERTIES, Column, SpecError, Table

TABLE = Table(
    name="silver.things",
    comment="Things.",
    columns=(
        Column("id", "bigint", "Its number.", False),
        Column("names", "array<string>", "Its names."),
        Column("size", "decimal(38,0)", "Its size."),
        Column("seen", "timestamp", "When it was seen."),
    ),
    key=("id",),
    checks={"positive": "id > 0"},
)
STAMP = Stamp("run", "stage", "key", "code")


def things(spark: SparkSession, *numbers: int | None) -> DataFrame:
    return spark.createDataFrame([(n,) for n in numbers], "id bigint").select(
        F.lit("1").cast("decimal(38,0)").alias("size"),
        F.array(F.lit("a"), F.lit(None)).alias("names"),
        "id",
        F.lit("2023-08-22 18:08:48").cast("timestamp").alias("seen"),
    )


def actions(lake: Lake, version: int, kind: str) -> list[dict[str, object]]:
    log = lake.path(TABLE.name) / "_delta_log" / f"{version:020d}.json"
    lines = log.read_text(encoding="utf-8").splitlines()
    return [action[kind] for action in map(json.loads, lines) if kind in action]


def files(lake: Lake) -> set[str]:
    return {path.name for path in lake.path(TABLE.name).glob("*.parquet")}


def test_a_write_replaces_rows_and_says_where_it_comes_from(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake = Lake(tmp_path)
    first = lake.write(TABLE, things(spark, 1, 2, 3).repartition(2), STAMP)
    second = lake.write(TABLE, things(spark, 4).coalesce(1), STAMP)

    assert (first.rows, second.rows, second.version) == (3, 1, first.version + 1)
    ids = [
        sorted(row["id"] for row in lake.read(spark, TABLE, version).collect())
        for version in (first.version, second.version)
    ]
    assert ids == [[1, 2, 3], [4]]
    row = lake.open(TABLE.name).to_pyarrow_table().to_pylist()[0]
    assert (row["names"], int(row["size"]), row["seen"].isoformat()) == (
        ["a", None],
        1,
        "2023-08-22T18:08:48+00:00",
    )
    replaced = {action["path"] for action in actions(lake, second.version, "remove")}
    assert replaced == {file.path for file in lake.files(TABLE.name, first.version)}
    (added,) = actions(lake, second.version, "add")
    assert json.loads(str(added["stats"])) == {"numRecords": 1}
    assert lake.stamped(TABLE.name, second.version)["stage_key"] == "key"
    assert PROPERTIES.items() <= lake.open(TABLE.name).metadata().configuration.items()
    # Delta's own reader sees the same.
    through_delta = spark.read.format("delta").load(str(lake.path(TABLE.name)))
    assert through_delta.dtypes == TABLE.empty(spark).dtypes
    assert [r["id"] for r in through_delta.collect()] == [4]


def test_rows_that_the_spec_forbids_are_not_written(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write(TABLE, things(spark, 1), STAMP)
    before = files(lake)

    with pytest.raises(
        SparkRuntimeException, match=r"A row of silver\.things breaks the check positive"
    ):
        lake.write(TABLE, things(spark, 2, -1), STAMP)
    with pytest.raises(
        SparkRuntimeException, match=r"A row of silver\.things breaks the check positive"
    ):
        lake.write(TABLE, things(spark, 2, None), STAMP)
    unchecked = Table("silver.unchecked", TABLE.comment, TABLE.columns)
    with pytest.raises(PythonException, match=r"(?i)null"):
        lake.write(unchecked, things(spark, 2, None).coalesce(1), STAMP)
    with pytest.raises(SpecError, match="unexpected column more"):
        lake.write(TABLE, things(spark, 2).withColumn("more", F.lit(1)), STAMP)

    head = lake.open(TABLE.name)
    assert head.to_pyarrow_table()["id"].to_pylist() == [1]
    # A task that fails leaves no file; those of tasks beside it are in no version.
    assert {Path(f).name for f in head.file_uris()} <= before


def test_rows_of_records_are_read_without_files_that_are_pythons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a file, asked for by a thread as Python ends, ended one command in five by a signal."""
    lake = Lake(tmp_path / "a lake")
    spec = Table(
        "ops.things",
        "Things.",
        (Column("id", "bigint", "Its number.", False), Column("name", "string", "Its name.")),
    )
    for number, name in enumerate("abcb", 1):
        lake.record(spec, [{"id": number, "name": name}], STAMP, "append", number)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this would call Python in threads")

    monkeypatch.setattr("deltalake.fs.DeltaStorageHandler.from_table", refuse)
    named = lake.rows("ops.things", columns=["id"], equal={"name": "b"})
    assert sorted(named["id"].to_pylist()) == [2, 4]
    assert lake.rows("ops.things", lake.open("ops.things", 2)).num_rows == 2
    with pytest.raises(AssertionError, match="call Python in threads"):
        lake.open("ops.things").to_pyarrow_table()


def test_a_table_that_is_added_to_keeps_its_rows_when_its_spec_gets_a_column(
    tmp_path: Path,
) -> None:
    lake = Lake(tmp_path)
    older = Table("ops.things", "Things.", (Column("id", "bigint", "Its number.", False),))
    newer = Table("ops.things", "Things.", (*older.columns, Column("name", "string", "Its name.")))
    lake.record(older, [{"id": 1}, {"id": 2}], STAMP, "append", 4)
    committed = lake.record(newer, [{"id": 3, "name": "c"}], STAMP, "append", 5)
    rows = lake.open("ops.things").to_pyarrow_table().to_pylist()
    assert sorted((row["id"], row["name"]) for row in rows) == [(1, None), (2, None), (3, "c")]
    assert committed.rows == 1
    assert lake.open("ops.things").transaction_version("beatlake") == 5
    assert PROPERTIES.items() <= lake.open("ops.things").metadata().configuration.items()


def test_files_that_are_not_there_are_not_committed(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    version = lake.write(TABLE, None, STAMP).version

    with pytest.raises(LakeError, match=r"1 of the files .* are not there, e.g. gone.parquet"):
        lake.write(TABLE, lambda: [Written("gone.parquet", 1, 1)], STAMP)

    assert lake.open(TABLE.name).version() == version


def test_a_data_file_of_a_failed_task_is_gone(tmp_path: Path) -> None:
    target = Target(tmp_path, pa.schema([pa.field("id", pa.int64(), nullable=False)]))
    with DataFileWriter(target) as nothing:
        assert nothing.finish() == []
    with DataFileWriter(target) as writer:
        writer.add(pa.table({"id": [1, 2]}))
        (written,) = writer.finish()
    assert (written.rows, (tmp_path / written.name).stat().st_size) == (2, written.size)

    with pytest.raises(RuntimeError), DataFileWriter(target) as failing:
        failing.add(pa.table({"id": [3]}))
        failing.write_some()
        raise RuntimeError

    assert [path.name for path in tmp_path.iterdir()] == [written.name]

"""What a write leaves in a table's Delta log."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from beatlake.lake import Committed, Lake, Stamp
from beatlake.tables import registry

TABLE = registry.table("silver.labels")
STAMP = Stamp("run", "stage", "key", "code")


def write(spark: SparkSession, lake: Lake) -> Committed:
    """Replace the table's rows by a hundred."""
    columns = [
        f"CAST({'id' if f.dataType.typeName() in ('long', 'integer', 'string') else 'NULL'}"
        f" AS {f.dataType.simpleString()}) AS `{f.name}`"
        for f in TABLE.empty(spark).schema.fields
    ]
    return lake.write(spark, TABLE, spark.range(100).selectExpr(*columns), STAMP)


def log_file(lake: Lake, version: int, suffix: str) -> Path:
    return lake.path(TABLE.name) / "_delta_log" / f"{version:020d}.{suffix}"


def removed(lake: Lake, version: int) -> set[str]:
    """The files that a commit took out."""
    lines = log_file(lake, version, "json").read_text(encoding="utf-8").splitlines()
    return {action["remove"]["path"] for action in map(json.loads, lines) if "remove" in action}


def test_spark_knows_a_table_from_its_checksum_file_as_it_would_from_its_log(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write over rows, with and without the file: the same commit, at fewer jobs."""
    first = Lake(tmp_path / "first")
    written = write(spark, first)
    replaced = {file.path for file in first.files(TABLE.name, written.version)}
    assert log_file(first, written.version - 1, "crc").exists()
    found: dict[str, dict[str, Any]] = {}
    jobs: dict[str, int] = {}
    spark.conf.set("spark.databricks.delta.writeChecksumFile.enabled", "true")
    try:
        for name in ("with", "without"):
            shutil.copytree(first.root, tmp_path / name)
            lake = Lake(tmp_path / name)
            if name == "without":
                log_file(lake, written.version - 1, "crc").unlink()
                monkeypatch.setattr(Lake, "_summarize", lambda lake, table: None)
            spark.sparkContext.setJobGroup(name, name)
            version = write(spark, lake).version
            assert log_file(lake, written.version, "crc").exists() == (name == "with")
            assert removed(lake, version) == replaced
            jobs[name] = len(spark.sparkContext.statusTracker().getJobIdsForGroup(name))
            found[name] = json.loads(log_file(lake, version, "crc").read_text(encoding="utf-8"))
    finally:
        spark.conf.set("spark.databricks.delta.writeChecksumFile.enabled", "false")
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    for content in found.values():
        # Its own transaction and the data files that it wrote.
        del content["txnId"], content["allFiles"]
    assert found["with"] == found["without"]
    assert jobs["with"] < jobs["without"]

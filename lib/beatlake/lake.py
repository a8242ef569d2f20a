"""Where tables are, reading them at a pinned version, and the one function that writes them.

A path lake is a directory with one Delta table per ``LAYER/TABLE``. The newest version of a table
is private to the job: readers are given versions by a release.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from beatlake.tables.spec import Table

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, SparkSession

_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
#: How far back the commit of a write is looked for among later commits of the same table.
_HISTORY = 20


_CREATING = threading.Lock()


class LakeError(Exception):
    """A table or file of the lake is not what the caller was promised."""


@dataclass(frozen=True)
class Stamp:
    """What a commit says about its origin, in Delta's user metadata."""

    run_id: str
    stage: str
    stage_key: str
    code_version: str
    inputs: Mapping[str, int] = field(default_factory=dict)

    def text(self, commit_id: str) -> str:
        """The stamp as JSON, with an id by which the writer finds its own commit again."""
        return json.dumps({**self.__dict__, "inputs": dict(self.inputs), "commit_id": commit_id})


@dataclass(frozen=True)
class Committed:
    """A table's version as its own commit returned it, and the rows that commit wrote."""

    table: str
    version: int
    rows: int


@dataclass(frozen=True)
class DataFile:
    """A data file of a table version: path relative to the table, size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class Lake:
    """A lake under a local directory."""

    root: Path

    def path(self, table: str) -> Path:
        """The directory of a table.

        Raises:
            LakeError: the name is not ``layer.table`` in lower-case snake case.
        """
        if not _NAME.fullmatch(table):
            raise LakeError(f"{table!r} is not a table name such as gold.by_year.")
        layer, name = table.split(".")
        return self.root / layer / name

    def exists(self, table: str) -> bool:
        """Whether the table has been created."""
        return (self.path(table) / "_delta_log").is_dir()

    def identifier(self, table: str) -> str:
        """The table's name in Spark SQL."""
        escaped = str(self.path(table).absolute()).replace("`", "``")
        return f"delta.`{escaped}`"

    def read(self, spark: SparkSession, table: Table, version: int) -> DataFrame:
        """The rows of one version of a table.

        Read as the Parquet files that the version's log names, with the spec's types: the tables
        have no deletion vectors, column mapping or partitions (`PROPERTIES`), so that is what the
        version holds, and it spares the three Spark jobs in which Delta rebuilds an old version.
        """
        files = [
            str(self.path(table.name).absolute() / f.path) for f in self.files(table.name, version)
        ]
        if not files:
            return table.empty(spark)
        return spark.read.schema(table.schema_ddl).parquet(*files)

    def write(
        self,
        spark: SparkSession,
        table: Table,
        frame: DataFrame | None,
        stamp: Stamp,
        mode: Literal["overwrite", "append"] = "overwrite",
    ) -> Committed:
        """Write a frame as one commit and return the version that this commit made.

        The frame is held against the spec first, and the commit is found again by its own id
        afterwards, so that a write which Delta skipped cannot pass for one that happened. Without a
        frame the table is left empty, which costs a new table no Spark job.

        Raises:
            SpecError: the frame does not match the spec.
            LakeError: the commit is not in the table's history.
        """
        conformed = None if frame is None else table.conform(frame)
        commit_id = uuid4().hex
        if not self.exists(table.name):
            self._create(spark, table, stamp.text(commit_id))
            if conformed is None:
                return self._committed(table.name, commit_id)
            mode = "append"
        if conformed is None:
            conformed = table.empty(spark)
        (
            conformed.write.format("delta")
            .mode(mode)
            .option("userMetadata", stamp.text(commit_id))
            .save(str(self.path(table.name).absolute()))
        )
        return self._committed(table.name, commit_id)

    def _create(self, spark: SparkSession, table: Table, metadata: str) -> None:
        # DDL takes its user metadata from the session: one apart, used by one thread at a time.
        with _CREATING:
            own = _session_for_ddl(spark)
            own.conf.set("spark.databricks.delta.commitInfo.userMetadata", metadata)
            own.sql(table.ddl(self.identifier(table.name)))

    def _committed(self, table: str, commit_id: str) -> Committed:
        # The newest first: a table's creation carries the same id as the rows that follow it.
        for commit in self.open(table).history(_HISTORY):
            if user_metadata(commit).get("commit_id") == commit_id:
                rows = int(commit.get("operationMetrics", {}).get("numOutputRows", 0))
                return Committed(table, int(commit["version"]), rows)
        raise LakeError(
            f"The write to {table} is not among its last {_HISTORY} commits: it was skipped or"
            " overtaken. Run again."
        )

    def open(self, table: str, version: int | None = None) -> DeltaTable:
        """The table through delta-rs, which needs no JVM."""
        from deltalake import DeltaTable

        return DeltaTable(str(self.path(table).absolute()), version=version)

    def stamped(self, table: str, version: int) -> dict[str, Any]:
        """The user metadata of one commit; empty when the table or commit is not there."""
        log = self.path(table) / "_delta_log" / f"{version:020d}.json"
        try:
            lines = log.read_text(encoding="utf-8").splitlines()
        except OSError:
            return {}
        for line in lines:
            info = json.loads(line).get("commitInfo")
            if info is not None:
                return user_metadata(info)
        return {}

    def files(self, table: str, version: int) -> list[DataFile]:
        """The data files of a version, by path."""
        actions = self.open(table, version).get_add_actions()
        listed = zip(
            actions.column("path").to_pylist(),
            actions.column("size_bytes").to_pylist(),
            strict=True,
        )
        return sorted((DataFile(path, size) for path, size in listed), key=lambda f: f.path)

    def missing(self, table: str, files: list[DataFile]) -> list[str]:
        """Which of a version's files are gone or cut short."""
        base = self.path(table)
        return [f.path for f in files if not _has_size(base / f.path, f.size)]


@lru_cache(maxsize=1)
def _session_for_ddl(spark: SparkSession) -> SparkSession:
    return spark.newSession()


def _has_size(path: Path, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except OSError:
        return False


def user_metadata(commit: Mapping[str, Any]) -> dict[str, Any]:
    """The stamp in a commit's information; empty when there is none that beatlake wrote."""
    try:
        found = json.loads(commit.get("userMetadata") or "{}")
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}

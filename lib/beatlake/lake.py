"""Where tables are, reading them at a pinned version, and the two functions that write them.

A path lake is a directory with one Delta table per ``LAYER/TABLE``. The newest version of a table
is private to the job: readers are given versions by a release. What a cluster computed is put into
data files by its workers and committed by the driver (`Lake.write`); what the driver knows, such as
records of runs, it writes itself (`Lake.record`). Both commit with delta-rs, which is atomic across
processes and needs no JVM.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from beatlake.commits import (
    APPLICATION,
    Committed,
    LakeError,
    OvertakenError,
    Stamp,
    committed_as,
    naming_another_commit,
    stats,
    user_metadata,
)
from beatlake.failpoints import committing
from beatlake.preparing import prepared
from beatlake.tables.spec import Table

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, SparkSession

    from beatlake.buckets import Cut
    from beatlake.datafiles import Target, Written
    from beatlake.exchange import Stored

_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
#: Paths as Spark and delta-rs make them; others could be patterns, addresses, or lead upwards.
_FILE = re.compile(r"[\w=][\w=.-]*(/[\w=][\w=.-]*)*", re.ASCII)
#: What Spark or DuckDB take for a pattern in a path and delta-rs for a part of an address, so that
#: it would look in another directory; and what cannot be written as UTF-8.
_MISTAKABLE = re.compile(r"[*?\[\]{}#\\]|%[0-9A-Fa-f]{2}|[\x00-\x1f\x7f]|[\ud800-\udfff]")


@dataclass(frozen=True)
class DataFile:
    """A data file of a table version: path relative to the table, size in bytes."""

    path: str
    size: int

    def __post_init__(self) -> None:
        """Refuse a path that leads elsewhere: anyone may have edited the file that names it."""
        if not _FILE.fullmatch(self.path):
            raise LakeError(f"{self.path!r} is not the name of a data file in a table.")


def _unguarded() -> None:
    """Let everybody write."""


@dataclass(frozen=True)
class Lake:
    """A lake under a local directory.

    ``guard`` is called before every commit and raises when the right to write is lost: a run gets
    its lake from the lease that it holds.
    """

    root: Path
    guard: Callable[[], None] = field(default=_unguarded, compare=False)

    def __post_init__(self) -> None:
        """Refuse a directory that the engines would mistake for another."""
        for place in (os.path.abspath(self.root), os.path.realpath(self.root)):
            if found := _MISTAKABLE.search(place):
                raise LakeError(
                    f"A lake cannot be at {place!r}: Spark, delta-rs and DuckDB do not take"
                    f" {found[0]!r} in a path for what it is. Give it another name or place."
                )

    def inside(self, *names: str) -> Path:
        """A path below the root, which links do not lead out of the lake.

        Raises:
            LakeError: it is not below the root, or a link on its way leads out.
        """
        path = self.root.joinpath(*names)
        if not os.path.realpath(path).startswith(os.path.join(os.path.realpath(self.root), "")):
            raise LakeError(f"{path} is not in the lake, or a link leads from there out of it.")
        return path

    def path(self, table: str) -> Path:
        """The directory of a table.

        Raises:
            LakeError: the name is not ``layer.table`` in lower-case snake case, or the table or a
                file of its log is a link out of the lake.
        """
        if not _NAME.fullmatch(table):
            raise LakeError(f"{table!r} is not a table name such as gold.by_year.")
        log = self.inside(*table.split("."), "_delta_log")
        if log.is_dir():
            with os.scandir(log) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        self.inside(entry.path)
        return log.parent

    def exists(self, table: str) -> bool:
        """Whether the table has been created."""
        return any((self.path(table) / "_delta_log").glob("*.json"))

    def has_version(self, table: str, version: int) -> bool:
        """Whether a version of a table has been committed."""
        return _commit_of(self.path(table), version).exists()

    def read(self, spark: SparkSession, table: Table, version: int) -> DataFrame:
        """The rows of one version of a table.

        Read as the Parquet files that the version's log names, with the spec's types: the tables
        have no deletion vectors, column mapping or partitions (`PROPERTIES`), so that is what the
        version holds, and it spares the three Spark jobs in which Delta rebuilds an old version.
        """
        files = self._addresses(table, version)
        if not files:
            return table.empty(spark)
        return spark.read.schema(table.schema_ddl).parquet(*files)

    def stored(self, table: Table, committed: Committed, cut: Cut | None = None) -> Stored:
        """Where the rows of one version of a table are, for queries in workers.

        Args:
            table: the spec.
            committed: the version.
            cut: how tables are cut that are to be joined as they lie. One that is cut otherwise,
                by a run before, is joined as one that is not cut.
        """
        from beatlake.exchange import Stored

        files = self._addresses(table, committed.version)
        stored = Stored(table.arrow_schema, tuple(files), committed.rows)
        return stored.as_cut(table.bucket_by, cut) if table.bucket_by and cut else stored

    def _addresses(self, table: Table, version: int) -> list[str]:
        files = self.files(table.name, version)
        return [str(self.data_file(table.name, file).absolute()) for file in files]

    def write(
        self,
        table: Table,
        rows: DataFrame | Callable[[], Sequence[Written]] | None,
        stamp: Stamp,
        mode: Literal["overwrite", "append"] = "overwrite",
        onto: DeltaTable | None = None,
    ) -> Committed:
        """Replace a table's rows, or add to them, and return the version that this made.

        Args:
            table: the spec; created first where it is not there.
            rows: a frame, which is held against the spec first; or what puts data files into the
                table's directory (`target`) or has done so; None for no rows.
            stamp: the origin of the commit.
            mode: whether the rows replace those of the table.
            onto: the table as its rows were read: nothing is committed if another commit came
                since. It has to be as its spec says.

        Raises:
            SpecError: the frame does not match the spec.
            LakeError: the files are not there, or the commit is not in the table's history.
            OvertakenError: another commit came between.
            ConflictError: the right to write was lost.
        """
        from deltalake import CommitProperties, Schema
        from deltalake.transaction import AddAction

        if rows is None:
            return self.record(table, (), stamp, mode)
        write = rows if callable(rows) else self._writing(table, rows)
        commit_id = uuid4().hex
        if onto is None:
            prepared(self, table, stamp.text(commit_id), keeps_rows=mode == "append")
        self.guard()
        with committing(table.name, self.path(table.name)), naming_another_commit(table):
            files = write()
            # Writing takes its time, in which the right to commit may be lost.
            self.guard()
            found = [DataFile(file.name, file.size) for file in files]
            if gone := self.missing(table.name, found):
                raise LakeError(
                    f"{len(gone)} of the files written for {table.name} are not there, e.g."
                    f" {gone[0]}. Is {self.root} the same place for all workers?"
                )
            now = int(time.time() * 1000)
            opened = self.open(table.name) if onto is None else onto
            said = {"userMetadata": stamp.text(commit_id)}
            opened.create_write_transaction(
                [AddAction(f.name, f.size, {}, now, True, stats(table, f)) for f in files],
                mode,
                Schema.from_arrow(table.arrow_schema),
                commit_properties=CommitProperties(said, None if onto is None else 0),
            )
        opened.update_incremental()
        version = committed_as(table.name, opened, commit_id).version
        return Committed(table.name, version, sum(file.rows for file in files))

    def _writing(self, table: Table, frame: DataFrame) -> Callable[[], list[Written]]:
        from beatlake.datafiles import write_frame

        checked = table.checked(table.conform(frame))
        return lambda: write_frame(checked, self.target(table))

    def target(self, table: Table) -> Target:
        """Where workers put data files of a table."""
        from beatlake.datafiles import Target

        return Target(self.path(table.name).absolute(), table.arrow_schema)

    def record(
        self,
        table: Table,
        rows: Sequence[Mapping[str, object]],
        stamp: Stamp,
        mode: Literal["overwrite", "append"],
        transaction: int | None = None,
        *,
        where: str | None = None,
        place: str | None = None,
        onto: DeltaTable | None = None,
    ) -> Committed:
        """Write rows that the driver holds as one commit and return the version that it made.

        Args:
            table: the spec; created first where it is not there.
            rows: by column name.
            stamp: the origin of the commit.
            mode: whether the rows replace those of the table.
            transaction: the commit only succeeds if the newest one before it carries a lower
                number, and if no other commit comes between: a compare-and-set.
            where: the condition in SQL of the rows that are replaced; all of them by default.
            place: what failpoints call the commit; by default after the table.
            onto: the table as `prepared` gave it, for many records of one run: reading its log
                anew is what a record costs most.

        Raises:
            OvertakenError: an equal or higher transaction is there already, or another commit
                came between.
            ConflictError: the right to write was lost.
        """
        import pyarrow as pa
        from deltalake import CommitProperties, Transaction, write_deltalake

        commit_id = uuid4().hex
        target, fresh = onto, False
        if target is None:
            target, fresh = prepared(
                self, table, stamp.text(commit_id), keeps_rows=mode == "append"
            )
        if fresh and not rows and transaction is None:
            return committed_as(table.name, target, commit_id)
        self.guard()
        transactions, retries = None, None
        if transaction is not None:
            newest = target.transaction_version(APPLICATION)
            if newest is not None and newest >= transaction:
                raise OvertakenError(
                    f"{table.name} is at transaction {newest}: {transaction} comes too late."
                )
            transactions, retries = [Transaction(APPLICATION, transaction)], 0
        properties = CommitProperties(
            {"userMetadata": stamp.text(commit_id)}, retries, transactions
        )
        data = pa.Table.from_pylist([dict(row) for row in rows], table.arrow_schema)
        place = place or (table.name if rows else f"empty {table.name}")
        chosen: dict[str, Any] = {} if where is None else {"predicate": where}
        with committing(place, self.path(table.name)), naming_another_commit(table):
            write_deltalake(target, data, mode=mode, commit_properties=properties, **chosen)
        return committed_as(table.name, target, commit_id)

    def prepared(self, table: Table, stamp: Stamp) -> DeltaTable:
        """A table that rows are added to, made what its spec says."""
        return prepared(self, table, stamp.text(uuid4().hex), keeps_rows=True)[0]

    def open(self, table: str, version: int | None = None) -> DeltaTable:
        """The table through delta-rs, which needs no JVM."""
        from deltalake import DeltaTable

        return DeltaTable(str(self.path(table).absolute()), version=version)

    def rows(
        self,
        table: str,
        found: DeltaTable | None = None,
        *,
        columns: list[str] | None = None,
        equal: Mapping[str, str] | None = None,
    ) -> pa.Table:
        """Rows of a table, through delta-rs: of the newest version, or of one that was opened.

        Through files of pyarrow's own. Those of delta-rs are Python's, which a thread may still ask
        for when Python ends: then the process does so by a signal, whatever it has done.

        Args:
            table: its name.
            found: the table as it was opened.
            columns: all by default.
            equal: values that columns have in the rows that are wanted.
        """
        from pyarrow import fs

        here = fs.SubTreeFileSystem(str(self.path(table).absolute()), fs.LocalFileSystem())
        return (found or self.open(table)).to_pyarrow_table(
            columns=columns,
            filters=[(name, "=", value) for name, value in equal.items()] if equal else None,
            filesystem=here,
        )

    def stamped(self, table: str, version: int) -> dict[str, Any]:
        """The user metadata of one commit; empty when the table or commit is not there."""
        for info in self._actions(table, version, "commitInfo"):
            return user_metadata(info)
        return {}

    def _actions(self, table: str, version: int, kind: str) -> Iterator[dict[str, Any]]:
        """The actions of one kind in one commit; none when the table or commit is not there."""
        try:
            lines = _commit_of(self.path(table), version).read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        for line in lines:
            action = json.loads(line)
            if kind in action:
                yield action[kind]

    def files(self, table: str, version: int) -> list[DataFile]:
        """The data files of a version, by path.

        Raises:
            LakeError: one of them is not in the lake.
        """
        actions = self.open(table, version).get_add_actions()
        listed = zip(
            actions.column("path").to_pylist(),
            actions.column("size_bytes").to_pylist(),
            strict=True,
        )
        found = sorted((DataFile(path, size) for path, size in listed), key=lambda f: f.path)
        for file in found:
            self.data_file(table, file)
        return found

    def data_file(self, table: str, file: DataFile) -> Path:
        """Where a data file of a table is.

        Raises:
            LakeError: it is not in the lake.
        """
        return self.inside(*table.split("."), file.path)

    def missing(self, table: str, files: list[DataFile]) -> list[str]:
        """Which of a version's files are gone or cut short.

        Raises:
            LakeError: one of them is not in the lake.
        """
        self.path(table)
        return [f.path for f in files if not _has_size(self.data_file(table, f), f.size)]


def _commit_of(table: Path, version: int) -> Path:
    return table / "_delta_log" / f"{version:020d}.json"


def _has_size(path: Path, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except OSError:
        return False

"""A lake opened at one release, which stays the same however often the lake is refreshed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from beatlake import releases
from beatlake.lake import Lake
from beatlake.reading.errors import ReadingError, nearest
from beatlake.reading.files import data_files
from beatlake.reading.types import duckdb_type
from beatlake.releases import Release, ReleasedTable
from beatlake.sql import quoted, texts
from beatlake.tables.spec import Column

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


def open_lake(path: str | os.PathLike[str], release: int | None = None) -> OpenLake:
    """The lake under ``path`` at its newest release, or at release number ``release``.

    Raises:
        LakeError: a lake cannot be there, or a link leads out of it.
        NoReleaseError: the lake has no release, or not that one.
        ReadingError: the release's number or file cannot be understood.
    """
    if release is not None and (type(release) is not int or release < 1):
        raise ReadingError(f"A release is a whole number from 1 on, not {release!r}.")
    lake = Lake(Path(path))
    try:
        return OpenLake(lake, releases.load(lake, release))
    except ValidationError as error:
        name = f"{releases.numbers(lake)[-1] if release is None else release}.json"
        where = "/".join(str(part) for part in error.errors()[0]["loc"])
        raise ReadingError(
            f"{releases.directory(lake) / name} is not a release:"
            f" {where + ': ' if where else ''}{error.errors()[0]['msg']}."
        ) from None


class OpenLake:
    """The tables of one release of a lake, and those of models and sound, which are in none.

    The latter are as they were when they were first looked at.
    """

    def __init__(self, lake: Lake, release: Release) -> None:
        """Hold on to a release that was read already; `open_lake` reads one."""
        self.lake = lake
        self.release = release
        self._newest: dict[str, ReleasedTable] = {}

    def __repr__(self) -> str:
        """The lake's directory and the pinned release."""
        return f"<lake {self.lake.root} at release {self.release.release}>"

    @property
    def tables(self) -> list[str]:
        """Names of the released tables, as ``layer.table``, in order of name."""
        return sorted(self.release.tables)

    @property
    def unreleased(self) -> list[str]:
        """Names of the tables of models and sound that the lake has, in order of name."""
        from beatlake.tables import ml, sound

        names = sorted(table.name for table in (*ml.TABLES, *sound.TABLES))
        return [n for n in names if n not in self.release.tables and self.lake.exists(n)]

    def check_kept(self) -> None:
        """Find the release still among those of the lake.

        Raises:
            ReadingError: a clean-up has removed it since it was opened.
        """
        if self.release.release not in releases.numbers(self.lake):
            raise ReadingError(
                f"Release {self.release.release} was removed by `beatlake vacuum` after it was"
                " opened. Open the lake again to read the newest."
            )

    def table(self, name: str) -> OpenTable:
        """One table of the release, or of models and sound.

        Raises:
            LakeError: the name is not one that a table can have.
            ReadingError: there is no such table; the message names near ones.
        """
        self.lake.path(name)
        if name in self.release.tables:
            return OpenTable(self, name, self.release.tables[name])
        if name in self.unreleased:
            if name not in self._newest:
                self._newest[name] = _newest(self.lake, name)
            return OpenTable(self, name, self._newest[name])
        near = nearest(name, [*self.tables, *self.unreleased])
        hint = f" Near: {', '.join(near)}." if near else " `beatlake tables` lists them."
        raise ReadingError(f"Release {self.release.release} has no table {name}.{hint}")

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The answer to one reading SQL statement over the tables, as a DuckDB relation.

        Raises:
            ReadingError: the statement is not one, does more than read, or has a mistake.
        """
        from beatlake.reading.sql import answer

        return answer(self, query).relation

    def spark_views(self, spark: SparkSession, tables: Iterable[str] | None = None) -> list[str]:
        """Create temporary views pinned to the release and return their names.

        The view of ``gold.by_year`` is ``gold_by_year``: temporary views have no schemas. They
        belong to the session and replace views of these names, so that a second release at the
        same time needs a session of its own: ``spark.newSession()``.

        Args:
            spark: a session that reads Delta, such as `beatlake.session.session` gives.
            tables: names of the tables wanted; all by default, which takes Spark a while.

        Raises:
            ReadingError: the release has no such table; no view was created.
        """
        wanted = [self.table(name) for name in (self.tables if tables is None else tables)]
        # All are found before the first view is replaced: views are never of two releases.
        frames = {table.name.replace(".", "_"): table.spark(spark) for table in wanted}
        for view, frame in frames.items():
            frame.createOrReplaceTempView(view)
        return list(frames)


def _newest(lake: Lake, name: str) -> ReleasedTable:
    """The newest version of a table that is in no release."""
    opened = lake.open(name)
    rows = sum(opened.get_add_actions().column("num_records").to_pylist())
    files = lake.files(name, opened.version())
    path = str(lake.path(name).relative_to(lake.root))
    return ReleasedTable(
        path=path,
        version=opened.version(),
        rows=rows,
        stage="",
        stage_key="",
        run_id="",
        files=files,
    )


class OpenTable:
    """One table at its released version, or the newest one of a table that is in no release."""

    def __init__(self, opened: OpenLake, name: str, released: ReleasedTable) -> None:
        """Name a table of an open lake; `OpenLake.table` does."""
        self._opened = opened
        self._released = released
        self.name = name

    def __repr__(self) -> str:
        """The table's name, version and rows."""
        return f"<{self.name} version {self.version}, {self.rows} rows>"

    @property
    def version(self) -> int:
        """The released Delta version."""
        return self._released.version

    @property
    def rows(self) -> int:
        """How many rows the released version has."""
        return self._released.rows

    @property
    def files(self) -> list[str]:
        """Absolute paths of the data files; none for an empty table.

        Raises:
            LakeError: the release puts one of them outside the lake.
        """
        return data_files(self._opened.lake, self.name, self._released)

    @property
    def columns(self) -> list[Column]:
        """The columns of the released version with what the spec says of them.

        A column that the spec does not have (any more) is described as such, with DuckDB's type.

        Raises:
            ReadingError: the table is empty and has no spec, so that nothing names its columns.
        """
        if not self.files:
            return list(self._specified().values())
        relation, known = self.duckdb(), self._specified()
        return [
            known.get(name) or Column(name, str(type_).lower(), "Not in the specification.")
            for name, type_ in zip(relation.columns, relation.types, strict=True)
        ]

    def _specified(self) -> dict[str, Column]:
        from beatlake.tables import registry

        try:
            return {column.name: column for column in registry.table(self.name).columns}
        except KeyError:
            if self._released.files:
                return {}
            raise ReadingError(f"{self.name} is empty, and no specification has it.") from None

    @property
    def scan(self) -> str:
        """A SQL query for DuckDB that reads the released version."""
        files = self.files
        if files:
            return (
                f"SELECT * FROM read_parquet({texts(files)},"
                " union_by_name = true, hive_partitioning = false)"
            )
        nulls = ", ".join(
            f"CAST(NULL AS {duckdb_type(column.type)}) AS {quoted(column.name)}"
            for column in self._specified().values()
        )
        return f"SELECT {nulls} WHERE false"

    def duckdb(
        self, connection: duckdb.DuckDBPyConnection | None = None
    ) -> duckdb.DuckDBPyRelation:
        """A relation over the table, in ``connection`` or in a new database in memory.

        Raises:
            ReadingError: a data file is gone or damaged.
        """
        from beatlake.reading.engine import connect, reading

        with reading(self.name, self._opened):
            return (connect() if connection is None else connection).sql(self.scan)

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table; times are in UTC."""
        from beatlake.reading.engine import reading

        relation = self.duckdb()
        with reading(self.name, self._opened):
            return relation.to_arrow_table()

    def pandas(self) -> pd.DataFrame:
        """All rows as a pandas frame.

        Integers and booleans are pandas' nullable types whether or not there are nulls, so that
        ids stay exact; days are datetimes.
        """
        from beatlake.reading.frames import to_pandas

        return to_pandas(self.arrow())

    def polars(self) -> pl.DataFrame:
        """All rows as a Polars frame."""
        from beatlake.reading.frames import to_polars

        return to_polars(self.arrow())

    def spark(self, session: SparkSession) -> DataFrame:
        """The released version as a Spark frame, through Delta.

        Raises:
            LakeError: the version has a file that is not in the lake.
        """
        self._opened.lake.files(self.name, self.version)
        reader = session.read.format("delta").option("versionAsOf", self.version)
        return reader.load(str(self._opened.lake.path(self.name).absolute()))

"""What a table is: columns, types, nullability, units, comments, key and checks, in one place.

The table's creation, the Delta column comments, the NOT NULL and CHECK constraints, the validation
of a frame before it is written, the data dictionary and the empty tables of absent inputs all come
from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

#: Properties that every table gets, because workspaces have other defaults. They keep a table at
#: Delta reader version 1, which delta-rs, Polars, DuckDB and pandas can read.
PROPERTIES: Mapping[str, str] = {
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.enableRowTracking": "false",
    "delta.enableTypeWidening": "false",
    "delta.autoOptimize.autoCompact": "false",
    "delta.autoOptimize.optimizeWrite": "false",
    "delta.checkpointInterval": "100",
    # Keys and dates come first; statistics of every measure make writes slower and skip nothing.
    "delta.dataSkippingNumIndexedCols": "8",
    # Only `beatlake vacuum` knows which versions a release names: nothing else may tidy up.
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


class SpecError(Exception):
    """A frame is not what the table's spec says; the message lists every discrepancy."""


@dataclass(frozen=True)
class Column:
    """One column: ``type`` is Spark's simple type name, ``unit`` what one unit of the value is."""

    name: str
    type: str
    comment: str
    nullable: bool = True
    unit: str | None = None

    @property
    def description(self) -> str:
        """The comment with its unit, as analysts read it in the catalogue."""
        return f"{self.comment} Unit: {self.unit}." if self.unit else self.comment


@dataclass(frozen=True)
class Table:
    """One table of the lake, ``name`` being ``layer.table``.

    ``key`` names the columns that identify a row (checked on every run), ``checks`` maps
    constraint names to SQL conditions. ``bucket_by`` is the column, of texts, by which the data
    files of a large table are cut (`beatlake.buckets`), for joins.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    bucket_by: str | None = None

    def __post_init__(self) -> None:
        """Refuse a spec that names columns it does not have, or one column twice."""
        names = [column.name for column in self.columns]
        repeated = {name for name in names if names.count(name) > 1}
        unknown = {*self.key, *filter(None, [self.bucket_by])} - set(names)
        if repeated or unknown:
            raise SpecError(f"{self.name}: repeated columns {repeated}, unknown {unknown}")

    @property
    def layer(self) -> str:
        """The part before the dot: bronze, quarantine, silver, gold, ml or ops."""
        return self.name.split(".", 1)[0]

    @property
    def column_names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns as an Arrow schema, with NOT NULL and the descriptions as comments."""
        import pyarrow as pa

        return pa.schema(
            [
                pa.field(c.name, arrow_type(c.type), c.nullable, {"comment": c.description})
                for c in self.columns
            ]
        )

    @property
    def schema_ddl(self) -> str:
        """The columns as a DDL string, as ``createDataFrame`` and ``from_json`` take it."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.columns)

    def empty(self, spark: SparkSession) -> DataFrame:
        """A frame of no rows with the spec's columns."""
        return spark.createDataFrame([], self.schema_ddl)

    def conform(self, frame: DataFrame) -> DataFrame:
        """``frame`` with the spec's columns in the spec's order.

        Nullability is not judged here but when the rows are written, because a frame's own flags
        only say what Spark could prove.

        Raises:
            SpecError: naming every missing, unexpected or differently typed column at once.
        """
        self._require(
            {f.name: f.dataType.simpleString() for f in frame.schema.fields},
            {c.name: c.type for c in self.columns},
        )
        return frame.select(*self.column_names)

    def require(self, found: pa.Schema) -> None:
        """Check that columns in any order are those of the spec, but for their nullability.

        Raises:
            SpecError: naming every missing, unexpected or differently typed column at once.
        """
        expected = self.arrow_schema
        self._require(
            dict(zip(found.names, found.types, strict=True)),
            dict(zip(expected.names, expected.types, strict=True)),
        )

    def _require(self, found: Mapping[str, object], expected: Mapping[str, object]) -> None:
        problems = [f"missing column {name}" for name in expected if name not in found]
        problems += [f"unexpected column {name}" for name in found if name not in expected]
        problems += [
            f"{name} is {found[name]}, expected {kind}"
            for name, kind in expected.items()
            if name in found and found[name] != kind
        ]
        if problems:
            raise SpecError(f"{self.name} does not match its spec: " + "; ".join(problems) + ".")

    def checked(self, frame: DataFrame) -> DataFrame:
        """``frame``, which fails when a row that does not meet the table's checks is read."""
        from pyspark.sql import functions as F

        for name, condition in self.checks.items():
            failure = F.raise_error(F.lit(f"A row of {self.name} breaks the check {name}."))
            frame = frame.filter(F.when(F.expr(condition), True).otherwise(failure))
        return frame


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a Spark type's simple name.

    >>> arrow_type("array<struct<table:string,rows:bigint>>")
    ListType(list<item: struct<table: string, rows: int64>>)

    Raises:
        SpecError: the type is not one that tables of the lake have.
    """
    import pyarrow as pa

    plain = {
        "string": pa.string(),
        "boolean": pa.bool_(),
        "smallint": pa.int16(),
        "int": pa.int32(),
        "bigint": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", "UTC"),
        "binary": pa.binary(),
    }
    if name in plain:
        return plain[name]
    if decimal := re.fullmatch(r"decimal\((\d+),(\d+)\)", name):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    if array := re.fullmatch(r"array<(.+)>", name):
        return pa.list_(arrow_type(array[1]))
    if struct := re.fullmatch(r"struct<([^<>]+)>", name):
        parts = (part.split(":", 1) for part in struct[1].split(","))
        return pa.struct([(column, arrow_type(kind)) for column, kind in parts])
    raise SpecError(f"{name} is not a type that a table of the lake can have.")

"""Making a table of the lake what its spec says, before rows are committed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beatlake.commits import naming_another_commit
from beatlake.failpoints import committing
from beatlake.tables.spec import PROPERTIES, Table

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from beatlake.lake import Lake


def prepared(
    lake: Lake, table: Table, metadata: str, *, keeps_rows: bool = False
) -> tuple[DeltaTable, bool]:
    """The table, made what its spec says; whether it was made anew, and so has no rows.

    A table of an older spec is emptied in its next version unless it keeps its rows; releases
    keep the old ones.
    """
    from deltalake import CommitProperties, DeltaTable, Schema

    made_by = CommitProperties({"userMetadata": metadata})
    existing = lake.open(table.name) if lake.exists(table.name) else None
    if existing is not None and keeps_rows:
        _modernise(lake, table, existing, metadata)
    fresh = existing is None or existing.schema() != Schema.from_arrow(table.arrow_schema)
    if existing is None or fresh or not _has_properties(existing, table):
        fresh = True
        lake.guard()
        with committing(f"create {table.name}"):
            existing = DeltaTable.create(
                str(lake.path(table.name).absolute()),
                table.arrow_schema,
                "error" if existing is None else "overwrite",
                description=table.comment,
                configuration=PROPERTIES,
                commit_properties=made_by,
                # Some of the properties are known to Spark and Databricks only.
                raise_if_key_not_exists=False,
            )
    has = existing.metadata().configuration
    for name, condition in table.checks.items():
        if f"delta.constraints.{name}" not in has:
            lake.guard()
            with committing(f"constrain {table.name} {name}"):
                existing.alter.add_constraint({name: condition}, commit_properties=made_by)
    existing.update_incremental()
    return existing, fresh


def _modernise(lake: Lake, table: Table, existing: DeltaTable, metadata: str) -> None:
    """Give a table that is added to the columns of its spec, in one commit with all its rows.

    Where the spec needs a value that the rows do not have, the table is left as it is.
    """
    import pyarrow as pa
    from deltalake import CommitProperties, Schema, write_deltalake

    wanted = table.arrow_schema
    has = {field.name for field in existing.schema().fields}
    if existing.schema() == Schema.from_arrow(wanted) or any(
        field.name not in has and not field.nullable for field in wanted
    ):
        return
    rows = lake.rows(table.name, existing).to_pylist()
    data = pa.Table.from_pylist(rows, wanted)
    lake.guard()
    place = f"modernise {table.name}"
    with committing(place, lake.path(table.name)), naming_another_commit(table):
        write_deltalake(
            existing,
            data,
            mode="overwrite",
            schema_mode="overwrite",
            commit_properties=CommitProperties({"userMetadata": metadata}),
        )


def _has_properties(existing: DeltaTable, table: Table) -> bool:
    """Whether an existing table has the properties of all tables and no check but its spec's."""
    prefix = "delta.constraints."
    has = existing.metadata().configuration
    checks = {k.removeprefix(prefix): v for k, v in has.items() if k.startswith(prefix)}
    return PROPERTIES.items() <= has.items() and checks.items() <= table.checks.items()

"""One released table as a file for people: CSV, Excel or Parquet by the file's suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from beatlake.reading import excel, results
from beatlake.reading.engine import reading
from beatlake.reading.errors import ReadingError
from beatlake.reading.files import replacing, writable_target

if TYPE_CHECKING:
    import duckdb

    from beatlake.reading.opened import OpenLake

Writer = Callable[["duckdb.DuckDBPyRelation", Path], None]


def export(opened: OpenLake, name: str, target: Path) -> int:
    """Write a table to ``target`` and return its rows.

    The file appears when it is whole; one that was there stays until then. Rows keep the order of
    the table's files. In CSV and Excel, texts that a spreadsheet would run as a formula start with
    an apostrophe, and nested values are JSON.

    Raises:
        ReadingError: an unknown suffix or table, a target that cannot be, or too much for Excel.
    """
    writers: Mapping[str, Writer] = {
        ".csv": partial(results.write_csv, guard=True),
        ".xlsx": partial(excel.write_xlsx, title=name),
        ".parquet": results.write_parquet,
    }
    write = writers.get(target.suffix.lower())
    if write is None:
        raise ReadingError(
            f"{target.name} does not end in {', '.join(writers)}, which say what to write."
        )
    table = opened.table(name)
    path = writable_target(opened.lake, target)
    with reading(name, opened), replacing(path) as scratch:
        write(table.duckdb(), scratch)
    return table.rows

"""The answer to a SQL query, as rows to show or as a file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beatlake.reading import results
from beatlake.reading.engine import interruptible
from beatlake.reading.errors import ReadingError
from beatlake.reading.files import replacing, writable_target
from beatlake.reading.sql import answer, explained

if TYPE_CHECKING:
    import duckdb

    from beatlake.reading.opened import OpenLake

_WRITERS: Mapping[str, Callable[[duckdb.DuckDBPyRelation, Path], None]] = {
    "csv": results.write_csv,
    "json": results.write_json,
    "parquet": results.write_parquet,
}


def choose(format_: str | None, output: Path | None) -> str:
    """The format asked for, or the one that the output's name ends in, or a table.

    >>> choose(None, Path("answer.csv")), choose(None, None)
    ('csv', 'table')

    Raises:
        ReadingError: a table is to be written to a file, or the name says nothing.
    """
    chosen = format_ or ("table" if output is None else output.suffix.lower().lstrip("."))
    if output is not None and chosen not in _WRITERS:
        raise ReadingError(f"{output.name} needs --format {', '.join(_WRITERS)} (or such an end).")
    return chosen


def rows(opened: OpenLake, query: str, most: int) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Names, the first ``most`` rows (0 for all) and whether there are more."""
    asked = answer(opened, query)
    relation = asked.relation.limit(most + 1) if most else asked.relation
    with explained(opened):
        found = interruptible(asked.connection, relation.fetchall)
    more = bool(most) and len(found) > most
    return relation.columns, found[:most] if more else found, more


def write(opened: OpenLake, query: str, format_: str, output: Path, most: int | None) -> None:
    """Write the answer to ``output``, whole or not at all; ``most`` is 0 or None for all rows.

    Raises:
        ReadingError: the query or the target cannot be.
    """
    with replacing(writable_target(opened.lake, output)) as scratch:
        _write(opened, query, format_, scratch, most)


@contextmanager
def written(opened: OpenLake, query: str, format_: str, most: int | None) -> Iterator[Path]:
    """The answer as a file that is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="beatlake-") as directory:
        scratch = Path(directory).resolve() / "answer"
        _write(opened, query, format_, scratch, most)
        yield scratch


def _write(opened: OpenLake, query: str, format_: str, scratch: Path, most: int | None) -> None:
    asked = answer(opened, query, scratch.parent)
    relation = asked.relation.limit(most) if most else asked.relation
    with explained(opened):
        interruptible(asked.connection, lambda: _WRITERS[format_](relation, scratch))

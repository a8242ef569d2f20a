"""DuckDB: databases in memory, and its errors in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import duckdb

from beatlake.errors import out_of_room
from beatlake.reading.errors import ReadingError
from beatlake.sql import SEALED

if TYPE_CHECKING:
    from beatlake.reading.opened import OpenLake

T = TypeVar("T")


def connect(temp_directory: str | None = None) -> duckdb.DuckDBPyConnection:
    """A new database in memory whose times are UTC, and which prints no progress into answers."""
    config = dict(SEALED)
    if temp_directory is not None:
        config["temp_directory"] = temp_directory
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    return connection


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """The result of ``work``, which uses the connection, or a prompt end at Ctrl-C.

    DuckDB notices the key in some of its calls only, so the call is made in a thread.
    """
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise


@contextmanager
def reading(name: str, *opened: OpenLake) -> Iterator[None]:
    """Say which table of which releases cannot be read when a data file is gone or damaged."""
    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        if full := out_of_room(error, None):
            raise full from error
        for one in opened:
            one.check_kept()
        numbers = " and ".join(f"release {one.release.release}" for one in opened)
        raise ReadingError(
            f"{name} of {numbers} cannot be read: {first_line(error)}"
            " `beatlake status` checks the files of the newest release."
        ) from None


def first_line(error: Exception) -> str:
    r"""DuckDB's message on one line, without its kind and the drawing of the query.

    >>> first_line(ValueError("Binder Error: no column x\n\nLINE 1: select x"))
    'no column x.'
    """
    text = str(error).split("\n\nLINE ")[0].strip()
    kind, separator, rest = text.partition(" Error: ")
    text = rest if separator and kind.count(" ") < 2 else text
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?")) else f"{line}."

"""Images of a task's rows: binary columns of one shape, which only a fold or a test table holds.

Where rows are prepared, an image stands by its hash: enough to see that two rows have the same one.
The bytes are looked up by the row's key where a table of rows is made, and go through a file, so
that as many of them are in memory as are looked at.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from beatlake.errors import InputError
from beatlake.learn.engine import one
from beatlake.learn.task.features import Feature
from beatlake.sql import quoted

if TYPE_CHECKING:
    import duckdb

    from beatlake.learn.columns import Columns

#: Bytes of images that are looked at a time: some hundreds of them.
TOGETHER = 16 << 20
#: Rows that DuckDB holds at a time, at the least: its vectors' length.
GROUP = 2048
#: The view of the images of rows.
_VIEW = "images"


def rows_together(width: float) -> int:
    """How many rows of so many bytes are held at a time.

    >>> rows_together(224 * 224)
    334
    """
    return max(1, int(TOGETHER / max(width, 1)))


def refuse_odd_columns(features: Sequence[Feature], columns: Columns) -> None:
    """Find bytes in the columns of images.

    Raises:
        InputError: columns hold something else; all are named.
    """
    wrong = [
        f"{f.column} is {columns.types[f.column]}"
        for f in features
        if f.reads == "image" and not columns.is_binary(f.column)
    ]
    if wrong:
        raise InputError(f"An image is a column of bytes (BLOB): {'; '.join(wrong)}.")


def look_up(connection: duckdb.DuckDBPyConnection, features: Sequence[Feature], key: str) -> None:
    """Make the images of ``source`` known by the rows' names, and hold those of ``prepared`` to it.

    Args:
        connection: holds both.
        features: all of a task.
        key: SQL of a row's name.

    Raises:
        InputError: a row has no image, several, or one of another size.
    """
    images = [feature for feature in features if feature.reads == "image"]
    if not images:
        return
    named = (f"{quoted(f.column)} AS {quoted(f'f_{f.name}')}" for f in images)
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {_VIEW} AS SELECT {key} AS row_id, {', '.join(named)}"
        " FROM source"
    )
    for feature in images:
        assert feature.shape is not None
        name, size = quoted(f"f_{feature.name}"), math.prod(feature.shape)
        rows, found, none, others = one(
            connection,
            f"SELECT (SELECT count(*) FROM prepared), count(*), count(*) FILTER ({name} IS NULL),"
            f" count(*) FILTER (octet_length({name}) <> {size}) FROM"
            f" (SELECT {_VIEW}.{name} FROM {_VIEW} SEMI JOIN prepared USING (row_id))",
        )
        problems = []
        if found > rows:
            problems.append(f"the key of {found - rows:,} rows stands in another row as well")
        if none:
            problems.append(
                f"{none:,} rows have none (leave them out: where: [{{column: {feature.column},"
                " known: true}])"
            )
        if others:
            shape = " x ".join(map(str, feature.shape))
            problems.append(f"{others:,} rows have one that is not of {shape} = {size:,} bytes")
        if problems:
            raise InputError(
                f"{feature.column} is not an image of every row: {'; '.join(problems)}."
            )


def beside(names: Sequence[str]) -> str:
    """SQL of the prepared rows with the images of some features in place of their hashes."""
    listed = [quoted(f"f_{name}") for name in names]
    replaced = ", ".join(f"{_VIEW}.{name} AS {name}" for name in listed)
    return f"(SELECT prepared.* REPLACE ({replaced}) FROM prepared JOIN {_VIEW} USING (row_id))"


def spilled(found: duckdb.DuckDBPyRelation, columns: Sequence[str], scratch: Path) -> pa.Table:
    """Rows with images, which lie in a file that is gone when the table is.

    Args:
        found: the rows.
        columns: those of images; in the table they are of a fixed width.
        scratch: the folder of the file.
    """
    with tempfile.NamedTemporaryFile(dir=scratch, suffix=".arrow") as file:
        writer = None
        for batch in found.to_arrow_reader(GROUP):
            fixed = batch
            for name in columns:
                values = fixed_width(batch.column(name))
                fixed = fixed.set_column(batch.schema.get_field_index(name), name, values)
            writer = writer or pa.ipc.new_file(file, fixed.schema)
            size = rows_together(fixed.nbytes / fixed.num_rows)
            for start in range(0, fixed.num_rows, size):
                writer.write_batch(fixed.slice(start, size))
        if writer is None:
            return found.to_arrow_table()
        writer.close()
        file.flush()
        # What is mapped stays there without its name.
        return pa.ipc.open_file(pa.memory_map(file.name)).read_all()


def fixed_width(values: pa.Array) -> pa.Array:
    """Binary values of one length as a type says it.

    >>> fixed_width(pa.array([b"ab", b"cd"])).type
    FixedSizeBinaryType(fixed_size_binary[2])
    """
    return values.cast(pa.binary(len(values[0].as_py())))

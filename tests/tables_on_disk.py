"""Small tables as data files, for queries in tests."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from beatlake.exchange import Stored


def stored(folder: Path, name: str, table: pa.Table, files: int = 1) -> Stored:
    """A table that lies in so many files."""
    step = -(-table.num_rows // files) or 1
    written = []
    for begin in range(0, table.num_rows, step):
        path = folder / f"{name}-{begin}.parquet"
        pq.write_table(table.slice(begin, step), path)
        written.append(str(path))
    return Stored(table.schema, tuple(written), table.num_rows)

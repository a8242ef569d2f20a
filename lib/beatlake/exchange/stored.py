"""A version of a table, as tasks find it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import pyarrow as pa

from beatlake.buckets import UNCUT, Cut, file_in
from beatlake.sql import text, texts


@dataclass(frozen=True)
class Stored:
    """A version of a table: its columns, its data files and how many rows they hold.

    Args:
        schema: the columns.
        files: where the data files are.
        rows: how many rows they hold.
        bucket_by: the column by which the files are cut into buckets, if they are.
        cut: how they are.
        where: which of the files' rows, as SQL; all if it is empty.
    """

    schema: pa.Schema
    files: tuple[str, ...]
    rows: int
    bucket_by: str | None = None
    cut: Cut = UNCUT
    where: str = ""

    def as_cut(self, bucket_by: str, cut: Cut) -> Stored:
        """The same, known to be cut in that way if all its files say so."""
        names = {file_in(os.path.basename(file))[1] for file in self.files}
        return replace(self, bucket_by=bucket_by, cut=cut) if names == {cut.name} else self

    def bucket(self, number: int) -> Stored:
        """The part that is in a bucket."""
        wanted = self.cut.file_of(number)
        files = [f for f in self.files if file_in(os.path.basename(f))[0] == wanted]
        key = self.bucket_by
        least, next_least = self.cut.ends(number)
        where = [] if least is None else [f"{key} >= {text(least)}"]
        if next_least is not None:
            where.append(f"{key} < {text(next_least)}")
        if least is None and where:
            # Rows without a key are in the first bucket.
            where = [f"({where[0]} OR {key} IS NULL)"]
        return replace(self, files=tuple(files), where=" AND ".join(where))

    def sql(self) -> str:
        """A SELECT of its rows, which must lie in some file."""
        rows = f"SELECT * FROM read_parquet({texts(self.files)}, hive_partitioning = false)"
        return f"{rows} WHERE {self.where}" if self.where else rows

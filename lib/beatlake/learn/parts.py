"""Equal parts of a fold, which XGBoost's workers in Spark read by themselves.

So rows need not pass through the JVM. Workers import this module, which is why it needs little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: What XGBoost's worker does with its rows.
Work: TypeAlias = "Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]"


@dataclass(frozen=True)
class Parts:
    """Equal parts of a Parquet file.

    A part is of rows that follow one another: it does not depend on how the file is cut into row
    groups, and no part needs all of the file.

    Args:
        path: of the file, which all workers see.
        count: how many parts there are.
        size: rows of a batch.
    """

    path: Path
    count: int
    size: int

    def batches(self, number: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of a part, in batches of the size; the last is smaller."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as file:
            rows = file.metadata.num_rows
            begin, end = (rows * place // self.count for place in (number, number + 1))
            counts = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            starts = [sum(counts[:i]) for i in range(len(counts))]
            groups = [
                i for i, start in enumerate(starts) if start < end and start + counts[i] > begin
            ]
            place = starts[groups[0]] if groups else end
            waiting = file.schema_arrow.empty_table().select(list(columns))
            for batch in file.iter_batches(self.size, row_groups=groups, columns=list(columns)):
                given = pa.Table.from_batches([batch]).select(list(columns))
                given = given.slice(max(0, begin - place), max(0, end - max(begin, place)))
                place += batch.num_rows
                waiting = pa.concat_tables([waiting, given])
                while waiting.num_rows >= self.size:
                    yield waiting.slice(0, self.size)
                    waiting = waiting.slice(self.size)
            if waiting.num_rows:
                yield waiting


@dataclass(frozen=True)
class Rows:
    """Rows of parts as XGBoost's worker takes them. A class, so that workers import its code.

    Args:
        parts: of a fold.
        facts: names that the worker knows of what it is told of rows, and the fold's columns.
        features: names of the features there, and the fold's columns.
        left_out: the fold's column that says which rows are not handed over, if any.
    """

    parts: Parts
    facts: Mapping[str, str]
    features: Mapping[str, str]
    left_out: str | None

    def __call__(self, numbers: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """The rows of the parts of these numbers; features in the precision that XGBoost has."""
        import pyarrow as pa
        import pyarrow.compute as pc

        asked = {*self.facts.values(), *self.features.values()}
        asked |= {self.left_out} if self.left_out else set()
        for given in numbers:
            for number in given["id"].tolist():
                for batch in self.parts.batches(number, sorted(asked)):
                    rows = batch
                    if self.left_out:
                        rows = rows.filter(pc.invert(rows.column(self.left_out)))
                    made = {name: rows.column(column) for name, column in self.facts.items()}
                    for name, column in self.features.items():
                        made[name] = rows.column(column).cast(pa.float32(), safe=False)
                    yield pa.table(made).to_pandas(split_blocks=True)


@dataclass(frozen=True)
class Worker:
    """Trains on the rows of the parts of a task. A class, so that workers import its code."""

    rows: Rows
    train: Work

    def __call__(self, numbers: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """What training on the parts of these numbers gives."""
        return self.train(self.rows(numbers))

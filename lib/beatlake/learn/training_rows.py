"""The rows that anything may be fitted on: those of a rung's training side, and no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from beatlake.learn.splits import FITTING, Rung
from beatlake.sql import quoted, text

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class TrainingRows:
    """The rows of a split that may train: the only ones that anything is fitted on.

    `of` makes one from a rung; nothing else does.
    """

    connection: duckdb.DuckDBPyConnection
    rung: Rung
    sides: tuple[str, ...]
    _made_by: object = field(repr=False, default=None)

    def __post_init__(self) -> None:
        """Refuse rows that were not taken from a rung's training side."""
        if self._made_by is not _TRAINING or not set(self.sides) <= set(FITTING):
            raise TypeError("TrainingRows are made by TrainingRows.of from a rung.")

    @classmethod
    def of(
        cls, connection: duckdb.DuckDBPyConnection, rung: Rung, *, watched: bool
    ) -> TrainingRows:
        """The training side of a rung.

        Args:
            connection: holds the prepared rows and the sides.
            rung: an available one.
            watched: whether a validation side watches the fit, so that it does not train.
        """
        return cls(connection, rung, FITTING[:1] if watched else FITTING, _TRAINING)

    def column(self, name: str) -> Array:
        """The values of a prepared column, in the prepared order."""
        found = (
            self.connection.sql(
                f"SELECT {quoted(name)} AS value FROM prepared JOIN {self.rung.table}"
                f" USING (row_id) WHERE side IN ({', '.join(map(text, self.sides))})"
                " ORDER BY md5(row_id), row_id"
            )
            .to_arrow_table()
            .column("value")
        )
        if str(found.type) in ("string", "large_string"):
            return np.array(found.to_pylist(), dtype=object)
        return floats(found)


_TRAINING = object()


def floats(values: pa.ChunkedArray) -> Array:
    """Numbers, NaN where there is none."""
    found: Array = values.cast("float64").to_numpy()
    return found

"""What every fitted model gives, and what models are made of."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.config import ConfigError
from beatlake.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

Array: TypeAlias = npt.NDArray[Any]
Parameters: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """Predictions of rows, in their order.

    Args:
        values: numbers, clusters, or places among the classes that the model knows.
        proba: n x k probabilities of these classes; None where the model gives none.
    """

    values: Array
    proba: Array | None = None


class Model(Protocol):
    """A fitted estimator."""

    columns: tuple[str, ...]

    def predict(self, spark: SparkSession | None, rows: pa.Table) -> Answer:
        """Predict rows that have ``row_id`` and the model's columns."""

    def save(self, folder: Path) -> None:
        """Write the model into an empty folder, without pickle."""

    def facts(self) -> dict[str, Any]:
        """What the fit says of itself, for the manifest: importances, coefficients, rounds."""


class Local(Model, Protocol):
    """A model that predicts without Spark, and travels to workers as the content of its file."""

    FILE: ClassVar[str]

    def content(self) -> bytes:
        """The file that holds the model."""

    @classmethod
    def parse(cls, content: bytes, columns: tuple[str, ...]) -> Local:
        """The model that a file's content holds."""


def column(rows: pa.Table | pa.RecordBatch, name: str) -> Array:
    """The values of a column."""
    found: Array = rows.column(name).to_numpy(zero_copy_only=False)
    return found


def matrix(
    rows: pa.Table | pa.RecordBatch, columns: Collection[str], dtype: npt.DTypeLike = np.float64
) -> Array:
    """The columns of numbers as one array of a type, a row per row."""
    made = np.empty((rows.num_rows, len(columns)), dtype)
    for place, name in enumerate(columns):
        made[:, place] = column(rows, name)
    return made


def pixels(rows: pa.Table | pa.RecordBatch, name: str, size: int) -> Array:
    """The bytes of a column of images, a row per row.

    Raises:
        InputError: a row has no image, or one that is not of so many bytes.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    given = rows.column(name)
    chunks = given.chunks if isinstance(given, pa.ChunkedArray) else [given]
    found = [np.empty((0, size), np.uint8)]
    for chunk in chunks:
        lengths = set(pc.binary_length(chunk).to_pylist())
        if lengths - {size}:
            odd = sorted("none" if n is None else f"{n:,} bytes" for n in lengths - {size})
            raise InputError(f"An image in {name} is of {size:,} bytes, and there is: {odd[0]}.")
        found.append(fixed(chunk.cast(pa.binary(size)), np.uint8))
    return found[1] if len(found) == 2 else np.concatenate(found)


def fixed(values: pa.Array, dtype: npt.DTypeLike) -> Array:
    """The numbers that each value of a binary column of fixed width holds, a row per row."""
    width = values.type.byte_width
    if not width:
        return np.empty((len(values), 0), dtype=dtype)
    data = values.buffers()[1][values.offset * width : (values.offset + len(values)) * width]
    return np.frombuffer(data, dtype=dtype).reshape(len(values), -1)


def refuse_unknown(estimator: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Find every parameter among those known.

    Raises:
        ConfigError: one is not, or would be stored as pickle; near ones are named.
    """
    listed = sorted(known)
    problems = []
    for name in given:
        if name in ("callbacks", "callback"):
            problems.append(
                "callbacks are code that would be stored as pickle: no model here holds any"
            )
        elif name not in listed:
            near = difflib.get_close_matches(name, listed, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(listed)}"
            problems.append(f"there is no {name}; {hint}")
    if problems:
        raise ConfigError(f"Parameters of {estimator}: {'; '.join(problems)}.")

"""What a model said about the rows of one side, beside what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.errors import InputError

Array: TypeAlias = npt.NDArray[Any]

#: How far the probabilities of a row may be from adding up to 1: what float32 loses over 32 classes
#: is below it.
_SUM_TOLERANCE = 1e-3
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Predictions:
    """One row per example of a side; all arrays have the same length and order.

    Args:
        y_true: codes into ``classes`` for a classification, numbers for a regression.
        y_pred: the same, as predicted.
        proba: n x k probabilities in the order of ``classes``; None where the model gives none.
        classes: names of the classes; None for a regression.
        group: the unit of the bootstrap, the main artist; a missing one is "unknown".
        slices: values of every row by name of the slicing ("genre", "year", "artist size").
        row_id: one name per row, each once.

    Raises:
        InputError: the arrays do not fit one another; every problem is listed.
    """

    y_true: Array
    y_pred: Array
    proba: Array | None
    classes: tuple[str, ...] | None
    group: Array
    row_id: Array
    slices: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = self._lengths() or self._contents()
        if problems:
            raise InputError("The predictions cannot be judged:\n  " + "\n  ".join(problems))

    @property
    def n(self) -> int:
        """How many rows there are."""
        return len(self.y_true)

    @cached_property
    def order(self) -> Array:
        """The rows by their name: sums taken in this order do not depend on how rows arrived."""
        found: Array = pc.sort_indices(texts(self.row_id)).to_numpy()
        return found

    @cached_property
    def groups(self) -> Codes:
        """The group of every row, in the order in which rows are held."""
        return codes(self.group)

    @cached_property
    def confidence(self) -> Array | None:
        """The probability of the predicted class; None where there are no probabilities."""
        if self.proba is None:
            return None
        found: Array = self.proba[np.arange(self.n), self.y_pred].astype(np.float64)
        return found

    def _lengths(self) -> list[str]:
        n = len(self.y_true)
        columns = {"y_pred": self.y_pred, "group": self.group, "row_id": self.row_id}
        columns |= {f"slice {name!r}": values for name, values in self.slices.items()}
        if self.proba is not None:
            columns["proba"] = self.proba
        problems = [
            f"{name} holds {len(values):,} values and y_true {n:,}."
            for name, values in columns.items()
            if len(values) != n
        ]
        return problems if n else ["There is not one row."]

    def _contents(self) -> list[str]:
        problems = []
        for name, values in (("y_true", self.y_true), ("y_pred", self.y_pred)):
            problems += self._numbers(name, values)
        if self.proba is not None:
            problems += self._probabilities(self.proba)
        named = texts(self.row_id)
        if repeats := self.n - len(pc.unique(named)):
            counts = pc.value_counts(named)
            twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
            problems.append(
                f"row_id is not unique: {repeats:,} of {self.n:,} rows repeat a name, such as"
                f" {twice[0].as_py()!r}."
            )
        return problems

    def _numbers(self, name: str, values: Array) -> list[str]:
        if self.classes is None:
            if values.dtype.kind not in "iuf":
                return [f"{name} holds {values.dtype} and a regression needs numbers."]
            wrong = np.flatnonzero(~np.isfinite(values))
            what = "not a finite number"
        elif values.dtype.kind not in "iu":
            return [f"{name} holds {values.dtype} and a classification needs codes of classes."]
        else:
            wrong = np.flatnonzero((values < 0) | (values >= len(self.classes)))
            what = f"not a code of one of the {len(self.classes)} classes"
        return self._rows(f"{name} is {what}", wrong)

    def _probabilities(self, proba: Array) -> list[str]:
        if self.classes is None:
            return ["proba is given and a regression has none."]
        if proba.ndim != 2 or proba.shape[1] != len(self.classes):
            return [f"proba has the shape {proba.shape} for {len(self.classes)} classes."]
        with np.errstate(invalid="ignore"):
            sums = proba.sum(axis=1, dtype=np.float64)
            possible = (proba.min(axis=1) >= 0) & (abs(sums - 1) <= _SUM_TOLERANCE)
        return self._rows("proba is negative, missing or does not add up to 1", ~possible)

    def _rows(self, what: str, wrong: Array) -> list[str]:
        found = np.flatnonzero(wrong) if wrong.dtype == bool else wrong
        if not len(found):
            return []
        return [
            f"{what} in {len(found):,} of {self.n:,} rows, first {str(self.row_id[found[0]])!r}."
        ]


@dataclass(frozen=True)
class Codes:
    """Texts as numbers: ``names`` are sorted and each once, ``of`` points every row to its own."""

    names: list[str]
    of: Array


def codes(values: Array) -> Codes:
    """The distinct texts in their order, and the place of every row's among them."""
    encoded = texts(values).dictionary_encode()
    by_name = pc.sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(by_name), dtype=np.int64)
    place[by_name] = np.arange(len(by_name))
    return Codes(encoded.dictionary.take(by_name).to_pylist(), place[encoded.indices.to_numpy()])


def texts(values: Array | Sequence[Any]) -> pa.Array:
    """Values as texts, a missing one as "unknown"."""
    array = pa.array(values, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return pc.fill_null(array.cast(pa.large_string()), _UNKNOWN)

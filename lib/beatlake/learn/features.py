"""Features: values of rows made into columns of numbers, with everything fitted on training rows.

`fit` takes `TrainingRows`, which only the training side of a split can be made into, and returns a
description of columns that is data: it is saved as JSON and applied by one piece of SQL, to a fold,
to a table of millions in Spark's workers, or to one row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from beatlake.errors import InputError
from beatlake.learn.engine import connected
from beatlake.learn.task.features import Feature
from beatlake.learn.training_rows import Array, TrainingRows, floats
from beatlake.sql import quoted, text


@dataclass(frozen=True)
class FittedColumn:
    """One column of numbers that a model sees.

    Args:
        name: letters, digits and underscores.
        feature: that it is made of.
        meaning: for people, such as ``key = 5``.
        op: number, missing, equals, other, bucket or image, which is no number but bytes.
        pre: what is done to the value first: none, circle_sin, circle_cos, folded or a skew.
        fill: in place of a missing value, before centre and scale.
        center: is taken off.
        scale: divides.
        value: of ``equals``.
        values: known values, for ``other``.
        bucket: of ``bucket``.
        buckets: how many there are.
    """

    name: str
    feature: str
    meaning: str
    op: str
    pre: str = "none"
    fill: float = 0.0
    center: float = 0.0
    scale: float = 1.0
    value: str | None = None
    values: tuple[str, ...] = ()
    bucket: int = 0
    buckets: int = 0

    def sql(self) -> str:
        """SQL of the column over the prepared columns."""
        raw = quoted(f"f_{self.feature}")
        if self.op == "number":
            value = f"coalesce({_pre(self.pre, raw)}, {self.fill!r})"
            return f"(({value} - {self.center!r}) / {self.scale!r})::DOUBLE"
        if self.op == "missing":
            return f"({_pre(self.pre, raw)} IS NULL)::INTEGER::DOUBLE"
        if self.op == "equals":
            return f"coalesce({raw} = {text(self.value or '')}, false)::INTEGER::DOUBLE"
        if self.op == "other":
            known = ", ".join(map(text, self.values))
            return f"coalesce({raw} NOT IN ({known}), false)::INTEGER::DOUBLE"
        if self.op == "image":
            return raw
        hashed = f"('0x' || substr(md5({raw}), 1, 8))::BIGINT % {self.buckets}"
        return f"coalesce({hashed} = {self.bucket}, false)::INTEGER::DOUBLE"


@dataclass(frozen=True)
class FittedFeatures:
    """All columns of a model, in order, and the features that were left out with the reason."""

    columns: tuple[FittedColumn, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """Names of the columns of each category that has its values spelt out."""
        found: dict[str, list[str]] = {}
        for column in self.columns:
            if column.op in ("equals", "other"):
                found.setdefault(column.feature, []).append(column.name)
        return tuple(map(tuple, found.values()))

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the columns that are images, which are those of their features."""
        return tuple(column.name for column in self.columns if column.op == "image")

    def only(self, features: Collection[str], why: str) -> FittedFeatures:
        """The columns of some features; the others are left out, and the reason kept."""
        columns = tuple(column for column in self.columns if column.feature in features)
        gone = {c.feature: why for c in self.columns if c.feature not in features}
        return FittedFeatures(columns, {**self.left_out, **gone})

    def by_feature(self, values: Mapping[str, float]) -> dict[str, float]:
        """Sums of what columns have, by the feature that they are made of."""
        found: dict[str, float] = {}
        for column in self.columns:
            found[column.feature] = found.get(column.feature, 0.0) + values[column.name]
        return found

    def select(self) -> str:
        """SQL of all columns, for a SELECT over the prepared columns."""
        return ", ".join(f"{column.sql()} AS {quoted(column.name)}" for column in self.columns)

    def json(self) -> str:
        """The description as JSON."""
        return json.dumps(
            {"columns": [c.__dict__ for c in self.columns], "left_out": self.left_out}, indent=1
        )

    @property
    def sha256(self) -> str:
        """The hash of the description."""
        return hashlib.sha256(self.json().encode()).hexdigest()

    @classmethod
    def parse(cls, given: str) -> FittedFeatures:
        """The description that a JSON text holds."""
        tree = json.loads(given)
        columns = tuple(
            FittedColumn(**{**column, "values": tuple(column["values"])})
            for column in tree["columns"]
        )
        return cls(columns, tree["left_out"])


def fit(features: Sequence[Feature], scale: str, rows: TrainingRows) -> FittedFeatures:
    """Fit the columns of features on training rows.

    A missing number becomes the training median, and where training rows miss some, a column says
    so. A feature that is empty or constant in the training rows is left out, and the reason kept.

    Args:
        features: in order.
        scale: standard (mean and standard deviation), min_max, robust (median and quartiles) or
            none.
        rows: the training side.

    Raises:
        InputError: every feature is empty or constant.
    """
    columns: list[FittedColumn] = []
    left_out: dict[str, str] = {}
    for feature in features:
        values = rows.column(f"f_{feature.name}")
        if feature.reads == "image":
            made, why = _image(feature, values)
        elif feature.reads == "text":
            made, why = _texts(feature, values)
        else:
            made, why = _numbers(feature, scale, values)
        columns += made
        if not made:
            left_out[feature.name] = why
    if not columns:
        reasons = "; ".join(f"{name} is {why}" for name, why in left_out.items())
        raise InputError(f"No feature says anything in the training rows: {reasons}.")
    return FittedFeatures(tuple(columns), left_out)


def _image(feature: Feature, hashes: Array) -> tuple[list[FittedColumn], str]:
    if len(set(hashes)) < 2:
        return [], "constant"
    return [FittedColumn(feature.name, feature.name, feature.name, "image")], ""


def _numbers(feature: Feature, scale: str, raw: Array) -> tuple[list[FittedColumn], str]:
    if np.isnan(raw).all():
        return [], "empty"
    pres: tuple[str, ...]
    if feature.form == "circle":
        pres = ("circle_sin", "circle_cos")
    elif feature.form == "folded":
        pres = ("folded",)
    else:
        pres = (feature.skew,)
    columns = []
    for pre in pres:
        values = _applied(pre, raw)
        known = values[~np.isnan(values)]
        if not len(known) or (known.min() == known.max() and len(known) == len(values)):
            continue
        fill = float(np.median(known))
        filled = np.where(np.isnan(values), fill, values)
        center, width = _scaling("none" if pre.startswith("circle") else scale, filled)
        suffix = f"_{pre.removeprefix('circle_')}" if pre.startswith("circle") else ""
        meaning = feature.name if pre == "none" else f"{pre} of {feature.name}"
        columns.append(
            FittedColumn(
                feature.name + suffix, feature.name, meaning, "number", pre, fill, center, width
            )
        )
    missing = np.isnan(_applied(pres[0], raw))
    if missing.any() and not missing.all() and columns:
        columns.append(
            FittedColumn(
                f"{feature.name}__missing",
                feature.name,
                f"{feature.name} missing",
                "missing",
                pres[0],
            )
        )
    return columns, "constant"


def _scaling(scale: str, values: Array) -> tuple[float, float]:
    if scale == "standard":
        center, width = values.mean(), values.std()
    elif scale == "min_max":
        center, width = values.min(), values.max() - values.min()
    elif scale == "robust":
        low, center, high = np.quantile(values, (0.25, 0.5, 0.75))
        width = high - low
    else:
        return 0.0, 1.0
    return float(center), float(width) or 1.0


def _texts(feature: Feature, values: Array) -> tuple[list[FittedColumn], str]:
    known = [value for value in values if value is not None]
    if not known:
        return [], "empty"
    if feature.form == "hash":
        return [
            FittedColumn(
                f"{feature.name}__{bucket}",
                feature.name,
                f"{feature.name} in bucket {bucket}",
                "bucket",
                bucket=bucket,
                buckets=feature.buckets,
            )
            for bucket in range(feature.buckets)
        ], ""
    found, counts = np.unique(np.array(known, dtype=object).astype(str), return_counts=True)
    if len(found) == 1 and len(known) == len(values):
        return [], "constant"
    # The commonest first, equal ones by text.
    ordered = [str(found[i]) for i in np.lexsort((found, -counts))]
    common = ordered[: feature.top]
    columns = [
        FittedColumn(
            f"{feature.name}__{i}", feature.name, f"{feature.name} = {value}", "equals", value=value
        )
        for i, value in enumerate(common)
    ]
    columns.append(
        FittedColumn(
            f"{feature.name}__other",
            feature.name,
            f"{feature.name} is another value",
            "other",
            values=tuple(common),
        )
    )
    return columns, ""


#: A pitch class's place on the circle of fifths, in twelfths of a turn.
_FIFTHS = "(7 * ({0})::BIGINT % 12)"
_PRE = {
    "none": "{0}",
    "log1p": "CASE WHEN {0} >= 0 THEN ln(1 + {0}) END",
    "sqrt": "CASE WHEN {0} >= 0 THEN sqrt({0}) END",
    "cube_root": "cbrt({0})",
    "circle_sin": f"CASE WHEN {{0}} BETWEEN 0 AND 11 THEN sin({_FIFTHS} * pi() / 6) END",
    "circle_cos": f"CASE WHEN {{0}} BETWEEN 0 AND 11 THEN cos({_FIFTHS} * pi() / 6) END",
    # An octave of tempo, 90 up to 180, in which half and double time are one.
    "folded": "CASE WHEN {0} > 0 THEN {0} * pow(2, -floor(log2({0} / 90))) END",
}


def _pre(name: str, raw: str) -> str:
    return _PRE[name].format(raw)


def _applied(name: str, values: Array) -> Array:
    """What the SQL of a transform gives for numbers, so that there is one definition of it."""
    connection = connected()
    try:
        connection.register("numbers", pa.table({"x": pa.array(values, from_pandas=True)}))
        found = connection.sql(f"SELECT {_pre(name, 'x')} AS y FROM numbers").to_arrow_table()
        return floats(found.column("y"))
    finally:
        connection.close()

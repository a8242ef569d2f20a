"""Applying a registered model to one row that somebody types."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from beatlake.errors import InputError
from beatlake.learn import rows
from beatlake.learn.estimators.answer import Answer, Array
from beatlake.learn.estimators.boosted import Boosted
from beatlake.learn.registry import Registered
from beatlake.learn.scoring import columns_of, known

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Features that are named as having driven a prediction.
_DRIVERS = 5


def score_row(
    spark: SparkSession | None, found: Registered, given: Sequence[str]
) -> dict[str, Any]:
    """Predict one row given as texts, with probabilities and what drove them.

    Whether the task is about the row is None where its features do not tell.

    Args:
        spark: for models that need it.
        found: the model.
        given: ``COLUMN=VALUE`` for each feature's column; an empty value is an unknown one.

    Raises:
        InputError: a feature is missing, not the model's, given twice or not a number; every one
            is named. Or the model looks at an image, which nobody types.
    """
    task = found.task
    if image := task.features.image:
        raise InputError(
            f"{task.name} looks at an image ({image.column}), which cannot be typed: score a table"
            " (--table PATH)."
        )
    reads = {feature.column: feature.reads for feature in task.features.list}
    values: dict[str, str | None] = {}
    problems = []
    for part in given:
        name, sign, value = part.partition("=")
        if not sign:
            problems.append(f"{name!r} has no value: give COLUMN=VALUE")
        elif name not in reads:
            near = difflib.get_close_matches(name, reads, n=1)
            problems.append(f"{name} is no feature" + (f" (near: {near[0]})" if near else ""))
        elif name in values:
            problems.append(f"{name} is given twice")
        else:
            values[name] = value or None
            if value and reads[name] == "number" and not _is_number(value):
                problems.append(f"{name} takes a number, and {value!r} is none")
    problems += [f"{name} is missing" for name in reads if name not in values]
    if problems:
        raise InputError(f"The row does not fit {task.name}: {'; '.join(problems)}.")
    made = _columns_of_row(found, values)
    model = found.load()
    answer = model.predict(spark, made)
    return {
        "task": task.name,
        "version": found.manifest.version,
        **_said(found, answer),
        "in_scope": made.column("in_scope")[0].as_py(),
        "drivers": _drivers(found, model, made, answer),
    }


def _is_number(value: str) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except ValueError:
        return False


def _columns_of_row(found: Registered, values: dict[str, str | None]) -> pa.Table:
    read = rows.typed(found.task)
    table = pa.table({name: pa.array([value], pa.string()) for name, value in values.items()})
    return columns_of(table, read, found.fitted.select())


def _said(found: Registered, answer: Answer) -> dict[str, Any]:
    value = answer.values[0].item()
    if found.manifest.kind != "classes":
        return {"predicted": value}
    classes = known(found)
    if answer.proba is None:
        return {"predicted": classes[value], "probabilities": None}
    by_class = sorted(
        zip(answer.proba[0].tolist(), classes, strict=True), key=lambda p: (-p[0], p[1])
    )
    return {"predicted": classes[value], "probabilities": {name: p for p, name in by_class}}


def _drivers(
    found: Registered, model: Any, made: pa.Table, answer: Answer
) -> list[dict[str, Any]] | None:
    """The columns that moved the prediction most: SHAP values of a booster, in its own units.

    Null for other estimators, which do not say.
    """
    if not isinstance(model, Boosted):
        return None
    shares: Array = model.contributions(made)[0]
    columns = found.manifest.columns
    # Those to the class that is predicted; of two classes to the second.
    margin = shares[int(answer.values[0]) if len(shares) > 1 else 0]
    meanings = {column.name: column.meaning for column in found.fitted.columns}
    order = np.argsort(-np.abs(margin[:-1]), kind="stable")[:_DRIVERS]
    return [{"feature": meanings[columns[i]], "share": float(margin[i])} for i in order]

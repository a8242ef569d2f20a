"""Two registered versions of a task beside each other, on the rows that both were judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.learn import registry
from beatlake.learn.judgement import Difference, Predictions, difference
from beatlake.learn.registry import ModelError, Registered
from beatlake.tables import ml

#: What the predictions that are kept give: they hold no probabilities but that of the prediction.
_METRICS = {
    "classes": ("accuracy", "balanced_accuracy", "macro_f1"),
    "number": ("mae", "rmse", "r2", "spearman"),
}


@dataclass(frozen=True)
class _Kept:
    """Predictions of a version, of its training or of an evaluation, by the name of the row."""

    version: int
    training_id: str
    rows: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Common:
    """What two versions said of the rows that both predicted, and how many other rows there are."""

    said: tuple[Predictions, Predictions]
    left_out: int


def compare(lake: Lake, first: Registered, second: Registered) -> list[dict[str, Any]]:
    """The metrics of two versions on the test rows that both predicted, and the paired difference.

    A line has ``metric``, ``first``, ``second``, ``difference`` (first less second), ``interval``
    (of the difference, 95 %, drawn over artists), ``first_is`` (better, worse or not told apart),
    ``n`` and ``groups`` (rows and artists in common), and ``left_out`` (rows that one of the two
    alone predicted, or for which they disagree on what is true).

    A version has predictions of the headline rung of its training and of each evaluation: those
    that share most rows are compared. None of these rows trained either model.

    Raises:
        ModelError: the two have no predictions of rows in common.
    """
    common = _common(lake, first, second)
    lines = []
    for metric in _METRICS[first.manifest.kind]:
        try:
            found = difference(*common.said, metric=metric, salt=first.manifest.salt)
        except InputError:
            # Constant predictions have no rank correlation, and a constant truth no R².
            continue
        lines.append(
            {
                "metric": metric,
                "first": found.first,
                "second": found.second,
                "difference": found.value,
                "interval": [found.low, found.high],
                "first_is": found.first_is,
                "n": found.n,
                "groups": found.groups,
                "left_out": common.left_out,
            }
        )
    return lines


def by_metric(lake: Lake, first: Registered, second: Registered, metric: str) -> Difference:
    """The paired difference of `compare` by one metric, with an interval.

    Raises:
        ModelError: the two have no predictions of rows in common, or these do not give the metric
            or its interval.
    """
    said = _common(lake, first, second).said
    try:
        found = difference(*said, metric=metric, salt=first.manifest.salt)
    except InputError as error:
        raise ModelError(str(error)) from None
    if found.low is None:
        # Without one nothing is ever told apart.
        raise ModelError(
            f"The difference of versions {first.manifest.version} and {second.manifest.version} on"
            f" the test rows that both predicted has {found.interval}."
        )
    return found


def _common(lake: Lake, one: Registered, other: Registered) -> _Common:
    """The rows that two versions are compared on.

    Raises:
        ModelError: there are none.
    """
    task, first, second = one.manifest.task, one.manifest.version, other.manifest.version
    if one.manifest.kind not in _METRICS:
        raise ModelError(f"{task} predicts nothing of a row that two models could be compared by.")
    pairs = [(a, b) for a in _kept(lake, one) for b in _kept(lake, other)]
    # The newest of those that share as many rows: events come in order.
    common: list[str] = []
    chosen = None
    for a, b in pairs:
        shared = sorted(row for row in a.rows if row in b.rows and _alike(a.rows[row], b.rows[row]))
        if shared and len(shared) >= len(common):
            common, chosen = shared, (a, b)
    if chosen is None:
        raise ModelError(
            f"Versions {first} and {second} of {task} have predicted no test row in common."
            f" `beatlake evaluate --task {task} --version {first}` judges a version on the newest"
            " release."
        )
    a, b = chosen
    classes = _classes(one, other)
    said = _predictions(a.rows, common, classes), _predictions(b.rows, common, classes)
    return _Common(said, len(a.rows.keys() | b.rows.keys()) - len(common))


def _kept(lake: Lake, found: Registered) -> list[_Kept]:
    """All predictions of a version, oldest first."""
    manifest = found.manifest
    ids = [
        row["training_id"]
        for row in registry.events(lake).of(manifest.task)
        if row["version"] == manifest.version and row["event"] in ("registered", "evaluated")
    ]
    table = lake.open(ml.PREDICTIONS.name)
    kept = []
    for training_id in ids:
        own = {"training_id": training_id, "estimator": manifest.estimator}
        rows = lake.rows(ml.PREDICTIONS.name, table, equal=own).to_pylist()
        kept.append(_Kept(manifest.version, training_id, {row["row_id"]: row for row in rows}))
    return kept


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["label"] == other["label"] and one["artist"] == other["artist"])


def _classes(*found: Registered) -> tuple[str, ...] | None:
    """Every class that one of the models knows; None for numbers."""
    if found[0].manifest.kind == "number":
        return None
    return tuple(sorted({name for one in found for name in one.manifest.classes}))


def _predictions(
    rows: dict[str, dict[str, Any]], names: Sequence[str], classes: tuple[str, ...] | None
) -> Predictions:
    listed = [rows[name] for name in names]
    if classes is None:
        true = np.array([float(row["label"]) for row in listed])
        predicted = np.array([row["number"] for row in listed])
    else:
        # A class that neither model knows is still one to miss.
        known = {name: i for i, name in enumerate(_with_labels(classes, rows, names))}
        true = np.array([known[row["label"]] for row in listed])
        predicted = np.array([known[row["predicted"]] for row in listed])
        classes = tuple(known)
    group = np.array([row["artist"] for row in listed], dtype=object)
    return Predictions(true, predicted, None, classes, group, np.array(names, dtype=object))


def _with_labels(
    classes: tuple[str, ...], rows: dict[str, dict[str, Any]], names: Sequence[str]
) -> tuple[str, ...]:
    others = {rows[name]["label"] for name in names} - set(classes)
    return (*classes, *sorted(others))

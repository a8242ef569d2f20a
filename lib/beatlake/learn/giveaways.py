"""Features that give the label away, each looked at by itself on training rows.

Thresholds: a feature that alone tells a class from the others with an AUC above 0.95, that orders a
number's rows as the label does (|Spearman| above 0.999), or from which a tree of depth 3 gives the
label at 0.99 (balanced accuracy of each class against the others on rows that the tree has not
seen; R² for a number) knows the label. AUC and Spearman are of ranks, so that no transform hides a
leak; a missing value counts as one below all others, since what is missing may give the label, too.
A feature that orders rows as the mean label of their artist does (|Spearman| above 0.999) was made
of all rows of the artist, later ones among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.learn.task import Task
from beatlake.learn.task.features import Feature
from beatlake.learn.training_rows import TrainingRows, floats
from beatlake.sql import quoted, text

Array: TypeAlias = npt.NDArray[Any]

_AUC, _SPEARMAN, _TREE = 0.95, 0.999, 0.99
#: Rows that a feature is judged on, the first in the order of the hash.
_SAMPLE = 20_000
#: A class of fewer rows in the sample says nothing about a feature.
_CLASS_ROWS = 20


def found(task: Task, rows: TrainingRows) -> Mapping[str, Mapping[str, str]]:
    """By gate, the features that break it and how; values are those before scaling.

    Args:
        task: one with a label.
        rows: the training side.
    """
    assert task.label is not None
    label = rows.column("label")[:_SAMPLE]
    auc: dict[str, str] = {}
    gives: dict[str, str] = {}
    for feature in judged(task):
        values = rows.column(f"f_{feature.name}")[:_SAMPLE]
        of_text = feature.reads == "text"
        numbers, truth = _coded(values, label) if of_text else (values, label)
        if task.label.kind == "classes":
            best = _auc(numbers, truth)
            if best is not None and best > _AUC:
                auc[feature.name] = f"AUC {best:.3f}"
        spearman = 0.0 if of_text else _spearman(numbers, truth)
        if abs(spearman) > _SPEARMAN:
            gives[feature.name] = f"Spearman {spearman:.4f}"
        else:
            tree = _tree(numbers, truth, task.label.kind == "classes")
            if tree is not None and tree >= _TREE:
                gives[feature.name] = f"a tree of depth 3 gives the label at {tree:.3f}"
    return {
        "single_feature_auc": auc,
        "feature_is_label": gives,
        "lineage_of_label": _from_label(task),
        "label_of_later_rows": _from_all_rows(task, rows),
    }


def judged(task: Task) -> list[Feature]:
    """The features that can be judged by themselves: no single value says what an image is."""
    return [feature for feature in task.features.list if feature.reads != "image"]


def _from_label(task: Task) -> dict[str, str]:
    """Features whose column is the label's, or was computed from it by the task's own account."""
    assert task.label is not None
    target = task.label.column
    broken = {}
    for feature in task.features.list:
        seen: set[str] = set()
        waiting = list(feature.columns)
        while waiting:
            column = waiting.pop()
            if column not in seen:
                seen.add(column)
                waiting += task.features.lineage.get(column, ())
        if target in seen:
            broken[feature.name] = (
                f"is {target}" if feature.column == target else f"is computed from {target}"
            )
    return broken


def _from_all_rows(task: Task, rows: TrainingRows) -> dict[str, str]:
    """Features that order artists as their mean labels do, over all of their rows.

    Such a feature was made of rows that came out later, and of the row itself. Means are taken with
    the row and without, over every row of the artist, whatever its side.
    """
    features = [f for f in task.features.list if f.reads == "number"]
    assert task.label is not None
    if not features:
        return {}
    label = "label::DOUBLE" if task.label.kind == "number" else "(label = {code})::INTEGER::DOUBLE"
    names = ", ".join(f"{quoted(f'f_{f.name}')}::DOUBLE AS c{i}" for i, f in enumerate(features))
    codes = [0] if task.label.kind == "number" else _codes(rows)
    broken: dict[str, str] = {}
    sides = ", ".join(map(text, rows.sides))
    for code in codes:
        found = rows.connection.sql(
            f"WITH said AS (SELECT row_id, {names}, {label.format(code=code)} AS y, artist,"
            " sum(y) OVER own AS total, count(*) OVER own AS n FROM prepared WHERE artist IS NOT"
            " NULL WINDOW own AS (PARTITION BY artist)) SELECT *, total / n AS whole,"
            f" (total - y) / (n - 1) AS others FROM said JOIN {rows.rung.table} USING (row_id)"
            f" WHERE n > 1 AND side IN ({sides}) ORDER BY md5(row_id), row_id"
            f" LIMIT {_SAMPLE}"
        ).to_arrow_table()
        means = [floats(found.column(name)) for name in ("whole", "others")]
        for i, feature in enumerate(features):
            values = floats(found.column(f"c{i}"))
            best = max((abs(_spearman(values, mean)) for mean in means), default=0.0)
            if best > _SPEARMAN:
                broken[feature.name] = (
                    f"orders rows as the mean of {task.label.column} over all rows of their artist"
                    f" does (Spearman {best:.4f}), later ones among them"
                )
    return broken


def _codes(rows: TrainingRows) -> list[int]:
    """The classes that training rows hold enough of."""
    found, counts = np.unique(rows.column("label"), return_counts=True)
    return [int(code) for code, n in zip(found, counts, strict=True) if n >= _CLASS_ROWS]


def _coded(values: Array, label: Array) -> tuple[Array, Array]:
    """Texts of every other row as numbers, and the labels of these rows.

    The number is the mean label of equal texts in the rows between, so that a text that stands in
    one row does not give that row's own label.
    """
    sums: dict[object, list[float]] = {}
    for value, y in zip(values[::2], label[::2], strict=True):
        entry = sums.setdefault(value, [0.0, 0.0])
        entry[0] += y
        entry[1] += 1
    overall = float(label[::2].mean())
    means = {value: total / count for value, (total, count) in sums.items()}
    return np.array([means.get(value, overall) for value in values[1::2]]), label[1::2]


def _ranks(values: Array) -> Array:
    from scipy.stats import rankdata

    lowest = np.nanmin(values) - 1 if not np.isnan(values).all() else 0.0
    ranks: Array = rankdata(np.where(np.isnan(values), lowest, values))
    return ranks


def _auc(values: Array, label: Array) -> float | None:
    """The AUC of a feature for a class against the rest, averaged over classes by their rows.

    A feature may be high or low for a class, so that the better of both directions counts.
    """
    ranks = _ranks(values)
    total, weight = 0.0, 0
    for code in np.unique(label):
        inside = label == code
        n, m = int(inside.sum()), int((~inside).sum())
        if min(n, m) < _CLASS_ROWS:
            continue
        auc = (ranks[inside].sum() - n * (n + 1) / 2) / (n * m)
        total += max(auc, 1 - auc) * n
        weight += n
    return total / weight if weight else None


def _spearman(values: Array, label: Array) -> float:
    first, second = _ranks(values), _ranks(label)
    if len(first) < _CLASS_ROWS or first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _tree(values: Array, label: Array, classes: bool) -> float | None:
    """How well a tree of depth 3 on one feature gives the label of rows that it has not seen."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    known = _ranks(values)[:, None]
    half = len(known) // 2
    if half < _CLASS_ROWS:
        return None
    if not classes:
        fitted = DecisionTreeRegressor(max_depth=3, random_state=0).fit(known[:half], label[:half])
        spread = ((label[half:] - label[half:].mean()) ** 2).sum()
        missed = ((label[half:] - fitted.predict(known[half:])) ** 2).sum()
        return float(1 - missed / spread) if spread else None
    recalls = []
    for code in np.unique(label):
        inside = label == code
        if min(inside[:half].sum(), inside[half:].sum(), (~inside[half:]).sum()) < _CLASS_ROWS:
            continue
        tree = DecisionTreeClassifier(max_depth=3, random_state=0, class_weight="balanced")
        predicted = tree.fit(known[:half], inside[:half]).predict(known[half:])
        truth = inside[half:]
        recalls.append((predicted[truth].mean() + (~predicted[~truth]).mean()) / 2)
    return float(np.mean(recalls)) if recalls else None

"""Gates: what a split promises and a feature must not know is measured before a score is shown.

A gate that is broken refuses the model (exit code 5), unless the task acknowledges it by name with
a reason, which then stands in the model's card and manifest.

Thresholds: a feature that alone tells a class from the others with an AUC above 0.95, that orders a
number's rows as the label does (|Spearman| above 0.999), or from which a tree of depth 3 gives the
label at 0.99 (balanced accuracy of each class against the others on rows that the tree has not
seen; R² for a number) knows the label. AUC and Spearman are of ranks, so that no transform hides a
leak; a missing value counts as one below all others, since what is missing may give the label, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.errors import LeakError
from beatlake.learn.engine import one, quoted, text
from beatlake.learn.features import TrainingRows
from beatlake.learn.rows import TEXTS
from beatlake.learn.splits import FITTING, PROMISES, Rung
from beatlake.learn.task import Feature, Task

if TYPE_CHECKING:
    import duckdb

Array: TypeAlias = npt.NDArray[Any]

_AUC, _SPEARMAN, _TREE = 0.95, 0.999, 0.99
#: Rows that a feature is judged on, the first in the order of the hash.
_SAMPLE = 20_000
#: A class of fewer rows in the sample says nothing about a feature.
_CLASS_ROWS = 20
#: Share of test rows that may repeat all numbers of a training row: what chance and rounding give.
_SAME_SOUND = 0.02
_ONE = {"recording": "a recording", "artist": "an artist"}
#: Rows agree by chance in fewer features, or in ones of fewer values.
_SOUND_COLUMNS, _SOUND_VALUES = 3, 100


@dataclass(frozen=True)
class Verdict:
    """What a gate found: ``passed``, or let through for a reason that the task gives."""

    gate: str
    rung: str | None
    passed: bool
    found: str
    acknowledged: str = ""


def of_rung(
    connection: duckdb.DuckDBPyConnection, rung: Rung, features: Sequence[Feature]
) -> list[Verdict]:
    """Hold an available rung to what it promises, on the sides as they are."""
    verdicts = []
    for thing in ("recording", "artist"):
        if thing in PROMISES[rung.name] and thing in rung.shared:
            shared = rung.shared[thing]
            test = rung.counts["test"]
            found = f"{shared:,} of {test:,} test rows share {_ONE[thing]} with training"
            verdicts.append(Verdict(f"{thing}s_on_both_sides", rung.name, not shared, found))
    if "recording" in PROMISES[rung.name]:
        verdicts += _same_sound(connection, rung, features)
    if "date" in PROMISES[rung.name]:
        newest, oldest = one(
            connection,
            f"SELECT max(ends) FILTER (side IN ({_listed(FITTING)})),"
            f" min(starts) FILTER (side = 'test') FROM prepared JOIN {rung.table} USING (row_id)",
        )
        found = f"training goes up to {newest}, the test starts on {oldest}"
        verdicts.append(Verdict("training_after_test", rung.name, newest < oldest, found))
    return verdicts


def _same_sound(
    connection: duckdb.DuckDBPyConnection, rung: Rung, features: Sequence[Feature]
) -> list[Verdict]:
    """Test rows all of whose numbers stand in a training row: a recording under another name."""
    given = [quoted(f"f_{f.name}") for f in features if f.form not in TEXTS]
    if not given:
        return []
    counted = one(
        connection, f"SELECT {', '.join(f'count(DISTINCT {name})' for name in given)} FROM prepared"
    )
    numbers = [name for name, n in zip(given, counted, strict=True) if n >= _SOUND_VALUES]
    if len(numbers) < _SOUND_COLUMNS:
        return []
    sound = f"struct_pack({', '.join(f'c{i} := {name}' for i, name in enumerate(numbers))})"
    rows = f"SELECT {sound} AS sound, side FROM prepared JOIN {rung.table} USING (row_id)"
    (same,) = one(
        connection,
        f"SELECT count(*) FROM ({rows}) WHERE side = 'test' AND sound IN"
        f" (SELECT sound FROM ({rows}) WHERE side IN ({_listed(FITTING)}))",
    )
    share_ = same / rung.counts["test"]
    said = (
        f"{same:,} of {rung.counts['test']:,} test rows ({share_:.1%}) repeat every number of a"
        f" training row (at most {_SAME_SOUND:.0%} do by chance)"
    )
    return [Verdict("same_sound_on_both_sides", rung.name, share_ <= _SAME_SOUND, said)]


def _listed(sides: Iterable[str]) -> str:
    return ", ".join(map(text, sides))


def of_features(task: Task, rows: TrainingRows) -> list[Verdict]:
    """Judge each feature by itself against the label, on training rows.

    Values are those before scaling. One verdict for each kind of gate names every feature that
    breaks it.
    """
    if task.label is None:
        return []
    label = rows.column("label")[:_SAMPLE]
    auc: dict[str, str] = {}
    gives: dict[str, str] = {}
    for feature in task.features.list:
        values = rows.column(f"f_{feature.name}")[:_SAMPLE]
        of_text = feature.form in TEXTS
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
    lineage = _from_label(task)
    return [
        _verdict("single_feature_auc", auc, "no feature alone tells the classes apart"),
        _verdict("feature_is_label", gives, "no feature alone gives the label"),
        _verdict("lineage_of_label", lineage, "no feature is made of the label's column"),
    ]


def _verdict(gate: str, broken: Mapping[str, str], fine: str) -> Verdict:
    found = "; ".join(f"{name}: {what}" for name, what in broken.items()) or fine
    return Verdict(gate, None, not broken, found)


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


def of_score(task: Task, rung: str, value: float | None) -> list[Verdict]:
    """Hold the headline metric of a rung to the ceiling that the task calls plausible."""
    if task.ceiling is None or value is None:
        return []
    passed = value <= task.ceiling
    found = f"{task.headline_metric} {value:.3f}, and {task.ceiling:g} is the plausible most"
    return [Verdict("score_above_ceiling", rung, passed, found)]


def settle(task: Task, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, with those marked that the task acknowledges.

    Raises:
        LeakError: a gate is broken that the task does not acknowledge; all of them are listed.
    """
    settled = [
        replace(v, acknowledged=task.acknowledge.get(v.gate, "")) if not v.passed else v
        for v in verdicts
    ]
    refused = [v for v in settled if not v.passed and not v.acknowledged]
    if refused:
        lines = [
            f"{v.gate}{f' on the {v.rung} rung' if v.rung else ''}: {v.found}." for v in refused
        ]
        raise LeakError(
            f"{task.name} is refused by a leak gate; nothing was registered.\n"
            + "\n".join(lines)
            + "\nMend the data or the features, or acknowledge the gate in the task file with the"
            " reason: acknowledge: {" + refused[0].gate + ": why it may stand}."
        )
    return settled

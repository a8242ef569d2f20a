"""Gates: what a split promises and a feature must not know is measured before a score is shown.

A gate that is broken refuses the model (exit code 5), unless the task acknowledges it by name with
a reason, which then stands in the model's card and manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from beatlake.errors import LeakError
from beatlake.learn import alike, giveaways, representative
from beatlake.learn.engine import one
from beatlake.learn.rows import Prepared
from beatlake.learn.splits import FITTING, PROMISES, Rung
from beatlake.learn.task import Task
from beatlake.learn.task.features import Feature
from beatlake.learn.training_rows import TrainingRows
from beatlake.sql import text

if TYPE_CHECKING:
    import duckdb

#: What a gate of features finds where none breaks it.
_FINE = {
    "single_feature_auc": "no feature alone tells the classes apart",
    "feature_is_label": "no feature alone gives the label",
    "lineage_of_label": "no feature is made of the label's column",
    "label_of_later_rows": "no feature is an artist's label over all days",
}
#: Those of them that judge a feature by its values.
_ALONE = ("single_feature_auc", "feature_is_label", "label_of_later_rows")
#: Share of test rows that may repeat all numbers of a training row: what chance and rounding give.
_SAME_SOUND = 0.02
_ONE = {"recording": "a recording", "artist": "an artist"}
#: How far a share of the test side may lie from that of all rows, and a mean, in standard
#: deviations; and how many standard errors of what a hash deals make that more than chance.
_UNLIKE_SHARE, _UNLIKE_NUMBER, _UNLIKE_Z = 0.05, 0.25, 4.0


#: How a verdict begins of what a gate cannot judge.
NOT_LOOKED_AT = "not looked at"


@dataclass(frozen=True)
class Verdict:
    """What a gate found: ``passed``, or let through for a reason that the task gives."""

    gate: str
    rung: str | None
    passed: bool
    found: str
    acknowledged: str = ""

    @property
    def looked(self) -> bool:
        """Whether the gate could judge what it is for."""
        return not self.found.startswith(NOT_LOOKED_AT)


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
    """Test rows that stand in training under another name: by their image, or all numbers."""
    images = alike.images(features)
    told_by = images or alike.columns(connection, features)
    if not told_by:
        return []
    same = alike.repeated(connection, rung, told_by)
    what = "the image" if images else "every number"
    said = f"{_of(same)} repeat {what} of a training row (at most {_SAME_SOUND:.0%} do by chance)"
    return [Verdict("same_sound_on_both_sides", rung.name, _few(same), said)]


def of_test_side(
    connection: duckdb.DuckDBPyConnection, task: Task, prepared: Prepared, rung: Rung
) -> list[Verdict]:
    """Hold the rows of the headline rung's test side to being rows of the world, and like all."""
    verdicts = []
    numbers = alike.columns(connection, task.features.list)
    if numbers and "recording" in PROMISES[rung.name]:
        made = alike.between(connection, rung, numbers)
        said = (
            f"{_of(made)} lie on a straight line between two training rows, as rows do that were"
            " interpolated before the split"
        )
        verdicts.append(Verdict("interpolated_on_both_sides", rung.name, _few(made), said))
    # What is new in time may differ, and that is no fault of the split.
    if task.kind != "clusters" and "date" not in PROMISES[rung.name]:
        apart = representative.furthest(connection, rung, prepared, task.splits.test)
        far = _UNLIKE_NUMBER if task.kind == "number" else _UNLIKE_SHARE
        passed = apart.size <= far or apart.z <= _UNLIKE_Z
        sides = f"{apart.test:.3g} on the test side and {apart.population:.3g} over all rows"
        said = f"{apart.what} is {sides}"
        verdicts.append(Verdict("test_unlike_population", rung.name, passed, said))
    return verdicts


def _of(share: alike.Share) -> str:
    return f"{share.found:,} of {share.of:,} test rows ({share.found / max(share.of, 1):.1%})"


def _few(share: alike.Share) -> bool:
    return share.found <= _SAME_SOUND * share.of


def _listed(sides: Iterable[str]) -> str:
    return ", ".join(map(text, sides))


def of_features(task: Task, rows: TrainingRows) -> list[Verdict]:
    """Judge each feature by itself against the label, on training rows.

    Values are those before scaling. One verdict for each kind of gate names every feature that
    breaks it.
    """
    if task.label is None:
        return []
    found = giveaways.found(task, rows)
    fine = dict(_FINE)
    if not giveaways.judged(task):
        fine |= dict.fromkeys(_ALONE, f"{NOT_LOOKED_AT}: an image says nothing by a single value")
    return [_verdict(gate, found[gate], fine[gate]) for gate in _FINE]


def _verdict(gate: str, broken: Mapping[str, str], fine: str) -> Verdict:
    found = "; ".join(f"{name}: {what}" for name, what in broken.items()) or fine
    return Verdict(gate, None, not broken, found)


def of_score(task: Task, rung: str, estimator: str, value: float | None) -> list[Verdict]:
    """Hold a model's headline metric on a rung to the ceiling that the task calls plausible."""
    if task.ceiling is None or value is None:
        return []
    passed = value <= task.ceiling
    found = (
        f"{task.headline_metric} {value:.3f} of {estimator}, and {task.ceiling:g} is the plausible"
        " most"
    )
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

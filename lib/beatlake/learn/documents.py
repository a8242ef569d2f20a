"""The facts of a training, as a model card shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from beatlake.learn.card import (
    BEFORE,
    TRAINING,
    CardFacts,
    FeatureGroup,
    Gate,
    Leakage,
    Tried,
    Variant,
    Weight,
    render,
)
from beatlake.learn.card import Rung as Shown
from beatlake.learn.gates import Verdict
from beatlake.learn.importance import METHODS, Importance
from beatlake.learn.ladder import Judged
from beatlake.learn.rows import Prepared
from beatlake.learn.source import Source
from beatlake.learn.splits import PROMISES, Rung
from beatlake.learn.task import GATES, Task
from beatlake.learn.tuning import Candidate, Choice

#: What resampling is judged by: it may buy recall of the rare classes with calibration.
_IMBALANCE = ("accuracy", "balanced_accuracy", "macro_f1", "pr_auc", "brier", "ece")


def card(
    task: Task,
    prepared: Prepared,
    rungs: Sequence[Rung],
    own: Sequence[Judged],
    judged: Judged,
    verdicts: Sequence[Verdict],
    importances: Sequence[Importance],
    source: Source,
    version: str,
    created: str,
    libraries: Mapping[str, str],
    sweep: Sequence[Mapping[str, float | int | None]] = (),
    unresampled: Judged | None = None,
) -> dict[str, bytes]:
    """The card of one model as files by name.

    Args:
        task: the question.
        prepared: what became of the rows.
        rungs: the ladder.
        own: the model's estimator on every available rung.
        judged: the same on the headline rung.
        verdicts: of the gates.
        importances: of features.
        source: the table.
        version: of the model.
        created: when, as ISO 8601.
        libraries: versions.
        sweep: the model with other numbers of clusters.
        unresampled: the model without the task's resampling.
    """
    by_rung = {one.rung.name: one for one in own}
    by_kind = {v.gate: v for v in verdicts if v.rung is None}
    metric = task.headline_metric
    return render(
        CardFacts(
            task=task.name,
            version=version,
            created=created,
            question=task.question,
            estimator=judged.estimator.name,
            headline=judged.rung.name,
            metric=metric,
            judgement=judged.judgement,
            rungs=tuple(_shown(rung, by_rung.get(rung.name), metric) for rung in rungs),
            verdict=judged.verdict,
            parameters=dict(judged.estimator.parameters),
            tried=tuple(_tried(choice) for choice in judged.choices),
            features=tuple(
                FeatureGroup(
                    name, tuple(f.name for f in group.features), group.known, group.hindsight
                )
                for name, group in task.features.used.items()
            ),
            importances={
                text.format(metric=metric): tuple(
                    Weight(one.feature, one.value, one.low, one.high)
                    for one in importances
                    if one.method == method
                )
                for method, text in METHODS.items()
                if any(one.method == method for one in importances)
            },
            gates=tuple(
                Gate(
                    f"{v.gate} ({v.rung})" if v.rung else v.gate,
                    v.passed,
                    v.found,
                    v.acknowledged,
                    v.looked,
                )
                for v in verdicts
            ),
            leakage=Leakage(
                shared=dict(judged.rung.shared),
                fitted={
                    "scaling, filling and encoding of features": TRAINING,
                    **(
                        {f"resampling ({task.resampling.how})": TRAINING}
                        if task.resampling.how != "none"
                        else {}
                    ),
                },
                selected=_selected(judged.choices),
                train_until=judged.rung.train_until,
                test_from=judged.rung.tests_since,
                from_label=_broken(by_kind.get("lineage_of_label")),
                too_good=(
                    None
                    if task.features.image
                    else _said(by_kind, "single_feature_auc", "feature_is_label")
                ),
                dropped=dict(prepared.dropped),
                population=f"{prepared.rows:,} rows of {source.described}",
                base_rate=dict(prepared.base_rate),
                acknowledged=_acknowledged(verdicts),
            ),
            clusters=judged.clusters,
            sweep=tuple(sweep),
            imbalance=_imbalance(task, judged, unresampled),
            inputs=dict(source.versions),
            libraries=dict(libraries),
            salt=task.splits.salt,
            uses=task.uses,
            limits=(*task.limits, *_limits(task, prepared, judged)),
        )
    )


def _tried(choice: Choice) -> Tried:
    if choice.step == "search":
        title = f"Parameters, {choice.how}."
        names = [_parameters(one, choice.candidates) for one in choice.candidates]
    else:
        gone = ", ".join(choice.dropped) or "none"
        title = f"Recursive elimination of features. Eliminated, the first to go first: {gone}."
        names = [f"{one.features} features" for one in choice.candidates]
    rows = zip(names, choice.candidates, strict=True)
    return Tried(
        title,
        choice.metric,
        tuple((name, one.values, place == choice.chosen) for place, (name, one) in enumerate(rows)),
    )


def _parameters(one: Candidate, beside: Sequence[Candidate]) -> str:
    """Those parameters of a candidate in which candidates differ."""
    return ", ".join(
        f"{name} {value}"
        for name, value in one.parameters.items()
        if any(other.parameters[name] != value for other in beside)
    )


def _selected(choices: Sequence[Choice]) -> dict[str, str]:
    before = f"the task file, {BEFORE}"
    steps = {choice.step for choice in choices}
    return {
        "features": TRAINING if "elimination" in steps else before,
        "parameters": TRAINING if "search" in steps else before,
    }


def _shown(rung: Rung, judged: Judged | None, metric: str) -> Shown:
    verdict = judged.verdict if judged else None
    return Shown(
        name=rung.name,
        promise=rung.promise,
        score=judged.score(metric) if judged else None,
        unavailable=rung.unavailable,
        baseline=verdict.differences[verdict.strongest].second if verdict else None,
        train=judged.fold.rows if judged else rung.counts.get("train", 0),
        test=rung.counts.get("test", 0),
        purged=rung.counts.get("purged", 0),
        shared=dict(rung.shared),
        train_until=rung.train_until,
        tests_since=rung.tests_since,
    )


def _imbalance(task: Task, judged: Judged, unresampled: Judged | None) -> tuple[Variant, ...]:
    if unresampled is None:
        return ()
    return tuple(
        Variant(name, tuple(s for s in one.scores if s.slice is None and s.metric in _IMBALANCE))
        for name, one in (("none", unresampled), (task.resampling.how, judged))
    )


def _acknowledged(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """The reasons that the task gives, by the kind of leak that their gates look for."""
    reasons: dict[str, dict[str, str]] = {}
    for verdict in verdicts:
        if verdict.acknowledged:
            reasons.setdefault(GATES[verdict.gate], {})[verdict.gate] = verdict.acknowledged
    return {
        kind: "; ".join(f"{gate}: {reason}" for gate, reason in by_gate.items())
        for kind, by_gate in reasons.items()
    }


def _limits(task: Task, prepared: Prepared, judged: Judged) -> Iterator[str]:
    """What follows for a model's use from how it was made."""
    if prepared.dropped:
        left = "; ".join(f"{rows:,} ({reason})" for reason, rows in prepared.dropped.items())
        yield f"Its scores say nothing of rows like those that were left out: {left}."
    if judged.rung.train_until is not None and "date" not in PROMISES[judged.rung.name]:
        yield (
            f"It was trained on rows up to {judged.rung.train_until}: for later ones the rungs in"
            " time say what to expect, where there are any."
        )
    if task.kind == "classes":
        known = len(judged.fold.classes)
        yield f"It takes every row for one of {known} classes, one of a further class, too."
    facts = judged.model.facts()
    if facts.get("rows") != facts.get("of_rows"):
        which = facts.get("rows_are", "the first in the order of a hash of their names")
        yield f"It was fitted on {facts['rows']:,} of {facts['of_rows']:,} training rows, {which}."


def _broken(verdict: Verdict | None) -> tuple[str, ...] | None:
    if verdict is None:
        return None
    return () if verdict.passed else tuple(p.split(":")[0] for p in verdict.found.split("; "))


def _said(verdicts: Mapping[str, Verdict], *names: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for name in names:
        verdict = verdicts.get(name)
        if verdict is None:
            return None
        if not verdict.passed:
            found |= dict(part.split(": ", 1) for part in verdict.found.split("; "))
    return found

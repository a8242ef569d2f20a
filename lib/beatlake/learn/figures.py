"""Rows of the `ml` tables: what a training or an evaluation measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from beatlake.learn.judgement import Predictions, Score, Verdict
from beatlake.learn.splits import SIDES, Rung

#: Begins the name of a baseline where that of an estimator stands.
BASELINE = "baseline: "
#: Begins that of an estimator that was fitted without the task's resampling, to stand beside.
UNRESAMPLED = "unresampled: "


def split(training_id: str, task: str, salt: str, rung: Rung) -> dict[str, object]:
    """The row of a rung in `ml.splits`."""
    return {
        "training_id": training_id,
        "task": task,
        "rung": rung.name,
        "unavailable": rung.unavailable or None,
        "promise": rung.promise,
        "salt": salt,
        **{side: rung.counts.get(side, 0) for side in SIDES},
        "test_from": rung.test_from,
        "train_until": rung.train_until,
        "tests_since": rung.tests_since,
        "shared_recordings": rung.shared.get("recording"),
        "shared_artists": rung.shared.get("artist"),
    }


def metrics(
    training_id: str, task: str, rung: str, estimator: str, scores: Iterable[Score]
) -> Iterator[dict[str, object]]:
    """The rows of scores in `ml.metrics`."""
    base = {"training_id": training_id, "task": task, "rung": rung, "estimator": estimator}
    for score in scores:
        yield {**base, **score.to_row()}


def baselines(
    training_id: str, task: str, rung: str, verdict: Verdict
) -> Iterator[dict[str, object]]:
    """The rows of baselines in `ml.metrics`, by the metric that a model was compared by."""
    for name, found in verdict.differences.items():
        score = Score(
            found.metric,
            found.second,
            None,
            None,
            found.n,
            found.groups,
            None,
            "none: see the paired difference in the model's card",
        )
        yield from metrics(training_id, task, rung, f"{BASELINE}{name}", (score,))


def predictions(
    training_id: str, task: str, rung: str, estimator: str, said: Predictions
) -> Iterator[dict[str, object]]:
    """The rows of the predictions of a test side in `ml.predictions`."""
    confidence = said.confidence
    for i, row_id in enumerate(said.row_id.tolist()):
        true, predicted = said.y_true[i].item(), said.y_pred[i].item()
        yield {
            "training_id": training_id,
            "task": task,
            "estimator": estimator,
            "rung": rung,
            "row_id": row_id,
            "artist": said.group[i],
            "label": said.classes[true] if said.classes else repr(true),
            "predicted": said.classes[predicted] if said.classes else repr(predicted),
            "number": None if said.classes else predicted,
            "probability": None if confidence is None else float(confidence[i]),
        }


def headline(score: Score | None) -> dict[str, float | None]:
    """A score as `ml.models` holds it."""
    if score is None:
        return {"value": None, "low": None, "high": None}
    return {"value": score.value, "low": score.low, "high": score.high}

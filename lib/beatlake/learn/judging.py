"""A model judged on a rung: what it said of the test rows, and what baselines say of them.

Baselines know the rung's training side alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.errors import InputError
from beatlake.learn import estimators, folds
from beatlake.learn.features import FittedFeatures
from beatlake.learn.judgement import (
    Clusters,
    Judgement,
    Predictions,
    Score,
    Training,
    Verdict,
    baselines,
    beats,
    classification,
    clustering,
    regression,
)
from beatlake.learn.splits import FITTING, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from beatlake.learn.sides import Sides

#: Rows that a one-feature baseline is fitted on, the first in the order of the hash.
_SAMPLE = 20_000


@dataclass(frozen=True)
class Said:
    """What a model said about the test rows of a rung, judged.

    Args:
        scores: over all test rows, then by slice.
        predictions: of the test rows; None for clusters.
        judgement: of them; None for clusters.
        clusters: of an unsupervised task.
    """

    scores: tuple[Score, ...]
    predictions: Predictions | None = None
    judgement: Judgement | None = None
    clusters: Clusters | None = None

    def score(self, metric: str) -> Score | None:
        """A score over all test rows; None where the rows do not give it."""
        return overall(self.scores, metric)


def overall(scores: Sequence[Score], metric: str) -> Score | None:
    """A score over all rows, not over a slice; None where there is none."""
    return next((s for s in scores if s.metric == metric and s.slice is None), None)


def judge(
    sides: Sides,
    rung: Rung,
    fitted: FittedFeatures,
    classes: tuple[int, ...],
    test: pa.Table,
    answer: estimators.Answer,
) -> Said:
    """Judge what a model answered to the test rows of a rung.

    Args:
        sides: of the rows.
        rung: an available one.
        fitted: the model's columns.
        classes: codes of those that the model knows, in its own order.
        test: the rows, of `Sides.test`.
        answer: to them.
    """
    task, facts = sides.task, sides.facts(rung, "side = 'test'")
    salt = task.splits.salt
    if task.kind == "clusters":
        from beatlake.learn.estimators.answer import matrix

        sliced = sides.slices(facts)
        clusters = clustering(
            matrix(test, fitted.names),
            answer.values,
            next((sliced[name] for name in task.slices), None),
            salt=salt,
            names=fitted.names,
            group=facts.column("grouped").to_numpy(zero_copy_only=False),
        )
        return Said(clusters.scores, clusters=clusters)
    predictions = sides.predictions(facts, classes, test, answer)
    by_kind = classification if predictions.classes else regression
    judgement = by_kind(predictions, salt=salt)
    return Said(judgement.scores, predictions, judgement)


@dataclass(frozen=True)
class Baselines:
    """The baselines of every rung, each made once.

    Args:
        sides: of the rows.
    """

    sides: Sides
    _made: dict[str, Mapping[str, Predictions]] = field(default_factory=dict)

    def verdict(self, rung: Rung, given: Said) -> Verdict | None:
        """What a model said beside the baselines, by the task's metric.

        None where the rows do not give the metric, or the table has none to take a baseline from.
        """
        task, predictions = self.sides.task, given.predictions
        score = given.score(task.headline_metric)
        known = any(rung.counts[side] for side in FITTING)
        if predictions is None or score is None or score.value is None or not known:
            return None
        if rung.name not in self._made:
            self._made[rung.name] = self._of(rung, predictions)
        return beats(
            predictions,
            self._made[rung.name],
            metric=task.headline_metric,
            salt=task.splits.salt,
        )

    def _of(self, rung: Rung, said: Predictions) -> Mapping[str, Predictions]:
        where = f"side IN ({', '.join(repr(side) for side in FITTING)})"
        task = self.sides.task
        known = self.sides.facts(rung, where)
        label = known.column("label").to_numpy()
        training = Training(
            label.astype(np.int64) if said.classes else label.astype(np.float64),
            known.column("grouped").to_numpy(zero_copy_only=False),
            self.sides.slices(known),
        )
        by = [name for name in (*task.slices, "year") if name in self.sides.prepared.slices]
        return baselines(
            training,
            said,
            salt=task.splits.salt,
            by=by,
            one_feature=self._one_feature(rung, said),
        )

    def _one_feature(self, rung: Rung, said: Predictions) -> Predictions | None:
        """A tree of depth 3 on the column that serves training rows best, if one says anything."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        try:
            fitted = self.sides.fitted(rung, watched=False)
        except InputError:
            # A model that is judged again may meet a table with few rows besides those it tests.
            return None
        if fitted.images:
            # A tree asks for single numbers.
            return None
        rows = folds.table(self.sides.connection, rung, fitted, FITTING)
        test = self.sides.test(rung, fitted)
        label = rows.column("label").to_numpy()[:_SAMPLE]
        kind = DecisionTreeClassifier if said.classes else DecisionTreeRegressor
        best: tuple[float, str, Any] | None = None
        for name in fitted.names:
            values = rows.column(name).to_numpy()[:_SAMPLE, None]
            tree = kind(max_depth=3, random_state=0).fit(values, label)
            # Equal scores are decided by the order of the columns.
            if best is None or tree.score(values, label) > best[0]:
                best = tree.score(values, label), name, tree
        assert best is not None
        _, name, tree = best
        values = test.column(name).to_numpy()[:, None]
        predicted = tree.predict(values)
        if not said.classes:
            return replace(said, y_pred=predicted)
        proba = np.zeros((len(predicted), len(said.classes)))
        proba[:, tree.classes_.astype(np.int64)] = tree.predict_proba(values)
        return replace(said, y_pred=predicted.astype(np.int64), proba=proba)

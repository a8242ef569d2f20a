"""The ladder: every estimator of a task fitted and judged on every rung that the table can have.

The rungs share the reading, the keys and the features' values; what is fitted is fitted anew on
each rung's training side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.learn import estimators, folds
from beatlake.learn.estimators import Model
from beatlake.learn.features import FittedFeatures
from beatlake.learn.folds import Fold
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
from beatlake.learn.sides import Sides
from beatlake.learn.splits import Rung
from beatlake.learn.task import Estimator
from beatlake.learn.tuning import ELIMINATED, Choice, Tuner

if TYPE_CHECKING:
    import pyarrow as pa

Array: TypeAlias = npt.NDArray[Any]

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
        return _overall(self.scores, metric)


@dataclass(frozen=True)
class Judged:
    """One estimator on one rung.

    Args:
        rung: the split.
        estimator: from the task, with the parameters that were chosen.
        model: as fitted on the rung's training side.
        fitted: its columns.
        fold: what it was fitted on.
        scores: over all test rows, then by slice.
        predictions: of the test rows; None for clusters.
        judgement: of them; None for clusters.
        clusters: of an unsupervised task.
        verdict: beside the baselines; None for clusters.
        seconds: of choices, fit and prediction.
        choices: of parameters and features, made inside the rung's training side.
    """

    rung: Rung
    estimator: Estimator
    model: Model
    fitted: FittedFeatures
    fold: Fold
    scores: tuple[Score, ...]
    predictions: Predictions | None
    judgement: Judgement | None
    clusters: Clusters | None
    verdict: Verdict | None
    seconds: float
    choices: tuple[Choice, ...] = ()

    def score(self, metric: str) -> Score | None:
        """A score over all test rows; None where the rows do not give it."""
        return _overall(self.scores, metric)


def _overall(scores: Sequence[Score], metric: str) -> Score | None:
    return next((s for s in scores if s.metric == metric and s.slice is None), None)


def said(
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
    judge = classification if predictions.classes else regression
    judgement = judge(predictions, salt=salt)
    return Said(judgement.scores, predictions, judgement)


@dataclass
class Climb:
    """A climb of the ladder: what all rungs share.

    Args:
        tuner: settles parameters and features; holds the rows and the session.
        say: is told what happens.
    """

    tuner: Tuner
    say: Callable[[str], None] = lambda _: None
    _baselines: dict[str, Mapping[str, Predictions]] = field(default_factory=dict)

    @property
    def sides(self) -> Sides:
        """The rows."""
        return self.tuner.sides

    def rung(self, rung: Rung) -> Iterator[Judged]:
        """Every estimator on an available rung, in the task's order.

        Raises:
            InputError: an estimator cannot be fitted on the rung's training side.
        """
        task, spark = self.sides.task, self.tuner.spark
        for given in task.estimators:
            started = time.monotonic()
            settled = self.tuner.settle(rung, given)
            estimator = settled.estimator
            for choice in settled.choices:
                self.say(f"{rung.name}: {estimator.name} {choice}")
            watched = self.sides.watched(rung, estimator)
            fitted = self.sides.fitted(rung, watched).only(settled.features, ELIMINATED)
            fold = self.sides.fold(rung, fitted, watched)
            model = estimators.fit(
                spark, estimator.name, task.kind, fold, estimator.parameters, task.seed
            )
            test = self.sides.test(rung, fitted)
            answer = model.predict(spark, test)
            judged = replace(
                self._judged(rung, estimator, model, fitted, fold, test, answer, started),
                choices=settled.choices,
            )
            self.say(
                f"{rung.name}: {estimator.name} {judged.score(task.headline_metric)}"
                f" in {judged.seconds:.0f} s"
            )
            yield judged

    def _judged(
        self,
        rung: Rung,
        estimator: Estimator,
        model: Model,
        fitted: FittedFeatures,
        fold: Fold,
        test: pa.Table,
        answer: estimators.Answer,
        started: float,
    ) -> Judged:
        seconds = time.monotonic() - started
        given = said(self.sides, rung, fitted, fold.classes, test, answer)
        verdict = None
        if given.predictions is not None and given.judgement is not None:
            verdict = self._verdict(rung, given.predictions, given.judgement)
        return Judged(
            rung,
            estimator,
            model,
            fitted,
            fold,
            given.scores,
            given.predictions,
            given.judgement,
            given.clusters,
            verdict,
            seconds,
        )

    def _verdict(self, rung: Rung, said: Predictions, judgement: Judgement) -> Verdict | None:
        task = self.sides.task
        metric = task.headline_metric
        try:
            if judgement.score(metric).value is None:
                return None
        except KeyError:
            return None
        if rung.name not in self._baselines:
            self._baselines[rung.name] = self._made_baselines(rung, said)
        return beats(said, self._baselines[rung.name], metric=metric, salt=task.splits.salt)

    def _made_baselines(self, rung: Rung, said: Predictions) -> Mapping[str, Predictions]:
        where = f"side IN ({', '.join(repr(side) for side in folds.sides_of(False))})"
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

    def _one_feature(self, rung: Rung, said: Predictions) -> Predictions:
        """A tree of depth 3 on the column that serves training rows best."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        fitted = self.sides.fitted(rung, watched=False)
        rows = folds.table(self.sides.connection, rung, fitted, folds.sides_of(False))
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

"""The ladder: every estimator of a task fitted and judged on every rung that the table can have.

The rungs share the reading, the keys and the features' values; what is fitted is fitted anew on
each rung's training side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from beatlake.learn import estimators
from beatlake.learn.algorithms import Estimator
from beatlake.learn.estimators import Model
from beatlake.learn.features import FittedFeatures
from beatlake.learn.folds import Fold
from beatlake.learn.judgement import (
    Clusters,
    Judgement,
    Predictions,
    Score,
    Verdict,
)
from beatlake.learn.judging import Baselines, judge, overall
from beatlake.learn.sides import Sides
from beatlake.learn.splits import Rung
from beatlake.learn.tuning import ELIMINATED, Choice, Tuner

if TYPE_CHECKING:
    pass


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
        return overall(self.scores, metric)


@dataclass
class Climb:
    """A climb of the ladder: what all rungs share.

    Args:
        tuner: settles parameters and features; holds the rows and the session.
        say: is told what happens.
    """

    tuner: Tuner
    say: Callable[[str], None] = lambda _: None
    _baselines: Baselines = field(init=False)

    def __post_init__(self) -> None:
        """Baselines are made once for all estimators."""
        self._baselines = Baselines(self.sides)

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
        for asked in task.estimators:
            started = time.monotonic()
            settled = self.tuner.settle(rung, asked)
            estimator = settled.estimator
            for choice in settled.choices:
                self.say(f"{rung.name}: {estimator.name} {choice}")
            watched = self.sides.watched(rung, estimator)
            fitted = self.sides.fitted(rung, watched).only(settled.features, ELIMINATED)
            fold = self.sides.fold(rung, fitted, watched, estimator)
            model = estimators.fit(
                spark,
                estimator.name,
                task.kind,
                fold,
                estimator.parameters,
                task.seed,
                records=self.tuner.records,
            )
            test = self.sides.test(rung, fitted)
            answer = model.predict(spark, test)
            seconds = time.monotonic() - started
            given = judge(self.sides, rung, fitted, fold.classes, test, answer)
            judged = Judged(
                rung,
                estimator,
                model,
                fitted,
                fold,
                given.scores,
                given.predictions,
                given.judgement,
                given.clusters,
                self._baselines.verdict(rung, given),
                seconds,
                settled.choices,
            )
            self.say(
                f"{rung.name}: {estimator.name} {judged.score(task.headline_metric)}"
                f" in {judged.seconds:.0f} s"
            )
            yield judged

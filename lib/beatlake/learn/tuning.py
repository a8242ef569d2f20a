"""Choices that a fit needs, made on group folds inside the training side of a rung.

Parameters are searched first, then features are eliminated with the parameters that were chosen.
Every candidate is fitted on the other folds of a rung's training side, columns and resampler
included, and judged on the fold that is left out; no row of the test side has a part in it. The
rungs choose for themselves: what one may train on may be another's test side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pyarrow as pa

from beatlake.learn import estimators, splits
from beatlake.learn.algorithms import Elimination, Estimator, Range, Search, Value
from beatlake.learn.candidates import candidates
from beatlake.learn.features import FittedFeatures
from beatlake.learn.folds import Fold
from beatlake.learn.judgement import value_of
from beatlake.learn.judgement.scores import LESS_IS_BETTER
from beatlake.learn.records import Outcome, Records
from beatlake.learn.sides import Sides
from beatlake.learn.splits import Rung

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Values: TypeAlias = list[tuple[float, ...]]

#: Why an eliminated feature is not among a model's.
ELIMINATED = "eliminated: folds of the training side do no worse without it"


@dataclass(frozen=True)
class Candidate:
    """What was tried, and what it scored on each fold.

    Args:
        parameters: of the estimator, all of them.
        features: how many it was fitted on.
        values: of the metric, by fold.
    """

    parameters: Mapping[str, Value]
    features: int
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the folds."""
        return fmean(self.values)


@dataclass(frozen=True)
class Choice:
    """One choice among candidates.

    Args:
        step: what was chosen.
        how: which candidates there were, as half a sentence.
        metric: that they are compared by.
        candidates: in the order of trial.
        chosen: place of the best; of equal ones the first.
        dropped: features that were eliminated, the first to go first.
    """

    step: Literal["search", "elimination"]
    how: str
    metric: str
    candidates: tuple[Candidate, ...]
    chosen: int
    dropped: tuple[str, ...] = ()

    def __str__(self) -> str:
        best = self.candidates[self.chosen]
        folds = f"{self.metric} {best.mean:.3f} over {len(best.values)} folds"
        if self.step == "elimination":
            gone = ", ".join(self.dropped) or "none"
            return f"keeps {best.features} features ({folds}); eliminated: {gone}"
        return f"takes {_listed(best.parameters)} of {len(self.candidates)} candidates ({folds})"

    def to_json(self) -> dict[str, Any]:
        """The choice for a manifest."""
        return {
            "step": self.step,
            "how": self.how,
            "metric": self.metric,
            "chosen": self.chosen,
            "dropped": list(self.dropped),
            "candidates": [
                {
                    "parameters": dict(one_of.parameters),
                    "features": one_of.features,
                    "values": list(one_of.values),
                }
                for one_of in self.candidates
            ],
        }


def _listed(parameters: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parameters.items())


@dataclass(frozen=True)
class Settled:
    """An estimator whose parameters and features are settled, and how they came to be."""

    estimator: Estimator
    features: tuple[str, ...]
    choices: tuple[Choice, ...] = ()


@dataclass
class Tuner:
    """Settles what a task leaves open.

    Args:
        sides: of the task's rows.
        spark: fits.
        records: of fits that were made before.
        parallel: fits that may run side by side.
    """

    sides: Sides
    spark: SparkSession
    records: Records = field(default_factory=Records)
    parallel: int = 1

    def settle(self, rung: Rung, estimator: Estimator) -> Settled:
        """The parameters and features of an estimator on a rung.

        Raises:
            InputError: a fold has no row, or one class only, or does not give the metric.
        """
        features = tuple(feature.name for feature in self.sides.task.features.list)
        choices = []
        if estimator.search:
            choice = self._search(rung, estimator, estimator.search, features)
            parameters = choice.candidates[choice.chosen].parameters
            estimator = estimator.model_copy(update={"parameters": dict(parameters)})
            choices.append(choice)
        if estimator.elimination:
            choice = self._eliminate(rung, estimator, estimator.elimination, features)
            features = tuple(name for name in features if name not in choice.dropped)
            choices.append(choice)
        return Settled(estimator, features, tuple(choices))

    def _search(
        self, rung: Rung, estimator: Estimator, search: Search, features: tuple[str, ...]
    ) -> Choice:
        seed = self.sides.task.seed
        tried = [
            estimator.model_copy(update={"parameters": {**estimator.parameters, **drawn}})
            for drawn in candidates(search, estimator.name, seed)
        ]
        judged = self._by_fold(
            rung,
            search.folds,
            lambda inner: self._outcomes(inner, search.folds, tried, features),
        )
        ranges = any(isinstance(values, Range) for values in search.over.values())
        drawn = search.draws is not None and (ranges or len(tried) == search.draws)
        found = tuple(
            Candidate(one_of.parameters, len(features), values)
            for one_of, values in zip(tried, judged, strict=True)
        )
        how = f"drawn at random with seed {seed}" if drawn else "every combination"
        return Choice("search", how, self.sides.task.headline_metric, found, self._best(found))

    def _eliminate(
        self, rung: Rung, estimator: Estimator, how: Elimination, features: tuple[str, ...]
    ) -> Choice:
        sizes = list(range(len(features), min(how.least, len(features)) - 1, -how.step))
        judged = self._by_fold(
            rung,
            how.folds,
            lambda inner: [
                outcome for outcome, _ in self._path(inner, how, estimator, features, sizes)
            ],
        )
        # The fewest first: of equal ones they are chosen.
        tried = [
            Candidate(estimator.parameters, size, values)
            for size, values in zip(sizes, judged, strict=True)
        ][::-1]
        best = self._best(tried)
        dropped: list[str] = []
        left = features
        # The last fit on the way is the ladder's own.
        above = sizes[: sizes.index(tried[best].features)]
        for _, kept in self._path(rung, how, estimator, features, above):
            dropped += [name for name in left if name not in kept]
            left = kept
        return Choice(
            "elimination",
            f"{len(tried)} numbers of features",
            self.sides.task.headline_metric,
            tuple(tried),
            best,
            tuple(dropped),
        )

    def _path(
        self,
        rung: Rung,
        how: Elimination,
        estimator: Estimator,
        features: tuple[str, ...],
        sizes: Sequence[int],
    ) -> Iterator[tuple[Outcome, tuple[str, ...]]]:
        """A fit on each number of features, and the features that are left after it."""
        for size in sizes:
            (outcome,) = self._outcomes(rung, how.folds, [estimator], features)
            features = _needed(features, outcome.importances, max(0, size - how.step))
            yield outcome, features

    def _best(self, tried: Sequence[Candidate]) -> int:
        sign = -1 if self.sides.task.headline_metric in LESS_IS_BETTER else 1
        # Of equal ones the first: max keeps it.
        return max(range(len(tried)), key=lambda place: sign * tried[place].mean)

    def _by_fold(self, rung: Rung, folds: int, judge: Callable[[Rung], list[Outcome]]) -> Values:
        """What is judged on each inner split of a rung: a row for each candidate, by fold."""
        task = self.sides.task
        found = []
        for inner in splits.inner(self.sides.connection, rung, task.splits.salt, folds):
            try:
                found.append([outcome.value for outcome in judge(inner)])
            finally:
                self.sides.forget(inner)
        return [
            tuple(value for value in values if value is not None)
            for values in zip(*found, strict=True)
        ]

    def _outcomes(
        self, rung: Rung, folds: int, tried: Sequence[Estimator], features: tuple[str, ...]
    ) -> list[Outcome]:
        """What each candidate gives on a split, from its record or a fit."""
        origins = [self._origin(rung, folds, one_of, features) for one_of in tried]
        found = [self.records.find(origin) for origin in origins]
        left = [place for place, outcome in enumerate(found) if outcome is None]
        if not left:
            return [outcome for outcome in found if outcome is not None]
        ground = _Ground.of(self.sides, rung, tried[0], features)

        def made(place: int) -> Outcome:
            outcome = self._fit(ground, tried[place], min(self.parallel, len(left)))
            self.records.keep(origins[place], outcome)
            return outcome

        for place, outcome in self._side_by_side(made, left):
            found[place] = outcome
        return [outcome for outcome in found if outcome is not None]

    def _side_by_side(
        self, made: Callable[[int], Outcome], left: Sequence[int]
    ) -> Iterator[tuple[int, Outcome]]:
        """Fits, `parallel` at a time; when one fails, those that have not begun never do."""
        if self.parallel == 1 or len(left) == 1:
            for place in left:
                yield place, made(place)
            return
        from pyspark import inheritable_thread_target

        with ThreadPoolExecutor(self.parallel) as pool:
            # Fits belong to the job group and the tags of who asked for them.
            work = inheritable_thread_target(self.spark)(made)
            begun = {pool.submit(work, place): place for place in left}
            try:
                for done in as_completed(begun):
                    yield begun[done], done.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _fit(self, ground: _Ground, estimator: Estimator, side_by_side: int) -> Outcome:
        task = self.sides.task
        model = estimators.fit(
            self.spark,
            estimator.name,
            task.kind,
            ground.fold,
            estimator.parameters,
            task.seed,
            side_by_side,
            records=self.records,
        )
        importances = {}
        if estimator.elimination:
            importances = ground.fitted.by_feature(estimators.column_importances(model))
        if ground.test is None or ground.known is None:
            return Outcome(value=None, importances=importances)
        said = self.sides.predictions(
            ground.known, ground.fold.classes, ground.test, model.predict(self.spark, ground.test)
        )
        return Outcome(value=value_of(said, task.headline_metric), importances=importances)

    def _origin(
        self, rung: Rung, folds: int, estimator: Estimator, features: tuple[str, ...]
    ) -> dict[str, Any]:
        """All that the outcome of a fit follows from, besides what the records share."""
        task = self.sides.task
        used = [f.model_dump(mode="json") for f in task.features.list if f.name in features]
        return {
            "rows": self.sides.digest(rung),
            "split": [rung.name, rung.fold, folds if rung.fold else 0, task.splits.salt],
            "features": used,
            "scale": task.features.scale,
            "resampling": task.resampling.model_dump(mode="json"),
            "kind": task.kind,
            "metric": task.headline_metric,
            "seed": task.seed,
            "estimator": estimator.name,
            "parameters": dict(estimator.parameters),
            "ranked": estimator.elimination is not None,
        }


@dataclass(frozen=True)
class _Ground:
    """A split as fits meet it; the rows that judge are None on a rung itself."""

    fitted: FittedFeatures
    fold: Fold
    test: pa.Table | None
    known: pa.Table | None

    @classmethod
    def of(
        cls, sides: Sides, rung: Rung, estimator: Estimator, features: tuple[str, ...]
    ) -> _Ground:
        watched = sides.watched(rung, estimator)
        fitted = sides.fitted(rung, watched).only(features, ELIMINATED)
        fold = sides.fold(rung, fitted, watched, estimator)
        if not rung.fold:
            return cls(fitted, fold, None, None)
        return cls(fitted, fold, sides.test(rung, fitted), sides.facts(rung, "side = 'test'"))


def _needed(
    features: tuple[str, ...], importances: Mapping[str, float], size: int
) -> tuple[str, ...]:
    """The features that a model makes most of, in their order; of equal ones the first.

    One that gave no column, being empty or constant, is needed less than any other.

    >>> _needed(("a", "b", "c"), {"a": 0.1, "c": 0.0}, 2)
    ('a', 'c')
    """
    ranked = sorted(features, key=lambda name: -importances.get(name, -1.0))
    return tuple(name for name in features if name in ranked[:size])

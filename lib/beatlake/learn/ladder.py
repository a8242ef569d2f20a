"""The ladder: every estimator of a task fitted and judged on every rung that the table can have.

The rungs share the reading, the keys and the features' values; what is fitted is fitted anew on
each rung's training side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.errors import InputError
from beatlake.learn import estimators, features, folds, resampling
from beatlake.learn.engine import quoted
from beatlake.learn.estimators import Model
from beatlake.learn.features import FittedFeatures, TrainingRows
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
from beatlake.learn.rows import Prepared
from beatlake.learn.splits import Rung
from beatlake.learn.task import Estimator, Task

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyspark.sql import SparkSession

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
        estimator: from the task.
        model: as fitted on the rung's training side.
        fitted: its columns.
        fold: what it was fitted on.
        scores: over all test rows, then by slice.
        predictions: of the test rows; None for clusters.
        judgement: of them; None for clusters.
        clusters: of an unsupervised task.
        verdict: beside the baselines; None for clusters.
        seconds: of fit and prediction.
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

    def score(self, metric: str) -> Score | None:
        """A score over all test rows; None where the rows do not give it."""
        return _overall(self.scores, metric)


def _overall(scores: Sequence[Score], metric: str) -> Score | None:
    return next((s for s in scores if s.metric == metric and s.slice is None), None)


@dataclass
class Climb:
    """A climb of the ladder: what all rungs share.

    Args:
        connection: holds the prepared rows and the sides.
        task: the question.
        prepared: what is known of the rows.
        spark: fits.
        scratch: a folder for folds.
        say: is told what happens.
    """

    connection: duckdb.DuckDBPyConnection
    task: Task
    prepared: Prepared
    spark: SparkSession
    scratch: Path
    say: Callable[[str], None] = lambda _: None
    _facts: dict[str, pa.Table] = field(default_factory=dict)
    _fitted: dict[tuple[str, bool], FittedFeatures] = field(default_factory=dict)
    _baselines: dict[str, Mapping[str, Predictions]] = field(default_factory=dict)

    def rung(self, rung: Rung) -> Iterator[Judged]:
        """Every estimator on an available rung, in the task's order.

        Raises:
            InputError: an estimator cannot be fitted on the rung's training side.
        """
        for estimator in self.task.estimators:
            started = time.monotonic()
            watched = estimators.watched(estimator) and rung.counts["valid"] > 0
            fitted = self.fitted(rung, watched)
            fold = self._fold(rung, fitted, watched)
            model = estimators.fit(
                self.spark,
                estimator.name,
                self.task.kind,
                fold,
                estimator.parameters,
                self.task.seed,
            )
            test = folds.table(self.connection, rung, fitted, ("test",))
            answer = model.predict(self.spark, test)
            judged = self._judged(rung, estimator, model, fitted, fold, test, answer, started)
            self.say(
                f"{rung.name}: {estimator.name} {judged.score(self.task.headline_metric)}"
                f" in {judged.seconds:.0f} s"
            )
            yield judged

    def fitted(self, rung: Rung, watched: bool) -> FittedFeatures:
        """The columns, fitted on the rung's training side."""
        key = rung.name, watched
        if key not in self._fitted:
            rows = TrainingRows.of(self.connection, rung, watched=watched)
            self._fitted[key] = features.fit(
                self.task.features.list, self.task.features.scale, rows
            )
        return self._fitted[key]

    def _fold(self, rung: Rung, fitted: FittedFeatures, watched: bool) -> Fold:
        rows = folds.table(self.connection, rung, fitted, folds.sides_of(watched))
        weights = None
        if self.task.kind == "classes":
            self._check_classes(rung, rows)
            rows, weights = resampling.resampled(
                rows, fitted.names, self.task.resampling, self.task.seed
            )
        return folds.write(
            rows,
            self.scratch / f"{rung.name}-{'watched' if watched else 'whole'}.parquet",
            columns=fitted.names,
            watched=watched,
            classes=self.task.kind == "classes",
            weights=weights,
        )

    def _check_classes(self, rung: Rung, rows: pa.Table) -> None:
        training = np.asarray(rows.column("side").to_pylist(), dtype=object) != "valid"
        label = rows.column("label").to_numpy()[training]
        found = np.unique(label)
        if len(found) < 2:
            named = self.prepared.classes[int(found[0])] if len(found) else "no row"
            raise InputError(
                f"The training side of the {rung.name} rung holds one class only ({named}):"
                " there is nothing to tell apart. Choose another salt, test share or day."
            )

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
        said = self.said(rung, fitted, fold.classes, test, answer)
        verdict = None
        if said.predictions is not None and said.judgement is not None:
            verdict = self._verdict(rung, fitted, said.predictions, said.judgement)
        return Judged(
            rung,
            estimator,
            model,
            fitted,
            fold,
            said.scores,
            said.predictions,
            said.judgement,
            said.clusters,
            verdict,
            seconds,
        )

    def said(
        self,
        rung: Rung,
        fitted: FittedFeatures,
        known: tuple[int, ...],
        test: pa.Table,
        answer: estimators.Answer,
    ) -> Said:
        """Judge what a model answered to the test rows of a rung.

        Args:
            rung: an available one.
            fitted: the model's columns.
            known: codes of the classes that the model knows, in its own order.
            test: the rows, of `folds.table`.
            answer: to them.
        """
        facts = self.facts(rung, "side = 'test'")
        group = facts.column("grouped").to_numpy(zero_copy_only=False)
        sliced = {
            name: facts.column(f"s_{name}").to_numpy(zero_copy_only=False)
            for name in self.prepared.slices
        }
        salt = self.task.splits.salt
        if self.task.kind == "clusters":
            from beatlake.learn.estimators.answer import matrix

            truth = next((sliced[name] for name in self.task.slices), None)
            clusters = clustering(
                matrix(test, fitted.names),
                answer.values,
                truth,
                salt=salt,
                names=fitted.names,
                group=group,
            )
            return Said(clusters.scores, clusters=clusters)
        label = test.column("label").to_numpy()
        row_id = test.column("row_id").to_numpy(zero_copy_only=False)
        classes = self.prepared.classes or None
        if classes:
            places = np.array(known, dtype=np.int64)
            values = places[answer.values.astype(np.int64)]
            proba = None
            if answer.proba is not None:
                proba = np.zeros((len(values), len(classes)))
                proba[:, places] = answer.proba
            predictions = Predictions(
                label.astype(np.int64), values, proba, classes, group, row_id, sliced
            )
            judgement = classification(predictions, salt=salt)
        else:
            predictions = Predictions(label, answer.values, None, None, group, row_id, sliced)
            judgement = regression(predictions, salt=salt)
        return Said(judgement.scores, predictions, judgement)

    def _verdict(
        self, rung: Rung, fitted: FittedFeatures, said: Predictions, judgement: Judgement
    ) -> Verdict | None:
        metric = self.task.headline_metric
        try:
            if judgement.score(metric).value is None:
                return None
        except KeyError:
            return None
        if rung.name not in self._baselines:
            self._baselines[rung.name] = self._made_baselines(rung, fitted, said)
        return beats(said, self._baselines[rung.name], metric=metric, salt=self.task.splits.salt)

    def _made_baselines(
        self, rung: Rung, fitted: FittedFeatures, said: Predictions
    ) -> Mapping[str, Predictions]:
        where = f"side IN ({', '.join(repr(side) for side in folds.sides_of(False))})"
        known = self.facts(rung, where)
        label = known.column("label").to_numpy()
        training = Training(
            label.astype(np.int64) if said.classes else label.astype(np.float64),
            known.column("grouped").to_numpy(zero_copy_only=False),
            {
                name: known.column(f"s_{name}").to_numpy(zero_copy_only=False)
                for name in self.prepared.slices
            },
        )
        by = [name for name in (*self.task.slices, "year") if name in self.prepared.slices]
        return baselines(
            training,
            said,
            salt=self.task.splits.salt,
            by=by,
            one_feature=self._one_feature(rung, fitted, said),
        )

    def _one_feature(self, rung: Rung, fitted: FittedFeatures, said: Predictions) -> Predictions:
        """A tree of depth 3 on the column that serves training rows best."""
        from dataclasses import replace

        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        rows = folds.table(self.connection, rung, fitted, folds.sides_of(False))
        test = folds.table(self.connection, rung, fitted, ("test",))
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

    def facts(self, rung: Rung, where: str) -> pa.Table:
        """Label, group and slices of rows of a rung, in the prepared order."""
        key = f"{rung.name} {where}"
        if key not in self._facts:
            slices = "".join(
                f", coalesce({quoted(f's_{n}')}, 'unknown') AS {quoted(f's_{n}')}"
                for n in self.prepared.slices
            )
            self._facts[key] = self.connection.sql(
                "SELECT row_id, label::DOUBLE AS label,"
                f" coalesce(artist, recording, row_id) AS grouped{slices} FROM prepared"
                f" JOIN {rung.table} USING (row_id) WHERE {where} ORDER BY md5(row_id), row_id"
            ).to_arrow_table()
        return self._facts[key]

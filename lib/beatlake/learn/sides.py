"""The sides of a split as an estimator meets them: a fold to fit on, a table to judge by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn import estimators, features, folds, resampling
from beatlake.learn.algorithms import Estimator
from beatlake.learn.engine import one
from beatlake.learn.estimators import Answer
from beatlake.learn.features import FittedFeatures
from beatlake.learn.folds import CLASS, Fold
from beatlake.learn.judgement import Predictions
from beatlake.learn.rows import Prepared
from beatlake.learn.splits import FITTING, Rung
from beatlake.learn.task import Task
from beatlake.learn.training_rows import TrainingRows
from beatlake.sql import quoted, text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Sides:
    """What the splits of one task's rows share: what was looked up or fitted once is kept.

    Args:
        connection: holds the prepared rows and the sides.
        task: the question.
        prepared: what is known of the rows.
        scratch: a folder for folds.
    """

    connection: duckdb.DuckDBPyConnection
    task: Task
    prepared: Prepared
    scratch: Path
    _facts: dict[str, pa.Table] = field(default_factory=dict)
    _fitted: dict[tuple[str, bool], FittedFeatures] = field(default_factory=dict)
    _digests: dict[str, str] = field(default_factory=dict)

    def watched(self, rung: Rung, estimator: Estimator) -> bool:
        """Whether rows of the split decide when the estimator's fit stops."""
        return estimators.watched(estimator) and rung.counts["valid"] > 0

    def fitted(self, rung: Rung, watched: bool) -> FittedFeatures:
        """The columns, fitted on the split's training side."""
        key = rung.key, watched
        if key not in self._fitted:
            rows = TrainingRows.of(self.connection, rung, watched=watched)
            self._fitted[key] = features.fit(
                self.task.features.list, self.task.features.scale, rows
            )
        return self._fitted[key]

    def fold(self, rung: Rung, fitted: FittedFeatures, watched: bool, estimator: Estimator) -> Fold:
        """The rows for an estimator to fit on, resampled as the task says.

        Raises:
            ConfigError: the estimator samples strata that the task does not have.
            InputError: they hold one class only, or the resampler cannot take them.
        """
        rows = folds.table(
            self.connection,
            rung,
            fitted,
            folds.sides_of(watched),
            buckets=estimators.sampled(estimator),
            stratum=self._stratum(estimator),
            scratch=self.scratch,
        )
        weights = None
        if self.task.kind == "classes":
            self._check_classes(rung, rows)
            rows, weights = resampling.resampled(
                rows, fitted.names, self.task.resampling, self.task.seed
            )
        return folds.write(
            rows,
            self.scratch / f"{rung.key}-{'watched' if watched else 'whole'}.parquet",
            columns=fitted.names,
            watched=watched,
            classes=self.task.kind == "classes",
            weights=weights,
            categories=fitted.categories,
            image=image.shape if (image := self.task.features.image) else None,
        )

    def test(self, rung: Rung, fitted: FittedFeatures) -> pa.Table:
        """The rows to judge by."""
        return folds.table(self.connection, rung, fitted, ("test",), scratch=self.scratch)

    def predictions(
        self, known: pa.Table, classes: tuple[int, ...], test: pa.Table, answer: Answer
    ) -> Predictions:
        """What a model says of the rows to judge by, beside what is true.

        Args:
            known: of `facts`, the same rows.
            classes: codes of those that the model knows, in its own order.
            test: of `test`.
            answer: the model's, row by row.
        """
        group = known.column("grouped").to_numpy(zero_copy_only=False)
        sliced = self.slices(known)
        label = test.column("label").to_numpy()
        row_id = test.column("row_id").to_numpy(zero_copy_only=False)
        named = self.prepared.classes or None
        if named is None:
            return Predictions(label, answer.values, None, None, group, row_id, sliced)
        places = np.array(classes, dtype=np.int64)
        values = places[answer.values.astype(np.int64)]
        proba = None
        if answer.proba is not None:
            proba = np.zeros((len(values), len(named)))
            proba[:, places] = answer.proba
        return Predictions(label.astype(np.int64), values, proba, named, group, row_id, sliced)

    def facts(self, rung: Rung, where: str) -> pa.Table:
        """Label, group and slices of rows of a split, in the prepared order."""
        key = f"{rung.key} {where}"
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

    def slices(self, known: pa.Table) -> Mapping[str, Array]:
        """The slices of `facts`, by name."""
        return {
            name: known.column(f"s_{name}").to_numpy(zero_copy_only=False)
            for name in self.prepared.slices
        }

    def digest(self, rung: Rung) -> str:
        """A hash of the rows of a split that fit, and of those that judge an `inner` one.

        Of their names, sides, labels and features, whatever their order.
        """
        if rung.key not in self._digests:
            values = ["row_id", "side", "label"]
            values += [quoted(f"f_{feature.name}") for feature in self.task.features.list]
            sides = ", ".join(map(text, (*FITTING, "test") if rung.fold else FITTING))
            lower, upper, rows = one(
                self.connection,
                "SELECT sum(md5_number_lower(said)), sum(md5_number_upper(said)), count(*) FROM"
                f" (SELECT to_json([{', '.join(f'to_json({v})' for v in values)}])::VARCHAR AS said"
                f" FROM prepared JOIN {rung.table} USING (row_id) WHERE side IN ({sides}))",
            )
            self._digests[rung.key] = f"{int(lower):x}-{int(upper):x}-{rows}"
        return self._digests[rung.key]

    def forget(self, rung: Rung) -> None:
        """Drop what is kept of a split that is done with."""
        for kept in [key for key in self._facts if key.startswith(f"{rung.key} ")]:
            del self._facts[kept]
        self._digests.pop(rung.key, None)
        for watched in (False, True):
            self._fitted.pop((rung.key, watched), None)
            (self.scratch / f"{rung.key}-{'watched' if watched else 'whole'}.parquet").unlink(
                missing_ok=True
            )
        self.connection.execute(f"DROP TABLE IF EXISTS {rung.table}")

    def _stratum(self, estimator: Estimator) -> str | None:
        """What an estimator's sample is taken by, as an expression."""
        name = estimator.parameters.get("strata")
        if name is None or not estimators.sampled(estimator):
            return None
        if name == CLASS:
            return "label::VARCHAR"
        if name not in self.prepared.slices:
            known = ", ".join((CLASS, *self.prepared.slices))
            raise ConfigError(
                f"{estimator.name} cannot be sampled by {name} (strata), which is no slice of the"
                f" task; what can be: {known}. A task names others under slices."
            )
        return f"coalesce({quoted(f's_{name}')}, '')"

    def _check_classes(self, rung: Rung, rows: pa.Table) -> None:
        training = np.asarray(rows.column("side").to_pylist(), dtype=object) != "valid"
        label = rows.column("label").to_numpy()[training]
        found = np.unique(label)
        if len(found) < 2:
            named = self.prepared.classes[int(found[0])] if len(found) else "no row"
            within = f" without fold {rung.fold}" if rung.fold else ""
            more = ", or fewer folds" if rung.fold else ""
            raise InputError(
                f"The training side of the {rung.name} rung{within} holds one class only ({named}):"
                f" there is nothing to tell apart. Choose another salt, test share or day{more}."
            )

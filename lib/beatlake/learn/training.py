"""A training: from a table to judged, registered models.

The order is what makes a score hold up: rows are keyed and dealt, every rung is held to its promise
and every feature to its, only then is anything fitted, on training rows, and judged; the scores are
held to the ceiling; and only what has passed is registered.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from beatlake.errors import InputError, LeakError
from beatlake.lake import Lake
from beatlake.learn import (
    estimators,
    gates,
    importance,
    registry,
    rows,
    splits,
)
from beatlake.learn.engine import database
from beatlake.learn.importance import Importance
from beatlake.learn.ladder import Climb, Judged
from beatlake.learn.origin import code_version, identifier, libraries
from beatlake.learn.records import Records
from beatlake.learn.registering import register
from beatlake.learn.registry import Manifest
from beatlake.learn.rows import Prepared
from beatlake.learn.sides import Sides
from beatlake.learn.source import Source
from beatlake.learn.splits import Rung
from beatlake.learn.sweeping import Line, swept
from beatlake.learn.task import Resampling, Task
from beatlake.learn.training_rows import TrainingRows
from beatlake.learn.tuning import Tuner

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Training:
    """What a training did.

    Args:
        training_id: its identifier.
        task: the question.
        prepared: what became of the rows.
        rungs: the ladder.
        judged: every estimator on every available rung.
        verdicts: of the gates.
        manifests: of the registered models, in the task's order of estimators.
        sweeps: of estimators that were swept over numbers of clusters, by name.
        unresampled: where the task resamples, each estimator on the headline rung without.
        importances: of features, by estimator, on the headline rung.
    """

    training_id: str
    task: Task
    prepared: Prepared
    rungs: list[Rung]
    judged: list[Judged]
    verdicts: list[gates.Verdict]
    manifests: list[Manifest]
    sweeps: Mapping[str, list[Line]] = field(default_factory=dict)
    unresampled: Mapping[str, Judged] = field(default_factory=dict)
    importances: Mapping[str, list[Importance]] = field(default_factory=dict)


def train(
    spark: SparkSession,
    lake: Lake,
    task: Task,
    source: Source,
    say: Callable[[str], None] = lambda _: None,
    parallel: int = 1,
) -> Training:
    """Train and judge every estimator of a task on every rung, and register its models.

    Args:
        spark: fits the models.
        lake: where models and `ml` tables go.
        task: the question.
        source: the table.
        say: is told what happens.
        parallel: fits on folds that may run side by side.

    Raises:
        ConfigError: a parameter is not known, or the table cannot have the headline rung.
        InputError: the table does not fit the task, or nothing can be learnt from it.
        LeakError: a gate refused; nothing was registered.
    """
    estimators.check(task)
    training_id = identifier()
    with tempfile.TemporaryDirectory(prefix="beatlake-learn-") as folder:
        scratch = Path(folder)
        with database(scratch) as connection:
            prepared = rows.prepare(connection, task, source)
            say(f"{prepared.rows:,} rows of {source.described}")
            rungs, headline, verdicts = examined(connection, task, prepared)
            tuner = Tuner(
                Sides(connection, task, prepared, scratch),
                spark,
                _records(lake, task, source, say),
                parallel,
            )
            judged = _climbed(Climb(tuner, say), rungs, headline)
            for one in judged:
                score = one.score(task.headline_metric)
                # What the random rung flatters is no reason to distrust the others.
                if one.rung.name != "random" and score is not None:
                    verdicts += gates.of_score(task, one.rung.name, one.estimator.name, score.value)
            verdicts = gates.settle(task, verdicts)
            importances: dict[str, list[Importance]] = {
                one.estimator.name: importance.of(tuner.sides, spark, one)
                for one in judged
                if one.rung.name == headline.name
            }
            sweeps: dict[str, list[Line]] = {
                one.estimator.name: swept(spark, connection, task, one, scratch)
                for one in judged
                if one.estimator.sweep and one.rung.name == headline.name
            }
            unresampled: dict[str, Judged] = {}
            if task.resampling.how != "none":
                say(f"Beside {task.resampling.how}, without resampling:")
                asked = task.model_copy(update={"resampling": Resampling()})
                sides = Sides(connection, asked, prepared, scratch)
                plain = Climb(replace(tuner, sides=sides), say).rung(headline)
                unresampled = {one.estimator.name: one for one in plain}
            training = Training(
                training_id,
                task,
                prepared,
                rungs,
                judged,
                verdicts,
                [],
                sweeps,
                unresampled,
                importances,
            )
            manifests = register(lake, training, source, connection)
    return replace(training, manifests=manifests)


def examined(
    connection: duckdb.DuckDBPyConnection, task: Task, prepared: Prepared
) -> tuple[list[Rung], Rung, list[gates.Verdict]]:
    """Deal prepared rows on the ladder and hold splits and features to what they promise.

    The ladder, its headline rung, and what the gates found: before anything is fitted.

    Raises:
        ConfigError: the table cannot have the headline rung.
        LeakError: a gate is broken that the task does not acknowledge.
    """
    rungs = splits.assign(connection, prepared, task.splits)
    headline = splits.refuse_headline(task.name, rungs, task.splits.headline)
    verdicts = [
        verdict
        for rung in rungs
        if not rung.unavailable
        for verdict in gates.of_rung(connection, rung, task.features.list)
    ]
    verdicts += gates.of_test_side(connection, task, prepared, headline)
    verdicts += gates.of_features(task, TrainingRows.of(connection, headline, watched=False))
    return rungs, headline, gates.settle(task, verdicts)


def _records(lake: Lake, task: Task, source: Source, say: Callable[[str], None]) -> Records:
    """The records of a task's fits on folds, which other tables, code or libraries do not meet."""
    origin = {
        "inputs": dict(source.versions),
        "code": code_version(),
        "libraries": libraries(),
    }
    return Records(lake.inside("models", task.name, registry.RECORDS), origin, say)


def _climbed(climb: Climb, rungs: list[Rung], headline: Rung) -> list[Judged]:
    """Every estimator on every rung; a rung that cannot be fitted is marked as not available.

    Raises:
        InputError: it is the headline rung.
    """
    judged: list[Judged] = []
    for place, rung in enumerate(rungs):
        if rung.unavailable:
            continue
        try:
            judged += climb.rung(rung)
        except (LeakError, InputError) as error:
            if rung.name == headline.name or isinstance(error, LeakError):
                raise
            rungs[place] = Rung(rung.name, str(error), rung.counts, rung.test_from, rung.shared)
            judged = [one for one in judged if one.rung.name != rung.name]
    return judged

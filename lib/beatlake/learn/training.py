"""A training: from a table to judged, registered models.

The order is what makes a score hold up: rows are keyed and dealt, every rung is held to its promise
and every feature to its, only then is anything fitted, on training rows, and judged; the scores are
held to the ceiling; and only what has passed is registered.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from beatlake import __version__
from beatlake.errors import InputError, LeakError
from beatlake.lake import Lake, Stamp
from beatlake.learn import (
    estimators,
    figures,
    gates,
    importance,
    registry,
    rows,
    splits,
    trained_on,
)
from beatlake.learn.documents import card
from beatlake.learn.engine import database
from beatlake.learn.features import TrainingRows
from beatlake.learn.figures import UNRESAMPLED
from beatlake.learn.importance import Importance
from beatlake.learn.ladder import Climb, Judged
from beatlake.learn.records import Records
from beatlake.learn.registry import Manifest
from beatlake.learn.rows import Prepared
from beatlake.learn.sides import Sides
from beatlake.learn.source import Source
from beatlake.learn.splits import Rung
from beatlake.learn.sweeping import Line, swept
from beatlake.learn.task import Resampling, Task
from beatlake.learn.tuning import Tuner
from beatlake.resources import Traversable
from beatlake.tables import ml

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession

#: Libraries whose versions a manifest names.
_LIBRARIES = (
    "duckdb",
    "imbalanced-learn",
    "numpy",
    "pyarrow",
    "pyspark",
    "scikit-learn",
    "scipy",
    "xgboost",
    "xgboost-cpu",
)


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
                    verdicts += gates.of_score(task, one.rung.name, score.value)
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
            manifests = _register(lake, training, source, connection)
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


def _register(
    lake: Lake, training: Training, source: Source, connection: duckdb.DuckDBPyConnection
) -> list[Manifest]:
    """Write rows and models, and name the models in one commit.

    Models whose training is stopped before that commit are directories that nothing names.
    """
    stamp = Stamp(training.training_id, "learn", source.fingerprint, code_version())
    lake.record(ml.SPLITS, split_rows(training), stamp, "append")
    lake.record(ml.METRICS, list(metric_rows(training)), stamp, "append")
    if tried := list(tuning_rows(training)):
        lake.record(ml.TUNING, tried, stamp, "append")
    if weighed := list(importance_rows(training)):
        lake.record(ml.IMPORTANCES, weighed, stamp, "append")
    headline = [j for j in training.judged if j.rung.name == training.task.splits.headline]
    for judged in headline:
        if judged.predictions is not None:
            said = figures.predictions(
                training.training_id,
                training.task.name,
                judged.rung.name,
                judged.estimator.name,
                judged.predictions,
            )
            lake.record(ml.PREDICTIONS, list(said), stamp, "append")
    stored: list[tuple[Manifest, str]] = []
    for judged in headline:
        stored.append(_store(lake, training, judged, source, connection))
    now = datetime.now(timezone.utc)

    def made(_: registry.Events) -> list[dict[str, object]]:
        return [
            {
                "event": "registered",
                "at": now,
                "task": training.task.name,
                "version": manifest.version,
                "training_id": training.training_id,
                "estimator": manifest.estimator,
                "headline": manifest.headline,
                "metric": manifest.metric,
                **figures.headline(judged.score(manifest.metric)),
                "beats_baselines": judged.verdict.beaten if judged.verdict else None,
                "manifest_sha256": sha256,
            }
            for judged, (manifest, sha256) in zip(headline, stored, strict=True)
        ]

    registry.commit(lake, stamp, made)
    return [manifest for manifest, _ in stored]


def _store(
    lake: Lake,
    training: Training,
    judged: Judged,
    source: Source,
    connection: duckdb.DuckDBPyConnection,
) -> tuple[Manifest, str]:
    task = training.task
    created = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}+00:00"
    sweep = training.sweeps.get(judged.estimator.name, [])
    own = [j for j in training.judged if j.estimator.name == judged.estimator.name]

    def describe(version: int, hashes: Mapping[str, str]) -> Manifest:
        return Manifest(
            task=task.name,
            version=version,
            kind=task.kind,
            estimator=judged.estimator.name,
            training_id=training.training_id,
            created=created,
            parameters=dict(judged.estimator.parameters),
            seed=task.seed,
            salt=task.splits.salt,
            headline=judged.rung.name,
            metric=task.headline_metric,
            train_until=judged.rung.train_until,
            columns=list(judged.fitted.names),
            classes=list(training.prepared.classes),
            known_classes=list(judged.fold.classes),
            edges=list(training.prepared.edges),
            features_sha256=judged.fitted.sha256,
            inputs=dict(source.versions),
            libraries=libraries(),
            code_version=code_version(),
            metrics=[
                {"rung": j.rung.name, **s.to_row()}
                for j in own
                for s in j.scores
                if s.slice is None
            ],
            rungs=split_rows(training),
            gates=[asdict(verdict) for verdict in training.verdicts],
            verdict=judged.verdict.sentence if judged.verdict else "",
            facts=judged.model.facts() | ({"sweep": sweep} if sweep else {}),
            choices=[choice.to_json() for choice in judged.choices],
            importances=[asdict(one) for one in training.importances[judged.estimator.name]],
            files=dict(hashes),
        )

    def fill(folder: Path, version: int) -> None:
        judged.model.save(folder)
        trained_on.write(connection, judged.rung, folder)
        shown = card(
            training.task,
            training.prepared,
            training.rungs,
            own,
            judged,
            training.verdicts,
            training.importances[judged.estimator.name],
            source,
            str(version),
            created,
            libraries(),
            sweep,
            training.unresampled.get(judged.estimator.name),
        )
        for name, content in shown.items():
            (folder / name).write_bytes(content)

    return registry.store(lake, task, judged.fitted, describe, fill)


def split_rows(training: Training) -> list[dict[str, object]]:
    """Rows of `ml.splits`."""
    task = training.task
    return [
        figures.split(training.training_id, task.name, task.splits.salt, rung)
        for rung in training.rungs
    ]


def metric_rows(training: Training) -> Iterator[dict[str, object]]:
    """Rows of `ml.metrics`: models, the same unresampled, and baselines by the headline metric."""
    base = training.training_id, training.task.name
    for judged in training.judged:
        yield from figures.metrics(*base, judged.rung.name, judged.estimator.name, judged.scores)
    for name, judged in training.unresampled.items():
        yield from figures.metrics(*base, judged.rung.name, f"{UNRESAMPLED}{name}", judged.scores)
    seen = set()
    for judged in training.judged:
        if judged.verdict is None or judged.rung.name in seen:
            continue
        seen.add(judged.rung.name)
        yield from figures.baselines(*base, judged.rung.name, judged.verdict)


def tuning_rows(training: Training) -> Iterator[dict[str, object]]:
    """Rows of `ml.tuning`."""
    for judged in training.judged:
        for choice in judged.choices:
            for place, candidate in enumerate(choice.candidates):
                for fold, value in enumerate(candidate.values, 1):
                    yield {
                        "training_id": training.training_id,
                        "task": training.task.name,
                        "rung": judged.rung.name,
                        "estimator": judged.estimator.name,
                        "step": choice.step,
                        "candidate": place + 1,
                        "fold": fold,
                        "parameters": json.dumps(dict(candidate.parameters)),
                        "features": candidate.features,
                        "metric": choice.metric,
                        "value": value,
                        "chosen": place == choice.chosen,
                    }


def importance_rows(training: Training) -> Iterator[dict[str, object]]:
    """Rows of `ml.importances`."""
    for estimator, found in training.importances.items():
        for one in found:
            yield {
                "training_id": training.training_id,
                "task": training.task.name,
                "rung": training.task.splits.headline,
                "estimator": estimator,
                **asdict(one),
            }


def identifier() -> str:
    """A new identifier of a training or evaluation, which sorts by time."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"


@cache
def code_version() -> str:
    """The package's version and the first digits of a hash of the code that makes models."""
    digest = hashlib.sha256()
    for name, content in sorted(_contents("", files("beatlake.learn"))):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _contents(name: str, node: Traversable) -> Iterator[tuple[str, bytes]]:
    if node.is_file():
        if name.endswith(".py"):
            yield name, node.read_bytes()
        return
    for child in node.iterdir():
        yield from _contents(f"{name}/{child.name}", child)


def libraries() -> dict[str, str]:
    """Versions of the libraries that decide what a model is."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

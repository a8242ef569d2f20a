"""What a training leaves: rows of the `ml` tables, and its models in the registry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from beatlake.commits import Stamp
from beatlake.lake import Lake
from beatlake.learn import figures, registry, trained_on
from beatlake.learn.documents import card
from beatlake.learn.figures import UNRESAMPLED
from beatlake.learn.ladder import Judged
from beatlake.learn.origin import code_version, libraries
from beatlake.learn.registry import Manifest
from beatlake.learn.source import Source
from beatlake.tables import ml

if TYPE_CHECKING:
    import duckdb

    from beatlake.learn.training import Training


def register(
    lake: Lake, training: Training, source: Source, connection: duckdb.DuckDBPyConnection
) -> list[Manifest]:
    """Write rows and models, and name the models in one commit.

    Models whose training is stopped before that commit are directories that nothing names.
    """
    stamp = Stamp(training.training_id, "learn", source.fingerprint, code_version())
    lake.record(ml.SPLITS, _split_rows(training), stamp, "append")
    lake.record(ml.METRICS, list(_metric_rows(training)), stamp, "append")
    if tried := list(_tuning_rows(training)):
        lake.record(ml.TUNING, tried, stamp, "append")
    if weighed := list(_importance_rows(training)):
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
            rungs=_split_rows(training),
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


def _split_rows(training: Training) -> list[dict[str, object]]:
    """Rows of `ml.splits`."""
    task = training.task
    return [
        figures.split(training.training_id, task.name, task.splits.salt, rung)
        for rung in training.rungs
    ]


def _metric_rows(training: Training) -> Iterator[dict[str, object]]:
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


def _tuning_rows(training: Training) -> Iterator[dict[str, object]]:
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


def _importance_rows(training: Training) -> Iterator[dict[str, object]]:
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

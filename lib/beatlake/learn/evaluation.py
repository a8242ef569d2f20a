"""A registered model judged again, on a newer release or another table, which it is not fitted on.

A rung is what it is for a model that has trained already: test rows as the task deals them, less
all that share with the rows that the model was fitted on what the rung promises to keep apart. In
time a rung tests what came out after everything that the model has seen. The random rung is never
there: it says something of rows that were dealt before the fit. Baselines know the rows of the
table that may train on the rung, newer ones than the model's among them.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from beatlake.commits import Stamp
from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.learn import figures, gates, registry, rows, splits, trained_on
from beatlake.learn.engine import database
from beatlake.learn.judgement import Verdict
from beatlake.learn.judging import Baselines, Said, judge
from beatlake.learn.labels import Classes
from beatlake.learn.origin import code_version, identifier
from beatlake.learn.registry import ModelError, Registered
from beatlake.learn.rows import Prepared
from beatlake.learn.sides import Sides
from beatlake.learn.source import Source
from beatlake.learn.splits import PROMISES, Rung
from beatlake.tables import ml

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Args:
        evaluation_id: stands where tables have the identifier of a training.
        found: the model.
        prepared: what became of the rows.
        rungs: the ladder, with what each rung keeps apart from the model's training.
        said: judged answers of the model by rung, of those that are available.
        verdicts: beside baselines, by rung, where the table has rows to take them from.
    """

    evaluation_id: str
    found: Registered
    prepared: Prepared
    rungs: list[Rung]
    said: dict[str, Said]
    verdicts: dict[str, Verdict]


def evaluate(
    spark: SparkSession | None,
    lake: Lake,
    found: Registered,
    source: Source,
    say: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Judge a stored model on every rung of a table that its training leaves one, and record it.

    Classes are the model's own: bins keep their edges, and rows of a class that it does not know
    count as wrong.

    Args:
        spark: for models that need it.
        lake: where the model is registered, and the figures go.
        found: the model, verified.
        source: the table.
        say: is told what happens.

    Raises:
        InputError: the table does not fit the task, or no rung is left.
        LeakError: a score is above the ceiling that the task calls plausible; nothing is recorded.
        ModelError: the model does not say what it was trained on.
    """
    manifest, task = found.manifest, found.task
    if not (found.folder / trained_on.FILE).is_file():
        raise ModelError(f"{found.folder} does not say what the model was trained on.")
    with tempfile.TemporaryDirectory(prefix="beatlake-learn-") as folder:
        scratch = Path(folder)
        with database(scratch) as connection:
            known = Classes(tuple(manifest.classes), tuple(manifest.edges))
            prepared = rows.prepare(connection, task, source, known)
            say(f"{prepared.rows:,} rows of {source.described}")
            rungs = _rungs(connection, found, prepared)
            sides = Sides(connection, task, prepared, scratch)
            said = {
                rung.name: _said(sides, found, spark, rung)
                for rung in rungs
                if not rung.unavailable
            }
            beside = Baselines(sides)
            verdicts: dict[str, Verdict] = {}
            for rung in rungs:
                if rung.unavailable:
                    continue
                say(f"{rung.name}: {said[rung.name].score(manifest.metric)}")
                if verdict := beside.verdict(rung, said[rung.name]):
                    verdicts[rung.name] = verdict
    if not said:
        why = "; ".join(f"{rung.name}: {rung.unavailable}" for rung in rungs)
        raise InputError(f"No rung of {source.described} can judge this model: {why}.")
    scores = [
        verdict
        for name, one in said.items()
        for verdict in gates.of_score(
            task, name, manifest.estimator, _headline(one, manifest.metric)["value"]
        )
    ]
    gates.settle(task, scores)
    done = Evaluation(identifier(), found, prepared, rungs, said, verdicts)
    _record(lake, done, source)
    return done


def _rungs(
    connection: duckdb.DuckDBPyConnection, found: Registered, prepared: Prepared
) -> list[Rung]:
    """The ladder of a table for a model that has trained already."""
    manifest = found.manifest
    asked = found.task.splits.model_copy(update={"test_from": _test_from(found)})
    rungs: list[Rung] = []
    for rung in splits.assign(connection, prepared, asked, needed=("test",)):
        in_time = "date" in PROMISES[rung.name]
        if rung.name == "random":
            why = "the model's training rows were not dealt anew, and nothing is fitted here"
            rungs.append(Rung(rung.name, why))
        elif in_time and manifest.train_until is None:
            rungs.append(Rung(rung.name, "nobody knows of what days the model's training rows are"))
        elif in_time and rung.counts and not rung.counts["test"]:
            why = f"no row came out after those that trained, which run to {manifest.train_until}"
            rungs.append(Rung(rung.name, why))
        elif rung.unavailable:
            rungs.append(rung)
        else:
            rungs.append(trained_on.kept_apart(connection, rung, found.folder))
    return rungs


def _test_from(found: Registered) -> str | None:
    """The first day of a test in time: as at the training if it tested in time, else the day after.

    That is the day after the last one on which a row that trained can have come out.
    """
    manifest = found.manifest
    own = next((r["test_from"] for r in manifest.rungs if r["rung"] == manifest.headline), None)
    if own is not None or manifest.train_until is None:
        return None if own is None else str(own)
    return str(dt.date.fromisoformat(manifest.train_until) + dt.timedelta(days=1))


def _said(sides: Sides, found: Registered, spark: SparkSession | None, rung: Rung) -> Said:
    test = sides.test(rung, found.fitted)
    answer = found.load().predict(spark, test)
    return judge(sides, rung, found.fitted, tuple(found.manifest.known_classes), test, answer)


def _headline(said: Said | None, metric: str) -> dict[str, float | None]:
    return figures.headline(said.score(metric) if said else None)


def _record(lake: Lake, done: Evaluation, source: Source) -> None:
    manifest, salt = done.found.manifest, done.found.task.splits.salt
    base = done.evaluation_id, manifest.task
    stamp = Stamp(done.evaluation_id, "evaluation", source.fingerprint, code_version())
    dealt = [figures.split(*base, salt, rung) for rung in done.rungs]
    lake.record(ml.SPLITS, dealt, stamp, "append")
    scores = [
        row
        for name, said in done.said.items()
        for row in figures.metrics(*base, name, manifest.estimator, said.scores)
    ]
    for name, verdict in done.verdicts.items():
        scores += figures.baselines(*base, name, verdict)
    lake.record(ml.METRICS, scores, stamp, "append")
    headline = done.said.get(manifest.headline)
    if headline is not None and headline.predictions is not None:
        said = figures.predictions(
            *base, manifest.headline, manifest.estimator, headline.predictions
        )
        lake.record(ml.PREDICTIONS, list(said), stamp, "append")

    beside = done.verdicts.get(manifest.headline)

    def made(known: registry.Events) -> list[dict[str, object]]:
        row = known.registered(manifest.task, manifest.version)
        assert row is not None
        return [
            {
                **row,
                "event": "evaluated",
                "at": datetime.now(timezone.utc),
                "training_id": done.evaluation_id,
                **_headline(headline, manifest.metric),
                "beats_baselines": beside.beaten if beside else None,
            }
        ]

    registry.commit(lake, stamp, made)

"""Commands that make models, judge them and apply them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from beatlake import console
from beatlake.cli import lines
from beatlake.cli.options import (
    DEFAULT_LAKE,
    ConfigOption,
    LakeOption,
    ReleaseOption,
    SetOption,
    app,
    check_installed,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from beatlake.config import Settings
    from beatlake.lake import Lake
    from beatlake.learn.registry import Registered
    from beatlake.learn.source import Source
    from beatlake.learn.task import Task
    from beatlake.session import SparkSettings

TaskNameOption = Annotated[str, typer.Option("--task", help="Name of the task.")]
TaskFileOption = Annotated[
    str, typer.Option("--task", help="Built-in task, or a task file (.yaml).")
]
VersionOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--version", min=1, help="By default the champion."),
]
TableOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--table", help="Delta table, or .parquet or .csv files, to read instead."),
]


@app.command()
def train(
    *,
    task: TaskFileOption,
    estimator: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--estimator", help="Train this one in place of the task's; repeatable."),
    ] = None,
    table: TableOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    release: ReleaseOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Train a task's models, judge them on every rung of the ladder and register them.

    The exit code is 5 when a leak gate refuses; nothing is registered then.
    """
    check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import listing
    from beatlake.learn import task as tasks
    from beatlake.learn.training import train as learn

    place = Lake(lake)
    asked, source, settled = _asked(task, table, place, release, config, settings)
    if estimator:
        asked = tasks.with_estimators(asked, estimator)
    say = (lambda _: None) if quiet else (lambda said: typer.echo(console.clean(said)))
    done = learn(_fitting(settled), place, asked, source, say, settled.parallel_fits)
    if quiet:
        return
    for manifest in done.manifests:
        typer.echo("")
        lines.ladder(listing.ladder(place, asked.name, manifest.version))
        typer.echo(console.clean(manifest.verdict))
        folder = place.root / "models" / asked.name / str(manifest.version)
        typer.echo(console.clean(f"Registered as version {manifest.version}: {folder}/card.html"))


@app.command()
def resampling(
    *,
    task: TaskFileOption,
    table: TableOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    release: ReleaseOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    format_: lines.FormatOption = lines.Shown.table,
) -> None:
    """Show what a task's resampler does in the training fold, and before the split, which is wrong.

    Nothing is registered.
    """
    check_installed()
    from beatlake.learn import imbalance

    lines.tell(
        imbalance.compare(*_begun(task, table, lake, release, config, settings)),
        format_,
        ("resampled", "metric", "value", "95 % interval", "n", "wrong because"),
        lambda line: (
            line["resampled"],
            line["metric"],
            line["value"],
            lines.between(line["interval"]),
            line["n"],
            line["wrong"] or "",
        ),
    )


@app.command()
def ablate(
    *,
    task: TaskFileOption,
    table: TableOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    release: ReleaseOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    format_: lines.FormatOption = lines.Shown.table,
) -> None:
    """Show what each group of features is worth: the task without it, on the headline rung.

    The exit code is 5 when a leak gate refuses. Nothing is registered.
    """
    check_installed()
    from beatlake.learn import ablation

    lines.tell(
        ablation.ablate(*_begun(task, table, lake, release, config, settings)),
        format_,
        ("without", "metric", "value", "less than with all", "95 % interval", "n"),
        lambda line: (
            line["without"] or "nothing",
            line["metric"],
            line["value"],
            line["loss"],
            lines.between(line["interval"]),
            line["n"],
        ),
    )


@app.command()
def evaluate(
    *,
    task: TaskNameOption,
    version: VersionOption = None,
    table: TableOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    release: ReleaseOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    format_: lines.FormatOption = lines.Shown.table,
) -> None:
    """Judge a registered model again, on a release or a table, without fitting it anew.

    A rung tests what shares nothing that it promises to keep apart with the rows that the model was
    trained on. The exit code is 5 when a score is above the ceiling of the task.
    """
    check_installed()
    from beatlake.learn import evaluation, listing, scoring
    from beatlake.session import session

    place, found, spark_settings = _chosen(task, version, lake, config, settings)
    spark = session(spark_settings) if scoring.needs_spark(found) else None
    done = evaluation.evaluate(spark, place, found, _source(place, found.task, table, release))
    lines.ladder(listing.ladder(place, task, found.manifest.version, evaluated=True), format_)
    if format_ is lines.Shown.table and (verdict := done.verdicts.get(found.manifest.headline)):
        typer.echo(console.clean(verdict.sentence))


@app.command()
def score(
    *,
    task: TaskNameOption,
    version: VersionOption = None,
    table: TableOption = None,
    row: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--row", metavar="COLUMN=VALUE", help="One value of one row to score."),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", help="Directory for the predictions, as Parquet files."),
    ] = None,
    lake: LakeOption = DEFAULT_LAKE,
    release: ReleaseOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Predict every row of a table, of the task's table in the lake, or one row given here.

    Of each row `in_scope` says whether the task is about it, that is, whether its `where` takes it;
    conditions on the label are aside.
    """
    check_installed()
    from beatlake.config import ConfigError
    from beatlake.learn import scoring, scoring_row
    from beatlake.session import session

    place, found, spark_settings = _chosen(task, version, lake, config, settings)
    needs = scoring.needs_spark(found)
    if row:
        answer = scoring_row.score_row(session(spark_settings) if needs else None, found, row)
        typer.echo(json.dumps(answer, indent=1, ensure_ascii=False))
        return
    if output is None:
        raise ConfigError("Name the directory for the predictions with --output.")
    source = _source(place, found.task, table, release)
    done = scoring.score_table(session(spark_settings), found, source, output)
    by = f"version {found.manifest.version} of {found.task.name}"
    written = f"{done.rows:,} predictions by {by} written to {output}. {done.sentence}"
    typer.echo(console.clean(written.rstrip()))


def _chosen(
    task: str,
    version: int | None,
    lake: Path,
    config: Path | None,
    settings: list[str] | None,
) -> tuple[Lake, Registered, SparkSettings]:
    """What a command that applies a model is given: the lake, the model and Spark's settings."""
    from beatlake import config as configuration
    from beatlake.lake import Lake
    from beatlake.learn import promotion

    place = Lake(lake)
    found = promotion.choose(place, task, version)
    return place, found, configuration.load(config, settings or ()).spark


def _asked(
    task: str,
    table: Path | None,
    place: Lake,
    release: int | None,
    config: Path | None,
    settings: list[str] | None,
) -> tuple[Task, Source, Settings]:
    """What a command that fits is given: the task, its rows and the settings."""
    from beatlake import config as configuration
    from beatlake.learn import task_files

    asked = task_files.load(task)
    settled = configuration.load(config, settings or ())
    return asked, _source(place, asked, table, release), settled


def _begun(
    task: str,
    table: Path | None,
    lake: Path,
    release: int | None,
    config: Path | None,
    settings: list[str] | None,
) -> tuple[SparkSession, Task, Source]:
    """What a command compares on: a session to fit in, the task and its rows."""
    from beatlake.lake import Lake

    asked, source, settled = _asked(task, table, Lake(lake), release, config, settings)
    return _fitting(settled), asked, source


def _fitting(settings: Settings) -> SparkSession:
    """A session whose JVM optimizes, since Spark ML fits in it."""
    from beatlake.session import session

    return session(settings.spark.model_copy(update={"optimize_jvm": True}))


def _source(place: Lake, task: Task, table: Path | None, release: int | None) -> Source:
    from beatlake.config import ConfigError
    from beatlake.learn import source

    if table is not None:
        return source.path(table, task.table)
    if task.table.name is None:
        raise ConfigError(f"{task.name} is of no table of the lake: name one with --table PATH.")
    return source.released(place, task.table.name, release, task.table.join)

"""Commands about models: training, looking at them, promoting and applying them."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from beatlake import console
from beatlake.cli.options import (
    DEFAULT_LAKE,
    ConfigOption,
    LakeOption,
    ReleaseOption,
    SetOption,
    app,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from beatlake.config import Settings
    from beatlake.lake import Lake
    from beatlake.learn.source import Source
    from beatlake.learn.task import Task

models = typer.Typer(
    help="List, compare, promote and roll back models.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(models, name="models")

TaskArgument = Annotated[str, typer.Argument(help="Name of the task.")]
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


class Shown(str, Enum):
    """How models are printed."""

    table = "table"
    json = "json"


FormatOption = Annotated[Shown, typer.Option("--format", help="How to print.")]


@app.command()
def train(
    *,
    task: TaskFileOption,
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
    _check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import listing
    from beatlake.learn.training import train as learn

    place = Lake(lake)
    asked, source, settled = _asked(task, table, place, release, config, settings)
    say = (lambda _: None) if quiet else (lambda said: typer.echo(console.clean(said)))
    done = learn(_fitting(settled), place, asked, source, say, settled.parallel_fits)
    if quiet:
        return
    for manifest in done.manifests:
        typer.echo("")
        _print(listing.ladder(place, asked.name, manifest.version))
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
    format_: FormatOption = Shown.table,
) -> None:
    """Show what a task's resampler does in the training fold, and before the split, which is wrong.

    Nothing is registered.
    """
    _check_installed()
    from beatlake.learn import imbalance

    _tell(
        imbalance.compare(*_begun(task, table, lake, release, config, settings)),
        format_,
        ("resampled", "metric", "value", "95 % interval", "n", "wrong because"),
        lambda line: (
            line["resampled"],
            line["metric"],
            line["value"],
            _between(line["interval"]),
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
    format_: FormatOption = Shown.table,
) -> None:
    """Show what each group of features is worth: the task without it, on the headline rung.

    The exit code is 5 when a leak gate refuses. Nothing is registered.
    """
    _check_installed()
    from beatlake.learn import ablation

    _tell(
        ablation.ablate(*_begun(task, table, lake, release, config, settings)),
        format_,
        ("without", "metric", "value", "less than with all", "95 % interval", "n"),
        lambda line: (
            line["without"] or "nothing",
            line["metric"],
            line["value"],
            line["loss"],
            _between(line["interval"]),
            line["n"],
        ),
    )


@models.command("list")
def list_models(
    *,
    lake: LakeOption = DEFAULT_LAKE,
    format_: FormatOption = Shown.table,
) -> None:
    """List every registered model; the champion of each task is marked."""
    _check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import listing

    rows = listing.registered(Lake(lake))
    if format_ is Shown.json:
        typer.echo(json.dumps(rows, indent=1))
    elif rows:
        console.print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        typer.echo("No model is registered. Make one: beatlake train --task TASK")


@models.command()
def show(
    *,
    task: TaskArgument,
    lake: LakeOption = DEFAULT_LAKE,
    version: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--version", min=1, help="By default all models of the newest training."),
    ] = None,
    evaluated: Annotated[
        bool, typer.Option("--evaluated", help="The newest evaluation, not the training.")
    ] = False,
    format_: FormatOption = Shown.table,
) -> None:
    """Show a model on every rung: metric, value, interval, rows and purged rows."""
    _check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import listing

    _print(listing.ladder(Lake(lake), task, version, evaluated=evaluated), format_)


@models.command()
def compare(
    *,
    task: TaskArgument,
    first: Annotated[int, typer.Argument(min=1, help="One version.")],
    second: Annotated[int, typer.Argument(min=1, help="And another.")],
    lake: LakeOption = DEFAULT_LAKE,
    format_: FormatOption = Shown.table,
) -> None:
    """Compare two versions on the test rows that both predicted, artists drawn together."""
    _check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import comparison

    _tell(
        comparison.compare(Lake(lake), task, first, second),
        format_,
        (
            "metric",
            f"version {first}",
            f"version {second}",
            "difference",
            "95 % interval",
            f"version {first} is",
            "n",
            "left out",
        ),
        lambda line: (
            line["metric"],
            line["first"],
            line["second"],
            line["difference"],
            _between(line["interval"]),
            line["first_is"],
            line["n"],
            line["left_out"],
        ),
    )


@models.command()
def promote(
    *,
    task: TaskArgument,
    version: Annotated[int, typer.Argument(min=1, help="Version to make the champion.")],
    lake: LakeOption = DEFAULT_LAKE,
) -> None:
    """Make a version the champion of its task, unless it is worse than the champion."""
    _check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import promotion

    promotion.promote(Lake(lake), task, version)
    typer.echo(console.clean(f"Version {version} is the champion of {task}."))


@models.command("rollback")
def roll_back(*, task: TaskArgument, lake: LakeOption = DEFAULT_LAKE) -> None:
    """Make the champion before the present one the champion again."""
    _check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import promotion

    version = promotion.roll_back(Lake(lake), task)
    typer.echo(console.clean(f"Version {version} is the champion of {task} again."))


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
    format_: FormatOption = Shown.table,
) -> None:
    """Judge a registered model again, on a release or a table, without fitting anything.

    A rung tests what shares nothing that it promises to keep apart with the rows that the model was
    trained on. The exit code is 5 when a score is above the ceiling of the task.
    """
    _check_installed()
    from beatlake import config as configuration
    from beatlake.lake import Lake
    from beatlake.learn import evaluation, listing, promotion, scoring
    from beatlake.session import session

    place = Lake(lake)
    found = promotion.choose(place, task, version)
    spark_settings = configuration.load(config, settings or ()).spark
    spark = session(spark_settings) if scoring.needs_spark(found) else None
    evaluation.evaluate(spark, place, found, _source(place, found.task, table, release))
    _print(listing.ladder(place, task, found.manifest.version, evaluated=True), format_)


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
    """Predict every row of a table, of the task's table in the lake, or one row given here."""
    _check_installed()
    from beatlake import config as configuration
    from beatlake.config import ConfigError
    from beatlake.lake import Lake
    from beatlake.learn import promotion, scoring
    from beatlake.session import session

    place = Lake(lake)
    found = promotion.choose(place, task, version)
    spark_settings = configuration.load(config, settings or ()).spark
    needs = scoring.needs_spark(found)
    if row:
        answer = scoring.score_row(session(spark_settings) if needs else None, found, row)
        typer.echo(json.dumps(answer, indent=1, ensure_ascii=False))
        return
    if output is None:
        raise ConfigError("Name the directory for the predictions with --output.")
    source = _source(place, found.task, table, release)
    rows = scoring.score_table(session(spark_settings), found, source, output)
    typer.echo(console.clean(f"{rows:,} predictions written to {output}."))


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
    from beatlake.learn import task as tasks

    asked = tasks.load(task)
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


def _check_installed() -> None:
    """Find the packages that models need, which the wheel does not bring by itself.

    Raises:
        SetupError: one of them is missing.
    """
    from importlib.util import find_spec

    from beatlake.errors import SetupError
    from beatlake.resources import checkout

    needed = ("imblearn", "jinja2", "matplotlib", "scipy", "sklearn", "xgboost")
    if missing := [name for name in needed if find_spec(name) is None]:
        raise SetupError(
            f"Models need packages that are not installed: {', '.join(missing)}.",
            "make install" if checkout() else "pip install 'beatlake[learn]'",
        )


def _source(place: Lake, task: Task, table: Path | None, release: int | None) -> Source:
    from beatlake.config import ConfigError
    from beatlake.learn import source

    if table is not None:
        return source.path(table, task.table)
    if task.table.name is None:
        raise ConfigError(f"{task.name} is of no table of the lake: name one with --table PATH.")
    return source.released(place, task.table.name, release)


def _tell(
    lines: list[dict[str, Any]],
    format_: Shown,
    headings: tuple[str, ...],
    cells: Callable[[dict[str, Any]], tuple[object, ...]],
) -> None:
    """Print lines as JSON, or a row of cells for each."""
    if format_ is Shown.json:
        typer.echo(json.dumps(lines, indent=1))
    else:
        console.print_table(headings, [cells(line) for line in lines])


def _print(lines: list[dict[str, Any]], format_: Shown = Shown.table) -> None:
    """Print a ladder: as JSON all of it, as a table what the headline metric says."""
    from beatlake.learn.figures import BASELINE

    headline = [
        line
        for line in lines
        if format_ is Shown.json
        or line["unavailable"]
        or (
            line["headline_metric"]
            # Of what stands beside, that of the rung that counts; --format json has all.
            and (line["headline"] or not line["estimator"].startswith(BASELINE))
        )
    ]
    _tell(
        headline,
        format_,
        ("version", "estimator", "rung", "metric", "value", "95 % interval", "n", "purged", ""),
        lambda line: (
            line["version"],
            line["estimator"],
            line["rung"],
            line["metric"],
            line["value"],
            _between(line["interval"]),
            line["n"],
            line["purged"],
            f"not available: {line['unavailable']}"
            if line["unavailable"]
            else "headline"
            if line["headline"]
            else "flatters"
            if line["rung"] == "random"
            else "",
        ),
    )


def _between(interval: list[float | None] | None) -> str:
    if not interval or interval[0] is None or interval[1] is None:
        return "none"
    return f"{interval[0]:.4f} to {interval[1]:.4f}"

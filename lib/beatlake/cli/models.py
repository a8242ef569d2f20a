"""`beatlake models`: which models there are, what they score, and which is in use."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from beatlake import console
from beatlake.cli import lines
from beatlake.cli.options import DEFAULT_LAKE, LakeOption, app, check_installed

models = typer.Typer(
    help="List, compare, promote and roll back models.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(models, name="models")

TaskArgument = Annotated[str, typer.Argument(help="Name of the task.")]


@models.command("list")
def list_models(
    *,
    lake: LakeOption = DEFAULT_LAKE,
    format_: lines.FormatOption = lines.Shown.table,
) -> None:
    """List every registered model; the champion of each task is marked."""
    check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import listing

    found = listing.registered(Lake(lake))
    if not found and format_ is lines.Shown.table:
        typer.echo("No model is registered. Make one: beatlake train --task TASK")
        return
    lines.tell(
        found,
        format_,
        (
            "task",
            "version",
            "estimator",
            "rung",
            "metric",
            "value",
            "95 % interval",
            "beats baselines",
            "champion",
            "registered",
        ),
        lambda line: tuple(
            lines.between(value) if name == "interval" else value for name, value in line.items()
        ),
    )


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
    format_: lines.FormatOption = lines.Shown.table,
) -> None:
    """Show a model on every rung: metric, value, interval, rows and purged rows."""
    check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import listing

    lines.ladder(listing.ladder(Lake(lake), task, version, evaluated=evaluated), format_)


@models.command()
def compare(
    *,
    task: TaskArgument,
    first: Annotated[int, typer.Argument(min=1, help="One version.")],
    second: Annotated[int, typer.Argument(min=1, help="And another.")],
    lake: LakeOption = DEFAULT_LAKE,
    format_: lines.FormatOption = lines.Shown.table,
) -> None:
    """Compare two versions on the test rows that both predicted, artists drawn together."""
    check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import comparison, promotion

    place = Lake(lake)
    one, other = (promotion.choose(place, task, version) for version in (first, second))
    lines.tell(
        comparison.compare(place, one, other),
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
            lines.between(line["interval"]),
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
    """Make a version the champion of its task, unless it is worse than the champion.

    Worse is what `compare` calls worse by the headline metric. Where the two have no such
    difference (they predicted no test row in common, say), it is what scores worse than the
    champion beyond the champion's own interval.
    """
    check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import promotion

    done = promotion.promote(Lake(lake), task, version)
    typer.echo(console.clean(f"Version {version} is the champion of {task}."))
    # A champion is the best there is, and may be worse than a baseline.
    for said in (done.compared, done.found.manifest.verdict):
        if said:
            typer.echo(console.clean(said))


@models.command("rollback")
def roll_back(*, task: TaskArgument, lake: LakeOption = DEFAULT_LAKE) -> None:
    """Make the champion before the present one the champion again."""
    check_installed()
    from beatlake.lake import Lake
    from beatlake.learn import promotion

    version = promotion.roll_back(Lake(lake), task)
    typer.echo(console.clean(f"Version {version} is the champion of {task} again."))

"""Commands that write: runs, rollback, vacuum, and what a run needs."""

from __future__ import annotations

import json
import shlex
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from beatlake import console
from beatlake.cli import reporters
from beatlake.cli.options import (
    DEFAULT_LAKE,
    ConfigOption,
    LakeOption,
    SetOption,
    app,
    check_sound_installed,
    open_lake,
)

if TYPE_CHECKING:
    from beatlake.reading import OpenLake


class Log(str, Enum):
    """How a run tells what it does."""

    auto = "auto"
    plain = "plain"
    json = "json"


@app.command()
def run(
    *,
    input_directory: Annotated[
        str, typer.Option("--input", help="Directory of the CSV files.", show_default=False)
    ],
    lake: LakeOption = DEFAULT_LAKE,
    config: ConfigOption = None,
    settings: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Run every stage again.")] = False,
    from_stage: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--from-stage", help="Run this stage and those after it again."),
    ] = None,
    only: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--only", help="Run this stage alone and publish nothing."),
    ] = None,
    accept: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--accept", metavar="FIGURE", help="Publish although this figure has moved too far."
        ),
    ] = None,
    log: Annotated[Log, typer.Option(help="Bars or lines, lines, or one JSON event a line.")] = (
        Log.auto
    ),
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Turn CSV files into a new release of the lake."""
    from beatlake import config as configuration
    from beatlake.lake import Lake
    from beatlake.runs.runner import run as run_pipeline
    from beatlake.runs.selection import Selection

    with reporters.reporter(log.value, quiet) as reporter:
        report = run_pipeline(
            input_directory,
            Lake(lake),
            configuration.load(config, [*(settings or ()), *_accepting(accept)]),
            reporter,
            Selection(force=force, from_stage=from_stage, only=only),
        )
        if isinstance(reporter, reporters.JsonReporter):
            reporter.run_finished(report)
            return
    if quiet:
        return
    for line in reporters.closing(report, str(lake), only):
        typer.echo(line)
    if report.outcome == "done" and report.release is not None:
        _show_heads(open_lake(lake, report.release.release))
        _show_next(lake)


@app.command()
def rollback(
    *,
    release: Annotated[int, typer.Argument(min=1, help="Number of the release to go back to.")],
    lake: LakeOption = DEFAULT_LAKE,
    settings: SetOption = None,
) -> None:
    """Publish the tables of an older release again, as the newest; nothing is copied."""
    from beatlake import config as configuration
    from beatlake.lake import Lake
    from beatlake.runs import publishing

    lease_s = configuration.load(None, settings or ()).lease_s
    made = publishing.rollback(Lake(lake), release, lease_s)
    typer.echo(f"Release {made.release} holds the tables of release {release}.")


@app.command()
def vacuum(
    *,
    keep: Annotated[
        int, typer.Option("--keep", min=1, help="How many of the newest releases stay readable.")
    ],
    lake: LakeOption = DEFAULT_LAKE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    settings: SetOption = None,
) -> None:
    """Remove the data files that none of the newest releases names."""
    from beatlake import config as configuration
    from beatlake.lake import Lake
    from beatlake.runs.vacuum import vacuum as remove

    lease_s = configuration.load(None, settings or ()).lease_s
    found = remove(Lake(lake), keep, dry_run=dry_run, expires_s=lease_s)
    would = "would be removed" if dry_run else "removed"
    dropped = ", ".join(map(str, found.dropped)) or "none"
    typer.echo(f"Releases kept: {', '.join(map(str, found.kept))}; {would}: {dropped}.")
    typer.echo(f"Data files {would}: {found.files:,} ({found.size / 1e6:,.1f} MB).")


@app.command()
def config(*, config: ConfigOption = None, settings: SetOption = None) -> None:
    """Print the settings in force, as YAML, without secrets."""
    import yaml

    from beatlake import config as configuration

    found = configuration.load(config, settings or ()).recorded()
    typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def doctor() -> None:
    """Check whether this machine can run beatlake."""
    from beatlake import environment

    raise typer.Exit(environment.main([]))


@app.command()
def generate(
    *,
    out: Annotated[Path, typer.Option("--out", help="Directory to write the CSV files to.")],
    scale: Annotated[
        float, typer.Option(help="Size as a share of the published set, which is 7 GB.")
    ] = 0.002,
    seed: Annotated[int, typer.Option(help="The same scale and seed give the same bytes.")] = 42,
    clean: Annotated[bool, typer.Option("--clean", help="Leave out defective records.")] = False,
    previews: Annotated[
        int, typer.Option(min=0, help="Clips of sound to write, too, of so many recordings.")
    ] = 0,
    processes: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Processes at once; by default as many as the scale needs."),
    ] = None,
) -> None:
    """Write synthetic CSV files of the shape of the published set."""
    from beatlake import synth

    if previews:
        check_sound_installed("Previews")
    try:
        truth = synth.generate(
            out, scale=scale, seed=seed, clean=clean, previews=previews, processes=processes
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    console.print_table(
        ("file", "records", "set aside", "bytes"),
        [
            (
                file["file"],
                file["records"],
                file["records"] - file["kept_rows"] - file["merged_duplicates"],
                file["bytes"],
            )
            for file in truth["files"].values()
        ],
    )
    typer.echo("")
    if previews:
        folder = out / truth["previews"]["folder"]
        typer.echo(console.clean(f"Clips of sound in {folder}: {truth['previews']['number']:,}."))
    typer.echo(console.clean(f"Written to {out}; what to expect of them is in truth.json."))
    place = shlex.quote(str(out))
    typer.echo(console.clean(f"Next: beatlake run --input {place} --lake {DEFAULT_LAKE}"))


def _accepting(figures: list[str] | None) -> list[str]:
    """The setting that `--accept` stands for.

    Raises:
        ConfigError: a name is not one of a figure.
    """
    from beatlake.config import ConfigError
    from beatlake.quality.drift import drift

    known = drift().figures
    for name in figures or ():
        if name not in known:
            raise ConfigError(f"There is no figure {name}; there are: {', '.join(known)}.")
    return [f"accept={json.dumps(figures)}"] if figures else []


def _show_heads(opened: OpenLake) -> None:
    from beatlake.reading.heads import heads

    for title, names, rows in heads(opened):
        typer.echo("")
        console.print_table(names, rows, title=title)


def _show_next(lake: Path) -> None:
    place = "" if lake == DEFAULT_LAKE else f" --lake {shlex.quote(str(lake))}"
    typer.echo("\nNext:")
    for line in (
        f"beatlake tables{place}",
        f"beatlake describe gold.by_year{place}",
        f"beatlake sql{place} 'select genre_name, n_recordings from gold.by_genre"
        " order by n_recordings desc'",
    ):
        typer.echo(console.clean(f"  {line}"))

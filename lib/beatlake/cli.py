"""The `beatlake` command: parse, call, print, exit code.

Exit codes: 0 done, 1 a bug, 2 configuration or usage, 3 input, 4 quality gate, 5 leak gate,
6 conflict with another run, 130 interrupted. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from beatlake import __version__, console

if TYPE_CHECKING:
    from beatlake.reading import OpenLake
    from beatlake.tables.spec import Table

app = typer.Typer(
    help="Music catalogue files in, documented Delta tables out.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)

#: The lake of the command that runs, for the place of its error log.
_lake_in_use: list[Path] = []
_SHOWN_ROWS = 100
_INTERRUPTED = 130


class Log(str, Enum):
    """How a run tells what it does."""

    auto = "auto"
    plain = "plain"
    json = "json"


class Format(str, Enum):
    """How an answer is printed."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def _remember(lake: Path) -> Path:
    _lake_in_use[:] = [lake]
    return lake


LakeOption = Annotated[
    Path,
    typer.Option(
        "--lake", envvar="BEATLAKE_LAKE", help="Directory of the lake.", callback=_remember
    ),
]
ReleaseOption = Annotated[
    Optional[int],  # noqa: UP045 - typer reads it at run time, on Python 3.10 too
    typer.Option("--release", min=1, help="Number of the release; the newest by default."),
]
ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--config", help="YAML file of settings, such as conf/pipeline.yaml."),
]
SetOption = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--set", metavar="KEY=VALUE", help="One setting; wins over all other sources."),
]
OutputOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--output", help="File to write instead of printing."),
]
_LAKE = Path("build/lake")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"beatlake {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Parse what comes before the command."""


@app.command()
def run(
    *,
    input_directory: Annotated[
        str, typer.Option("--input", help="Directory of the CSV files.", show_default=False)
    ],
    lake: LakeOption = _LAKE,
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
    log: Annotated[Log, typer.Option(help="Bars or lines, lines, or one JSON event a line.")] = (
        Log.auto
    ),
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Turn CSV files into a new release of the lake."""
    from beatlake import config as configuration
    from beatlake.lake import Lake
    from beatlake.runs.runner import run as run_pipeline

    with console.reporter(log.value, quiet) as reporter:
        report = run_pipeline(
            input_directory,
            Lake(lake),
            configuration.load(config, settings or ()),
            reporter,
            force=force,
            from_stage=from_stage,
            only=only,
        )
        if isinstance(reporter, console.JsonReporter):
            reporter.run_finished(report)
            return
    if quiet:
        return
    for line in console.closing(report, str(lake), only):
        typer.echo(line)
    if report.outcome == "done" and only is None:
        _show_heads(_open(lake, report.release.release))
        _show_next(lake)


@app.command()
def sql(
    *,
    query: Annotated[str, typer.Argument(help="One statement that reads, in DuckDB's SQL.")],
    lake: LakeOption = _LAKE,
    release: ReleaseOption = None,
    format_: Annotated[
        Optional[Format],  # noqa: UP045
        typer.Option("--format", help="By default a table, or what --output ends in."),
    ] = None,
    output: OutputOption = None,
    max_rows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=0,
            help=f"Rows at most; 0 is all, the default is {_SHOWN_ROWS} for a table, else all.",
        ),
    ] = None,
) -> None:
    """Query the tables of a release in SQL.

    Tables are named LAYER.TABLE, such as gold.by_year. One statement that reads is taken: SELECT,
    WITH, VALUES, DESCRIBE, SHOW or EXPLAIN.
    """
    from beatlake.reading import answers

    opened = _open(lake, release)
    wanted = answers.choose(format_.value if format_ else None, output)
    if wanted != "table":
        if output is not None:
            answers.write(opened, query, wanted, output, max_rows)
            return
        with answers.written(opened, query, wanted, max_rows) as path:
            console.print_file(path, binary=wanted == "parquet")
        return
    names, rows, more = answers.rows(opened, query, _SHOWN_ROWS if max_rows is None else max_rows)
    console.print_rows(names, rows)
    if more:
        typer.echo(f"Only the first {len(rows):,} rows; --max-rows 0 shows all.", err=True)


@app.command()
def tables(*, lake: LakeOption = _LAKE, release: ReleaseOption = None) -> None:
    """List the tables of a release with their rows."""
    opened = _open(lake, release)
    known = _specifications()
    rows = [
        (name, opened.table(name).rows, known[name].comment if name in known else "")
        for name in opened.tables
    ]
    console.print_table(("table", "rows", "what a row is"), rows)


@app.command()
def describe(
    *,
    table: Annotated[str, typer.Argument(help="Name of the table, such as gold.by_year.")],
    lake: LakeOption = _LAKE,
    release: ReleaseOption = None,
) -> None:
    """Show a table's columns with their types, units and meaning."""
    opened = _open(lake, release)
    found = opened.table(table)
    specification = _specifications().get(table)
    typer.echo(console.clean(specification.comment) if specification else "No specification.")
    key = ", ".join(specification.key) if specification and specification.key else "none"
    typer.echo(
        f"key {key}; {found.rows:,} rows; version {found.version};"
        f" release {opened.release.release}\n"
    )
    console.print_table(
        ("column", "type", "null", "unit", "meaning"),
        [
            (c.name, c.type, "yes" if c.nullable else "no", c.unit or "", c.comment)
            for c in found.columns
        ],
    )


@app.command()
def releases(*, lake: LakeOption = _LAKE) -> None:
    """List the releases, newest first."""
    from beatlake import releases as published
    from beatlake.lake import Lake

    newest = _open(lake, None).release.release
    rows = []
    for number in reversed(published.numbers(Lake(lake))):
        found = _open(lake, number).release
        counted = sum(table.rows for table in found.tables.values())
        mark = "newest" if number == newest else ""
        rows.append(
            (number, found.kind, found.published_at, found.run_id, len(found.tables), counted, mark)
        )
    console.print_table(("release", "kind", "published", "run", "tables", "rows", ""), rows)


@app.command()
def status(
    *,
    lake: LakeOption = _LAKE,
    max_age: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Fail with exit code 4 when the newest release is older, e.g. 24h."),
    ] = None,
) -> None:
    """Tell how fresh and complete the newest release is.

    The exit code is 4 when files are gone or the release is older than --max-age.
    """
    import datetime as dt

    from beatlake.reading.health import duration, health, parse_age

    limit = parse_age(max_age) if max_age is not None else None
    found = health(_open(lake, None), limit, dt.datetime.now(dt.timezone.utc))
    lines = [
        f"Release {found.release} ({found.kind}, run {found.run_id}),"
        f" published {found.published_at:%Y-%m-%d %H:%M:%S} UTC, {duration(found.age)} ago.",
        f"{found.tables} tables, {found.rows:,} rows.",
        f"Absent inputs: {', '.join(found.absent) or 'none'}.",
        "Its data files are all there." if not found.missing else "",
        *found.problems,
    ]
    for line in filter(None, lines):
        typer.echo(console.clean(line))
    if found.problems:
        raise typer.Exit(4)


@app.command()
def export(
    *,
    table: Annotated[str, typer.Argument(help="Name of the table, such as gold.by_year.")],
    to: Annotated[Path, typer.Option("--to", help="File ending in .csv, .xlsx or .parquet.")],
    lake: LakeOption = _LAKE,
    release: ReleaseOption = None,
) -> None:
    """Write a table to a CSV, Excel or Parquet file."""
    from beatlake.reading.export import export as export_table

    rows = export_table(_open(lake, release), table, to)
    typer.echo(console.clean(f"{rows:,} rows of {table} written to {to}."))


@app.command()
def config(*, config: ConfigOption = None, settings: SetOption = None) -> None:
    """Print the settings in force, as YAML."""
    import yaml

    from beatlake import config as configuration

    found = configuration.load(config, settings or ()).model_dump(mode="json")
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
    processes: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Processes at once; by default as many as the scale needs."),
    ] = None,
) -> None:
    """Write synthetic CSV files of the shape of the published set."""
    from beatlake import synth

    try:
        truth = synth.generate(out, scale=scale, seed=seed, clean=clean, processes=processes)
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
    typer.echo(console.clean(f"Written to {out}; what to expect of them is in truth.json."))
    place = shlex.quote(str(out))
    typer.echo(console.clean(f"Next: beatlake run --input {place} --lake {_LAKE}"))


@app.command()
def dictionary(*, output: OutputOption = None) -> None:
    """Print the data dictionary, as Markdown."""
    from beatlake.reading.dictionary import dictionary as make

    if output is None:
        typer.echo(make(), nl=False)
    else:
        from beatlake.reading.files import replacing

        with replacing(output.resolve()) as scratch:
            scratch.write_text(make(), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    _lake_in_use.clear()
    command = typer.main.get_command(app)
    try:
        done = command.main(
            None if arguments is None else list(arguments),
            prog_name="beatlake",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return _fail("Interrupted.", _INTERRUPTED)
    except SystemExit as stop:
        # Whoever read the output closed it, as `head` does.
        closed = isinstance(stop.__context__, BrokenPipeError)
        return 0 if closed else int(stop.code or 0)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error}\n")
            return 2
        return _fail(*console.explain(error, _lake_in_use[0] if _lake_in_use else None))
    if done == _INTERRUPTED:
        return _fail("Interrupted.", _INTERRUPTED)
    return done if isinstance(done, int) else 0


def _fail(sentence: str, code: int) -> int:
    sys.stderr.write(f"error: {console.clean(sentence, keep=chr(10))}\n")
    return code


def _specifications() -> dict[str, Table]:
    from beatlake.tables import registry

    return {table.name: table for table in registry.all_tables()}


def _show_heads(opened: OpenLake) -> None:
    from beatlake.reading.heads import heads

    for title, names, rows in heads(opened):
        typer.echo("")
        console.print_table(names, rows, title=title)


def _show_next(lake: Path) -> None:
    place = "" if lake == _LAKE else f" --lake {shlex.quote(str(lake))}"
    typer.echo("\nNext:")
    for line in (
        f"beatlake tables{place}",
        f"beatlake describe gold.by_year{place}",
        f"beatlake sql{place} 'select genre_name, n_recordings from gold.by_genre"
        " order by n_recordings desc'",
    ):
        typer.echo(console.clean(f"  {line}"))


def _open(lake: Path, release: int | None) -> OpenLake:
    from beatlake.reading import open_lake

    return open_lake(lake, release)


if __name__ == "__main__":
    raise SystemExit(main())

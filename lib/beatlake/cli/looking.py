"""Commands that read a lake: queries, tables, releases and their differences."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from beatlake import console
from beatlake.cli.options import (
    DEFAULT_LAKE,
    LakeOption,
    OutputOption,
    ReleaseOption,
    app,
    open_lake,
)

if TYPE_CHECKING:
    from beatlake.tables.spec import Table

_SHOWN_ROWS = 100


class Format(str, Enum):
    """How an answer is printed."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.command()
def sql(
    *,
    query: Annotated[str, typer.Argument(help="One statement that reads, in DuckDB's SQL.")],
    lake: LakeOption = DEFAULT_LAKE,
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
    WITH, VALUES, DESCRIBE, SHOW or EXPLAIN. Answers are exact in every format; for a spreadsheet,
    `export` guards what it would run as a formula.
    """
    from beatlake.reading import answers

    opened = open_lake(lake, release)
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
def tables(*, lake: LakeOption = DEFAULT_LAKE, release: ReleaseOption = None) -> None:
    """List the tables of a release with their rows, and those of models and sound."""
    opened = open_lake(lake, release)
    known = _specifications()
    rows = [
        (name, opened.table(name).rows, known[name].comment if name in known else "")
        for name in (*opened.tables, *opened.unreleased)
    ]
    console.print_table(("table", "rows", "what a row is"), rows)


@app.command()
def describe(
    *,
    table: Annotated[str, typer.Argument(help="Name of the table, such as gold.by_year.")],
    lake: LakeOption = DEFAULT_LAKE,
    release: ReleaseOption = None,
) -> None:
    """Show a table's columns with their types, units and meaning."""
    opened = open_lake(lake, release)
    found = opened.table(table)
    specification = _specifications().get(table)
    typer.echo(console.clean(specification.comment) if specification else "No specification.")
    key = ", ".join(specification.key) if specification and specification.key else "none"
    aside = table in opened.unreleased
    release_ = "in no release" if aside else f"release {opened.release.release}"
    typer.echo(f"key {key}; {found.rows:,} rows; version {found.version}; {release_}\n")
    console.print_table(
        ("column", "type", "null", "unit", "meaning"),
        [
            (c.name, c.type, "yes" if c.nullable else "no", c.unit or "", c.comment)
            for c in found.columns
        ],
    )


@app.command()
def releases(*, lake: LakeOption = DEFAULT_LAKE) -> None:
    """List the releases, newest first."""
    from beatlake import releases as published
    from beatlake.lake import Lake

    newest = open_lake(lake, None).release.release
    rows = []
    for number in reversed(published.numbers(Lake(lake))):
        try:
            found = open_lake(lake, number).release
        except published.NoReleaseError:
            # A clean-up has removed it since the look.
            continue
        counted = sum(table.rows for table in found.tables.values())
        mark = "newest" if number == newest else ""
        rows.append(
            (number, found.kind, found.published_at, found.run_id, len(found.tables), counted, mark)
        )
    console.print_table(("release", "kind", "published", "run", "tables", "rows", ""), rows)


@app.command()
def diff(
    *,
    before: Annotated[int, typer.Argument(min=1, help="Number of a release.")],
    after: Annotated[int, typer.Argument(min=1, help="Number of another.")],
    lake: LakeOption = DEFAULT_LAKE,
) -> None:
    """Show which rows and key figures differ between two releases."""
    from beatlake.reading.diff import diff as compare

    found = compare(open_lake(lake, before), open_lake(lake, after))
    if found.tables:
        console.print_table(
            ("table", "rows before", "rows after", "added", "removed", "changed"),
            [
                (t.table, t.rows_before, t.rows_after, t.added, t.removed, t.changed)
                for t in found.tables
            ],
        )
    else:
        typer.echo(f"Releases {before} and {after} hold the same rows.")
    moved = [(name, old, new) for name, (old, new) in found.figures.items() if old != new]
    if moved:
        typer.echo("")
        console.print_table(("figure", "before", "after"), moved)


@app.command()
def status(
    *,
    lake: LakeOption = DEFAULT_LAKE,
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
    found = health(open_lake(lake, None), limit, dt.datetime.now(dt.timezone.utc))
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
    lake: LakeOption = DEFAULT_LAKE,
    release: ReleaseOption = None,
) -> None:
    """Write a table to a CSV, Excel or Parquet file."""
    from beatlake.reading.export import export as export_table

    rows = export_table(open_lake(lake, release), table, to)
    typer.echo(console.clean(f"{rows:,} rows of {table} written to {to}."))


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


def _specifications() -> dict[str, Table]:
    from beatlake.tables import registry

    return {table.name: table for table in registry.all_tables()}

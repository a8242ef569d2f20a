"""How commands print what is known of models: lines, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any

import typer

from beatlake import console


class Shown(str, Enum):
    """How models are printed."""

    table = "table"
    json = "json"


FormatOption = Annotated[Shown, typer.Option("--format", help="How to print.")]


def tell(
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


def ladder(lines: list[dict[str, Any]], format_: Shown = Shown.table) -> None:
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
    tell(
        headline,
        format_,
        ("version", "estimator", "rung", "metric", "value", "95 % interval", "n", "purged", ""),
        lambda line: (
            line["version"],
            line["estimator"],
            line["rung"],
            line["metric"],
            line["value"],
            between(line["interval"]),
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


def between(interval: list[float | None] | None) -> str:
    """An interval as a table shows it.

    >>> between([0.1, 0.25]), between([None, None])
    ('0.1000 to 0.2500', 'none')
    """
    if not interval or interval[0] is None or interval[1] is None:
        return "none"
    return f"{interval[0]:.4f} to {interval[1]:.4f}"

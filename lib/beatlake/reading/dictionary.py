"""The data dictionary: every table, column and rule, from the specs that the lake is made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from beatlake.ingest.csv.rules import RULES
from beatlake.quality.rules import Rule
from beatlake.tables import registry
from beatlake.tables.spec import Column, Table

_INTRODUCTION = """\
# Data dictionary

Every table of the lake, as `LAYER.TABLE`, with its key and columns. `beatlake dictionary` makes
this page from the specifications that the tables themselves are made from. `bronze` holds the
files as published, `quarantine` the records that were set aside, `silver` one row per thing,
`gold` the aggregates, `ml` what models were found to be worth and the sound of previews, `ops` what
runs did. A column that is not nullable always has a value.
"""


def dictionary() -> str:
    """The whole dictionary in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    tables = registry.all_tables()
    layers = list(dict.fromkeys(table.layer for table in tables))
    yield _INTRODUCTION
    for layer in layers:
        named = ", ".join(f"[{t.name}](#{_anchor(t.name)})" for t in tables if t.layer == layer)
        yield f"* {layer}: {named}"
    yield "* [rules](#rules)"
    for layer in layers:
        yield f"\n## {layer}"
        for table in tables:
            if table.layer == layer:
                yield from _table(table)
    yield from _rules()


def _table(table: Table) -> Iterator[str]:
    yield f"\n### {table.name}\n"
    yield f"{table.comment}\n"
    if table.key:
        yield f"Key: {', '.join(f'`{name}`' for name in table.key)}.\n"
    for name, condition in table.checks.items():
        yield f"Check `{name}`: `{condition}`.\n"
    yield from _grid(("column", "type", "unit", "nullable", "meaning"), map(_row, table.columns))


def _row(column: Column) -> tuple[str, ...]:
    nullable = "yes" if column.nullable else "no"
    return f"`{column.name}`", f"`{column.type}`", column.unit or "", nullable, column.comment


def _rules() -> Iterator[str]:
    yield "\n## rules"
    yield "\n### Rules about the physical record\n"
    yield "A record that breaks one of these is set aside.\n"
    yield from _grid(("rule", "meaning"), ((f"`{rule}`", rule.meaning) for rule in RULES))
    yield "\n### Rules about values and rows\n"
    yield "The contract of a file (`conf/contracts/`) says which set a row aside.\n"
    others = (rule for rule in Rule if rule not in RULES)
    yield from _grid(("rule", "meaning"), ((f"`{rule}`", rule.meaning) for rule in others))


def _grid(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _anchor(name: str) -> str:
    """The anchor that GitHub gives a heading of this name."""
    return name.replace(".", "")

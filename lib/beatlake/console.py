"""What the command line shows of data: text, tables and files, made harmless.

Names and values come from files that strangers wrote. Control characters, which could move the
cursor or retitle the terminal, are spelt out, and rich's markup is never interpreted.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from beatlake.errors import BeatlakeError

#: C0, DEL, C1, line separators, and marks that reverse the direction of text.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_DECIMALS = 6
_SMALL = 1e-4


class UnprintableError(BeatlakeError):
    """What was asked for would garble the terminal."""

    exit_code = 2


def clean(text: str, keep: str = "") -> str:
    r"""Text that a terminal shows as it is; control characters become ``\uXXXX``.

    >>> clean("a\x1b[31mb\n")
    'a\\u001b[31mb\\u000a'
    """
    return _UNSAFE.sub(lambda m: m[0] if m[0] in keep else f"\\u{ord(m[0]):04x}", text)


def shown(value: Any) -> str:
    """A value in a cell: numbers short, nulls and nested values readable.

    >>> shown(None), shown(0.1 + 0.2), shown(True), shown([1, None])
    ('NULL', '0.3', 'true', '[1, null]')
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        tiny = 0 < abs(value) < _SMALL
        return f"{value:.6g}" if tiny else f"{round(value, _DECIMALS):.15g}"
    if isinstance(value, (list, tuple, dict)):
        return clean(json.dumps(value, ensure_ascii=False, default=str))
    return clean(str(value))


def print_table(
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    stream: TextIO | None = None,
    title: str | None = None,
) -> None:
    """Print rows under their names; as wide as they need where nobody watches."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = stream or sys.stdout
    cells = [tuple(row) for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    if title:
        table.title = Text(clean(title), style="italic")
    for column, name in enumerate(names):
        numeric = all(
            isinstance(row[column], (int, float, Decimal)) and not isinstance(row[column], bool)
            for row in cells
            if row[column] is not None
        )
        table.add_column(
            Text(clean(str(name))),
            justify="right" if cells and numeric else "left",
            overflow="fold",
        )
    for row in cells:
        table.add_row(*(Text(shown(value)) for value in row))
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 100_000
    with console.capture() as captured:
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    stream.write("".join(f"{line}\n" for line in lines))


def print_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print the answer to a query: a table, or the drawing of a plan for EXPLAIN."""
    if list(names) == ["explain_key", "explain_value"]:
        for _, plan in rows:
            sys.stdout.write(clean(str(plan), keep="\n"))
        return
    print_table(names, rows)


def print_file(path: Path, binary: bool, stream: TextIO | None = None) -> None:
    """Copy a file to standard output; on a terminal, what it would obey is spelt out.

    Raises:
        UnprintableError: it is binary and standard output is a terminal.
    """
    stream = stream or sys.stdout
    stream.flush()
    if not stream.isatty():
        with path.open("rb") as source:
            shutil.copyfileobj(source, stream.buffer)
        stream.buffer.flush()
        return
    if binary:
        raise UnprintableError("A terminal cannot show this format; name a file with --output.")
    with path.open(encoding="utf-8", newline="") as lines:
        for line in lines:
            stream.write(clean(line, keep="\r\n\t"))

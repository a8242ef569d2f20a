"""A card as blocks, the same for HTML and Markdown; their texts are escaped when they are set."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from beatlake.learn.judgement import Score

#: Texts are cut here: a title can be a book.
_LONGEST = 1_000


@dataclass(frozen=True)
class Paragraph:
    """A few sentences; one that a reader must not miss is ``strong``."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Listed:
    """Items, one a line."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A picture by the name of its file, with what it shows for those who do not see it."""

    file: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Cells as texts; columns of the places in ``numbers`` are set to the right."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Paragraph | Listed | Picture | Table, ...]


def table(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[object]], numbers: str = ""
) -> Table:
    """A table of anything; ``numbers`` marks columns to set to the right with an n, as in ".nn".

    >>> table("", ["genre", "n"], [["House", 1200]], ".n").rows
    (('House', '1,200'),)
    """
    return Table(
        caption,
        tuple(header),
        tuple(tuple(cell(value) for value in row) for row in rows),
        frozenset(place for place, mark in enumerate(numbers) if mark == "n"),
    )


def cell(value: object) -> str:
    """A value as a short plain text: no control characters, no line breaks, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    text = plain(str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def plain(text: str) -> str:
    r"""A text in one line, without the characters that change how what follows is shown.

    >>> plain("two\nlines \u202eand a turn")
    'two lines and a turn'
    """
    kept = (
        " " if letter.isspace() else letter
        for letter in text
        if letter.isspace() or unicodedata.category(letter) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    return " ".join("".join(kept).split())


def number(value: float) -> str:
    """A number in about four figures.

    >>> [number(value) for value in (0.12345, -3.21987, 45.678, 414807.2, 0.00012)]
    ['0.123', '-3.220', '45.68', '414,807', '0.00012']
    """
    size = abs(value)
    if 0 < size < 0.0005:
        return f"{value:.2g}"
    digits = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    return f"{value:,.{digits}f}"


def with_interval(score: Score | None) -> str:
    """A score and its interval in one cell; why there is none where there is none."""
    if score is None:
        return ""
    if score.value is None:
        return "not available"
    if score.low is None or score.high is None:
        return number(score.value)
    return f"{number(score.value)} ({number(score.low)} to {number(score.high)})"

"""The first look at a new release: a few rows and columns of three gold tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from beatlake.sql import quoted

if TYPE_CHECKING:
    from beatlake.reading.opened import OpenLake

_MEANS = ("release_popularity_mean", "tempo_bpm_mean", "energy_mean", "danceability_mean")
#: Table, title, columns that name a row, and the order in which rows are worth a look.
_HEADS = (
    ("gold.by_year", "newest years", ("release_year",), "release_year DESC NULLS LAST"),
    ("gold.by_genre", "largest genres", ("genre_name",), "n_recordings DESC, genre_name"),
    ("gold.by_season", "seasons", ("release_season",), "n_recordings DESC, release_season"),
)
_ROWS = 5


def heads(opened: OpenLake) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    """Title, names and rows of each table that the release has, with the columns it has."""
    for name, what, key, order in _HEADS:
        if name not in opened.tables:
            continue
        relation = opened.table(name).duckdb()
        wanted = [c for c in (*key, "n_recordings", *_MEANS) if c in relation.columns]
        if not {*key, "n_recordings"} <= set(wanted):
            continue
        found = relation.order(order).project(", ".join(map(quoted, wanted))).limit(_ROWS)
        rows = found.fetchall()
        if rows:
            yield f"{name}: {what}", wanted, rows

"""What a row is of: its recording, its artists and its days, as SQL."""

from __future__ import annotations

from collections.abc import Iterator

from beatlake.learn import credits
from beatlake.learn.columns import Columns
from beatlake.learn.task import Task
from beatlake.sql import quoted, text


def keys_of(task: Task, columns: Columns) -> Iterator[str]:
    """SQL of what must not stand on both sides."""
    entities = task.entities
    ids = [
        f"{text(f'{i}:')} || {quoted(name)}::VARCHAR" for i, name in enumerate(entities.recording)
    ]
    if entities.same_recording:
        parts = [
            f"trim(regexp_replace(lower(nfc_normalize({quoted(c)}::VARCHAR)),"
            r" '[^\p{L}\p{N}]+', ' ', 'g'))"
            for c in entities.same_recording
        ]
        ids.append("'s:' || " + " || chr(31) || ".join(parts))
    yield f"coalesce({', '.join(ids)}) AS recording" if ids else "NULL::VARCHAR AS recording"
    every = f"list_filter([{', '.join(ids)}], lambda k: k IS NOT NULL)" if ids else "[]::VARCHAR[]"
    yield f"{every} AS recordings"
    artists = "[]::VARCHAR[]"
    if entities.artists:
        arrays = [columns.is_list(name) for name in entities.artists.columns]
        artists = credits.lists(
            entities.artists.columns,
            entities.artists.titles,
            arrays=arrays,
            split=entities.artists.split,
        )
    yield f"({artists})[1] AS artist"
    yield f"{artists} AS artists"
    yield from _days(task, columns)


def _days(task: Task, columns: Columns) -> Iterator[str]:
    """SQL of the first and last day that a date may stand for."""
    date = task.entities.date
    if date is None:
        yield from ("NULL::DATE AS starts", "NULL::DATE AS ends")
        return
    value = f"{quoted(date.column)}::VARCHAR"
    if date.years is not None:
        cases = " ".join(f"WHEN {text(k)} THEN '{y:04d}'" for k, y in date.years.items())
        value = f"(CASE {value} {cases} END)"
    value = f"regexp_extract({value}, '^(\\d{{4}}(-\\d{{2}}(-\\d{{2}})?)?)($|[ T])', 1)"
    length = f"length({value})"
    yield (
        f"CASE {length} WHEN 4 THEN TRY_CAST({value} || '-01-01' AS DATE) WHEN 7 THEN"
        f" TRY_CAST({value} || '-01' AS DATE) WHEN 10 THEN TRY_CAST({value} AS DATE) END AS starts"
    )
    yield (
        f"CASE {length} WHEN 4 THEN TRY_CAST({value} || '-12-31' AS DATE) WHEN 7 THEN"
        f" last_day(TRY_CAST({value} || '-01' AS DATE))"
        f" WHEN 10 THEN TRY_CAST({value} AS DATE) END AS ends"
    )

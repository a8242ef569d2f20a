"""What must hold before a release is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from beatlake.commits import Committed
from beatlake.exchange import Dealt, Query, Stored, Whole, select
from beatlake.quality.contract import SET_ASIDE, contracts
from beatlake.quality.counting import Tally
from beatlake.quality.drift import drift
from beatlake.releases import InputFile, Release
from beatlake.tables import registry

#: Gives the rows of a query, by column name.
Ask = Callable[[Query], list[dict[str, Any]]]

_LEDGER = ("kept", "merged", "set_aside")
#: What `grain_problems` holds against each other.
GRAIN_OF_RECORDINGS = (
    "silver.recordings",
    "bronze.audio_features",
    "silver.spotify_tracks",
    "silver.beatport_tracks",
)


def ledger_problems(
    tallies: Iterable[Tally],
    committed: Mapping[str, Committed],
    inputs: Mapping[str, InputFile],
) -> list[str]:
    """Sources whose rows kept, merged and set aside do not add up to the rows that they have.

    The rows of a file are the physical records that the boundary pass counted, the rows of a
    table those that its commit wrote: neither is counted by the code under audit.
    """
    accounted: dict[tuple[str, str], int] = {}
    for tally in tallies:
        if tally.outcome in _LEDGER:
            place = (tally.table, tally.source)
            accounted[place] = accounted.get(place, 0) + tally.rows
    problems = []
    for (table, source), rows in sorted(accounted.items()):
        given = inputs[source].records if source in inputs else committed[source].rows
        if rows != given:
            problems.append(
                f"{table} accounts for {rows:,} of the {given:,} rows of {source}:"
                f" {abs(given - rows):,} are {'lost' if rows < given else 'counted twice'}."
            )
    for file, seen in inputs.items():
        written = committed[f"bronze.{file}"].rows + committed[f"quarantine.{file}"].rows
        if written != seen.records:
            problems.append(
                f"{file} has {seen.records:,} records, but bronze and quarantine hold {written:,}."
            )
    return problems


def gate_problems(tallies: Iterable[Tally], inputs: Mapping[str, InputFile]) -> list[str]:
    """Files of which more records break a rule, or were set aside, than their contract allows."""
    broken: dict[tuple[str, str, str], list[Tally]] = {}
    for tally in tallies:
        file = tally.source.removeprefix("bronze.")
        if file in inputs and tally.rule is not None:
            names = [tally.rule]
            if tally.outcome == "set_aside" and tally.source == file:
                names.append(SET_ASIDE)
            for name in names:
                # By table, because ingest and integration may both count one flag.
                broken.setdefault((file, name, tally.table), []).append(tally)
    problems = []
    for (file, name, table), found in sorted(broken.items()):
        limit, total = contracts()[file].limit_by_rule().get(name), inputs[file].records
        rows = sum(t.rows for t in found)
        if limit is None or limit.allows(rows, total):
            continue
        examples = ", ".join(f"{t.rule} {t.rows:,} (e.g. {t.example})" for t in found if t.rows)
        problems.append(
            f"{rows:,} of the {total:,} records of {file} "
            + (
                f"were set aside ({examples}). See quarantine.{file}."
                if name == SET_ASIDE
                else f"break a rule on the way to {table}: {examples}."
            )
            + f" Its contract allows {limit.rows:,} or {limit.share:.1%}."
        )
    return problems


def key_problems(tables: Mapping[str, Stored], ask: Ask) -> list[str]:
    """Tables in which a key stands on more than one row.

    One query over hashes of all keys finds the tables that may have repeated ones, and only those
    are counted exactly: hashes are small, and equal keys have equal hashes.

    Args:
        tables: the tables to be judged, by name.
        ask: answers queries.
    """
    keys = {name: registry.table(name).key for name in tables if registry.table(name).key}
    if not keys:
        return []
    hashes = {
        f"keys_{number}": select(tables[name], f"hash({', '.join(key)}) AS key_hash")
        for number, (name, key) in enumerate(keys.items())
    }
    # One table after the other, so that no more than the keys of one are held.
    repeated = Query(
        " UNION ALL ".join(
            f"SELECT {number} AS table_number FROM {view}"
            " HAVING count(*) > count(DISTINCT key_hash)"
            for number, view in enumerate(hashes)
        ),
        {view: Dealt(query, ("key_hash",)) for view, query in hashes.items()},
    )
    names = list(keys)
    suspects = {names[row["table_number"]] for row in ask(repeated)}
    problems = []
    for name in sorted(suspects):
        key = keys[name]
        by = ", ".join(key)
        found = ask(
            Query(
                f"""
                SELECT count(*) AS n, min(struct_pack({by})) AS example
                FROM (SELECT {by} FROM rows GROUP BY {by} HAVING count(*) > 1)
                """,
                {"rows": Dealt(select(tables[name], *key), key)},
            )
        )
        if n := sum(row["n"] for row in found):
            example = min(tuple(row["example"].values()) for row in found if row["n"])
            shown = ", ".join(f"{c}={value!r}" for c, value in zip(key, example, strict=True))
            problems.append(f"{n:,} keys of {name} stand on more than one row, e.g. {shown}.")
    return problems


def grain_problems(
    recordings: Stored, audio: Stored, spotify: Stored, beatport: Stored, *, ask: Ask
) -> list[str]:
    """Whether recordings are exactly the ISRCs of the three sides, counted apart from the join.

    Under another name, so that how the tables are cut, which the join relies on, is not relied on.
    """
    sides = {"audio": audio, "spotify": spotify, "beatport": beatport}
    united = " UNION ".join(f"SELECT id FROM {side}" for side in sides)
    counted = Query(
        f"SELECT count(*) AS n FROM ({united})",
        {
            side: Dealt(select(table, "isrc AS id", where="isrc IS NOT NULL"), ("id",))
            for side, table in sides.items()
        },
    )
    expected = sum(row["n"] for row in ask(counted))
    if expected == recordings.rows:
        return []
    return [
        f"silver.recordings has {recordings.rows:,} rows for {expected:,} distinct ISRCs of"
        " audio features, Spotify tracks and Beatport tracks."
    ]


def all_figures(
    stored: Callable[[str], Stored],
    ask: Ask,
    committed: Mapping[str, Committed],
    before: Release | None,
) -> dict[str, float | None]:
    """The key figures of the release to be; those of ``before`` where their table is the same.

    Args:
        stored: gives a table of the release to be.
        ask: answers queries.
        committed: the tables of the release to be.
        before: the release that was published last.
    """
    declared = drift().figures
    known = {} if before is None else before.figures
    last = {} if before is None else before.tables
    tables = dict.fromkeys(figure.table for figure in declared.values())
    names = {t: [name for name, figure in declared.items() if figure.table == t] for t in tables}
    same = {
        table
        for table in tables
        if table in last and last[table].version == committed[table].version
        if known.keys() >= set(names[table])
    }
    found = {name: known[name] for table in same for name in names[table]}
    found |= figures({table: stored(table) for table in tables if table not in same}, ask)
    return {name: found[name] for name in declared}


def figures(tables: Mapping[str, Stored], ask: Ask) -> dict[str, float | None]:
    """The key figures of some tables, by name, in one task."""
    wanted: dict[str, list[str]] = {}
    for name, figure in drift().figures.items():
        if figure.table in tables:
            wanted.setdefault(figure.table, []).append(f"({figure.value})::DOUBLE AS {name}")
    if not wanted:
        return {}
    rows = ", ".join(
        f"(SELECT {', '.join(values)} FROM rows_{number})"
        for number, values in enumerate(wanted.values())
    )
    whole = {f"rows_{number}": Whole(tables[table]) for number, table in enumerate(wanted)}
    (found,) = ask(Query(f"SELECT * FROM {rows}", whole))
    return found

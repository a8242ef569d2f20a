"""What must hold before a release is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from beatlake.lake import Committed
from beatlake.quality.contract import SET_ASIDE, contracts
from beatlake.quality.counting import Tally
from beatlake.quality.drift import drift
from beatlake.releases import InputFile, Release
from beatlake.tables import registry

_LEDGER = ("kept", "merged", "set_aside")


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


def key_problems(frames: Mapping[str, DataFrame]) -> list[str]:
    """Tables in which a key stands on more than one row.

    One query over hashes of all keys finds the tables that may have repeated ones, and only those
    are counted exactly: the hashes need a small shuffle, and equal keys have equal hashes.
    """
    keyed = {name: f for name, f in frames.items() if registry.table(name).key}
    if not keyed:
        return []
    hashes = [
        frame.select(
            F.lit(number).cast("smallint").alias("table"),
            F.xxhash64(*registry.table(name).key).alias("hash"),
        )
        for number, (name, frame) in enumerate(keyed.items())
    ]
    repeated = reduce(DataFrame.unionByName, hashes).groupBy("table", "hash").count()
    suspects = repeated.filter("count > 1").select("table").distinct().collect()
    names = list(keyed)
    problems = []
    for name in sorted(names[row["table"]] for row in suspects):
        key = registry.table(name).key
        rows = keyed[name].groupBy(*key).count().filter("count > 1").sort(*key)
        example, found = rows.first(), rows.count()
        if example is not None:
            shown = ", ".join(f"{column}={example[column]!r}" for column in key)
            problems.append(f"{found:,} keys of {name} stand on more than one row, e.g. {shown}.")
    return problems


def grain_problems(
    recordings: DataFrame, audio: DataFrame, spotify: DataFrame, beatport: DataFrame
) -> list[str]:
    """Whether recordings are exactly the ISRCs of the three sides, counted apart from the join."""
    sides = [frame.select("isrc") for frame in (audio, spotify, beatport)]
    expected = reduce(DataFrame.union, sides).filter(F.col("isrc").isNotNull())
    counts = expected.agg(F.count_distinct("isrc").alias("expected")).crossJoin(
        recordings.agg(F.count(F.lit(1)).alias("found"))
    )
    row = counts.collect()[0]
    if row["expected"] == row["found"]:
        return []
    return [
        f"silver.recordings has {row['found']:,} rows for {row['expected']:,} distinct ISRCs of"
        " audio features, Spotify tracks and Beatport tracks."
    ]


def all_figures(
    read: Callable[[str], DataFrame],
    committed: Mapping[str, Committed],
    before: Release | None,
) -> dict[str, float | None]:
    """The key figures of the release to be; those of ``before`` where their table is the same.

    Args:
        read: gives the frame of a table of the release to be.
        committed: the tables of the release to be.
        before: the release that was published last.
    """
    declared = drift().figures
    known = {} if before is None else before.figures
    found: dict[str, float | None] = {}
    for table in dict.fromkeys(figure.table for figure in declared.values()):
        names = [name for name, figure in declared.items() if figure.table == table]
        last = None if before is None else before.tables.get(table)
        same = last is not None and last.version == committed[table].version
        if same and known.keys() >= set(names):
            found |= {name: known[name] for name in names}
        else:
            found |= figures(read(table), table)
    return {name: found[name] for name in declared}


def figures(frame: DataFrame, table: str) -> dict[str, float | None]:
    """The key figures of one table, by name, in one query."""
    wanted = {name: f for name, f in drift().figures.items() if f.table == table}
    row = frame.agg(
        *[F.expr(figure.value).cast("double").alias(name) for name, figure in wanted.items()]
    ).collect()[0]
    return {name: row[name] for name in wanted}

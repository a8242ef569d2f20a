"""How each stage's tables are made: the thin layer between the plan and the pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from beatlake.aggregate.by_group import aggregate_by
from beatlake.config import Settings
from beatlake.ingest.csv import RULES, FileSurvey, Split
from beatlake.ingest.records import Judged, judge
from beatlake.integrate import beatport, credits, dimensions, links, recordings, spotify
from beatlake.integrate.common import Inputs, Output, text_of
from beatlake.quality.contract import Contract, contracts
from beatlake.quality.counting import Count, Counted, flag_counts
from beatlake.quality.rules import VALUE_RULES, Rule
from beatlake.runs.inputs import RunInputs
from beatlake.runs.plan import Stage
from beatlake.tables import gold

#: Bits of the bitmap that tells where set-aside records lie; Spark's bitmaps have this many.
_BLOCKS = 32_768
#: At most so many places of a file are read again for the records that were set aside.
_PLACES = 256


@dataclass(frozen=True)
class Context:
    """What a stage may use: a session, its input frames, the settings and the input files."""

    spark: SparkSession
    frames: Mapping[str, DataFrame]
    settings: Settings
    inputs: RunInputs


@dataclass(frozen=True)
class Write:
    """A table to write (None: no rows), and the counts that its write resolves."""

    table: str
    frame: DataFrame | None
    counted: tuple[Counted, ...] = ()


def build(stage: Stage, context: Context) -> Iterator[Write]:
    """The tables of a stage, one after the other.

    A later table may depend on what was counted while an earlier one was written, so each must be
    written before the next is asked for.
    """
    kind, _, name = stage.name.partition(".")
    if kind == "ingest":
        yield from _ingest(contracts()[name], context)
    elif kind == "integrate":
        absent = frozenset(context.inputs.absent)
        output = _INTEGRATE[name](Inputs(context.frames, absent), context.settings)
        yield Write(f"silver.{name}", output.frame, tuple(output.counted))
    else:
        declared = gold.declaration()
        aggregate = next(a for a in declared.tables if a.name == name)
        frame, counted = aggregate_by(context.frames, declared, aggregate)
        yield Write(f"gold.{name}", frame, (counted,))


_INTEGRATE: Mapping[str, Callable[[Inputs, Settings], Output]] = {
    "genres": lambda i, _: dimensions.genres(i),
    "subgenres": lambda i, _: dimensions.subgenres(i),
    "labels": lambda i, _: dimensions.labels(i),
    "keys": lambda i, _: dimensions.keys(i),
    "artists": lambda i, _: dimensions.artists(i),
    "releases": lambda i, _: spotify.releases(i),
    "release_artists": lambda i, _: spotify.release_artists(i),
    "spotify_tracks": lambda i, _: spotify.spotify_tracks(i),
    "spotify_track_artists": lambda i, _: spotify.spotify_track_artists(i),
    "beatport_releases": lambda i, _: beatport.beatport_releases(i),
    "beatport_tracks": lambda i, s: beatport.beatport_tracks(i, s.integrate.half_time_below),
    "beatport_track_artists": lambda i, _: beatport.beatport_track_artists(i),
    "orphans": lambda i, _: links.orphans(i),
    "recording_genres": lambda i, _: credits.recording_genres(i),
    "recording_artists": lambda i, _: credits.recording_artists(i),
    "recordings": lambda i, s: recordings.recordings(i, s.aggregate.hemisphere),
}


def _ingest(contract: Contract, context: Context) -> Iterator[Write]:
    """Bronze in one pass over the file, then quarantine from the places that pass pointed at."""
    bronze, quarantine = f"bronze.{contract.file}", f"quarantine.{contract.file}"
    if not context.inputs.parts[contract.file]:
        yield Write(bronze, None)
        yield Write(quarantine, None)
        return
    surveyed = context.inputs.survey(contract.file)
    judged = _judged(contract, context, surveyed)
    bad = F.col("_bad")
    block_bytes = max(64 << 10, -(-surveyed.bytes // _BLOCKS))
    places = F.bitmap_construct_agg(F.when(bad, _block(surveyed, block_bytes)))
    kept = Counted(
        judged.frame,
        bronze,
        contract.file,
        [Count("kept", F.count_if(~bad))],
        {"bad": F.count_if(bad), "places": places},
    )
    flagged = Counted(
        Judged(kept.frame, contract).bronze(),
        bronze,
        contract.file,
        flag_counts([Rule[rule.upper()] for rule in contract.checks], text_of(contract.key)),
    )
    yield Write(bronze, flagged.frame, (kept, flagged))
    values = kept.values()
    if not values["bad"]:
        yield Write(quarantine, None)
        return
    again = _places(surveyed, bytes(values["places"]), block_bytes)
    judged = _judged(contract, context, surveyed, again)
    primary = F.col("reasons")[0]["rule"]
    place = F.concat_ws(" at byte ", "source_file", F.col("byte_offset").cast("string"))
    names = [rule.value for rule in (*RULES, *VALUE_RULES)]
    aside = Counted(
        judged.quarantine(),
        bronze,
        contract.file,
        [
            Count(
                "set_aside",
                F.count_if(primary == rule),
                rule,
                F.min(F.when(primary == rule, place)),
            )
            for rule in names
        ],
    )
    yield Write(quarantine, aside.frame, (aside,))


def _judged(
    contract: Contract,
    context: Context,
    surveyed: FileSurvey,
    splits: list[Split] | None = None,
) -> Judged:
    return judge(
        context.spark,
        surveyed,
        contract,
        context.inputs.limits,
        splits=splits,
        split_bytes=context.settings.ingest.split_mb << 20,
    )


def _starts(surveyed: FileSurvey) -> list[int]:
    """Where each part would start if all were laid end to end."""
    starts, total = [], 0
    for part in surveyed.parts:
        starts.append(total)
        total += part.size
    return starts


def _block(surveyed: FileSurvey, block_bytes: int) -> Column:
    """The bit of the block that a record begins in."""
    starts = F.array(*[F.lit(start).cast("bigint") for start in _starts(surveyed)])
    offset = starts[F.col("part_index")] + F.col("byte_offset")
    return F.bitmap_bit_position(F.floor(offset / block_bytes).cast("bigint") + 1)


def _places(surveyed: FileSurvey, bitmap: bytes, block_bytes: int) -> list[Split]:
    """Splits that cover every block of the bitmap, near ones joined."""
    blocks = [
        8 * index + bit
        for index, byte in enumerate(bitmap)
        if byte
        for bit in range(8)
        if byte >> bit & 1
    ]
    near = max(1, blocks[-1] // _PLACES) if blocks else 1
    ranges: list[list[int]] = []
    for block in blocks:
        if ranges and block - ranges[-1][1] <= near:
            ranges[-1][1] = block + 1
        else:
            ranges.append([block, block + 1])
    found = []
    for index, (start, part) in enumerate(zip(_starts(surveyed), surveyed.parts, strict=True)):
        if part.part.gzipped:
            touched = any(
                low * block_bytes < start + part.size and high * block_bytes > start
                for low, high in ranges
            )
            found += [Split(index, part.data_start, part.size)] if touched else []
            continue
        for low, high in ranges:
            first = max(low * block_bytes - start, part.data_start)
            last = min(high * block_bytes - start, part.size)
            if first < last:
                found.append(Split(index, first, last))
    return found

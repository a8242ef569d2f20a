"""How each stage's tables are made: the thin layer between the plan and the pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from pyspark.sql import SparkSession

from beatlake.aggregate.by_group import aggregates
from beatlake.buckets import UNCUT, Cut
from beatlake.config import Settings
from beatlake.datafiles import Target
from beatlake.exchange import Done, Output, Query, Sizes, Stored, write
from beatlake.ingest.files import Ingested, ingest
from beatlake.integrate import beatport, credits, dimensions, links, recordings, spotify
from beatlake.integrate.common import Inputs
from beatlake.quality.contract import Contract, contracts
from beatlake.runs.inputs import RunInputs
from beatlake.runs.plan import Stage
from beatlake.tables import gold, registry
from beatlake.tables.spec import Table


@dataclass(frozen=True)
class Context:
    """What a stage may use: a session, its input tables, the settings and the input files.

    ``target`` says where workers put the files of a table, ``cut`` how files are cut that are.
    """

    spark: SparkSession
    tables: Mapping[str, Stored]
    settings: Settings
    inputs: RunInputs
    target: Callable[[Table], Target]
    cut: Cut = UNCUT


@dataclass(frozen=True)
class Write:
    """A table to write: what writes its data files and counts; None stands for no rows."""

    table: str
    work: Callable[[], Done] | None


def build(stage: Stage, context: Context) -> Iterator[Write]:
    """The tables of a stage, one after the other.

    A later table may depend on what happened while an earlier one was written, so each must be
    written before the next is asked for.
    """
    kind, _, name = stage.name.partition(".")
    if kind == "ingest":
        yield from _ingest(contracts()[name], context)
        return
    if kind == "integrate":
        absent = frozenset(context.inputs.absent)
        queries = [_INTEGRATE[name](Inputs(context.tables, absent), context.settings)]
    else:
        declared = gold.declaration()
        queries = aggregates(context.tables, declared, declared.together()[name])
    outputs = [
        Output(table, context.target(table), query, context.cut)
        for table, query in zip(map(registry.table, stage.outputs), queries, strict=True)
    ]
    done: list[Done] = []

    def first() -> Done:
        done.extend(write(context.spark, outputs, Sizes.of(context.spark, context.settings.spark)))
        return done[0]

    yield Write(outputs[0].table.name, first)
    for number, output in enumerate(outputs[1:], 1):
        yield Write(output.table.name, partial(done.__getitem__, number))


_INTEGRATE: Mapping[str, Callable[[Inputs, Settings], Query]] = {
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
    """Bronze and quarantine in one pass over the file, which begins when bronze is written."""
    bronze, quarantine = f"bronze.{contract.file}", f"quarantine.{contract.file}"
    if not context.inputs.parts[contract.file]:
        yield Write(bronze, None)
        yield Write(quarantine, None)
        return
    done: list[Ingested] = []

    def work() -> Done:
        ingested = ingest(
            context.spark,
            context.inputs.survey(contract.file),
            contract,
            context.inputs.limits,
            bronze=context.target(registry.table(bronze)),
            quarantine=context.target(registry.table(quarantine)),
            split_bytes=context.settings.ingest.split_mb << 20,
        )
        done.append(ingested)
        return Done(ingested.bronze, ingested.tallies)

    yield Write(bronze, work)
    aside = done[0].quarantine
    yield Write(quarantine, (lambda: Done(aside, [])) if aside else None)

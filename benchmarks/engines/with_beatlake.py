"""The core task (`etl.py`) by beatlake's own stages: ``with_beatlake.py INPUT OUTPUT``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from threading import Lock

from beatlake.aggregate.by_group import aggregates
from beatlake.buckets import UNCUT, Cut
from beatlake.commits import Committed, Stamp
from beatlake.config import load
from beatlake.datafiles import Written
from beatlake.exchange import Done, Output, Sizes, Stored, ranges, write
from beatlake.lake import Lake
from beatlake.runs import plan
from beatlake.runs.inputs import RunInputs, discover
from beatlake.runs.stages import Context, build
from beatlake.session import session
from beatlake.tables import gold, registry
from beatlake.tables.spec import Table

FILES = ("audio_features", "sp_track", "sp_release", "bp_track", "bp_genre", "bp_subgenre")
STAGES = (
    *(f"ingest.{file}" for file in FILES),
    "integrate.genres",
    "integrate.subgenres",
    "integrate.releases",
    "integrate.spotify_tracks",
    "integrate.beatport_tracks",
    "integrate.recording_genres",
    "integrate.recordings",
)
RECORDINGS, GENRES = "silver.recordings", "silver.recording_genres"
#: The task's aggregate, declared as `conf/gold.yaml` declares others: means, and no percentiles.
BY_GENRE = gold.Aggregate(
    name="by_year_season_genre",
    comment="Recordings by season, its year (December counts to the next) and Beatport genre.",
    of="recording_genres",
    group_by=("release_season_year", "release_season", "genre_id", "genre_name"),
    credit="full",
    measures=("release_popularity", "danceability", "energy", "valence", "tempo_bpm"),
    quantiles=(),
)


def main(source: Path, output: Path) -> None:
    """Run the stages as soon as what they read is there, some side by side."""
    settings = load()
    found = discover(str(source), settings.ingest)
    inputs = RunInputs(
        found.directory,
        found.settings,
        {name: parts if name in FILES else () for name, parts in found.parts.items()},
    )
    lake = Lake(output / "lake")
    with ThreadPoolExecutor(1) as pool:
        # As a run does, which surveys its input while Spark starts.
        surveys = pool.map(inputs.survey, FILES)
        spark = session(settings.spark)
        list(surveys)
    planned = plan.stages(settings, dict.fromkeys(inputs.parts, ""))
    done: dict[str, Committed] = {}

    def stored(table: str, cut: Cut = UNCUT) -> Stored:
        spec = registry.table(table)
        if table not in done:
            return Stored(spec.arrow_schema, (), 0)
        return lake.stored(spec, done[table], cut)

    sizes, cutting = Sizes.of(spark, settings.spark), Lock()

    @cache
    def cut_by(table: str, column: str) -> Cut:
        return ranges(spark, stored(table), column, sizes)

    def commit(table: Table, work: Callable[[], Done] | None, stage: str) -> None:
        files = None if work is None else partial(_files, work)
        stamp = Stamp("benchmark", stage, "", "")
        done[table.name] = lake.write(table, files, stamp)

    def run(stage: plan.Stage) -> None:
        with cutting:
            cut = cut_by(*stage.cut_by) if stage.cut_by else UNCUT
        tables = {table: stored(table, cut) for table in stage.inputs}
        context = Context(spark, tables, settings, inputs, lake.target, cut)
        for each in build(stage, context):
            commit(registry.table(each.table), each.work, stage.name)

    declared = gold.declaration()
    by_genre = gold.table(declared, BY_GENRE)

    def aggregate() -> Done:
        tables = {table: stored(table) for table in (RECORDINGS, GENRES)}
        (query,) = aggregates(tables, declared, [BY_GENRE])
        return write(spark, [Output(by_genre, lake.target(by_genre), query)], sizes)[0]

    plan.run_in_order(
        [stage for stage in planned if stage.name in STAGES], run, settings.parallel_stages
    )
    commit(by_genre, aggregate, by_genre.name)
    for name in (RECORDINGS, by_genre.name):
        folder = output / name.partition(".")[2]
        folder.mkdir()
        for file in lake.files(name, done[name].version):
            os.link(lake.data_file(name, file), folder / file.path)
    spark.stop()


def _files(work: Callable[[], Done]) -> list[Written]:
    return work().files


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

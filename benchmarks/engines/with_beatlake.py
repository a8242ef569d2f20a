"""The core task (`etl.py`) by beatlake's own stages: ``with_beatlake.py INPUT OUTPUT``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from beatlake.config import load
from beatlake.datafiles import Written
from beatlake.exchange import Done, Stored
from beatlake.lake import Committed, Lake, Stamp
from beatlake.runs import plan
from beatlake.runs.inputs import RunInputs, discover
from beatlake.runs.stages import Context, build
from beatlake.session import session
from beatlake.tables import registry

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
    "aggregate.by_year_season_genre",
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
    spark = session(settings.spark)
    planned = plan.stages(settings, dict.fromkeys(inputs.parts, ""))
    done: dict[str, Committed] = {}

    def run(stage: plan.Stage) -> None:
        tables = {
            table: lake.stored(registry.table(table), done[table])
            if table in done
            else Stored(registry.table(table).arrow_schema, (), 0)
            for table in stage.inputs
        }
        context = Context(spark, tables, settings, inputs, lake.target)
        stamp = Stamp("benchmark", stage.name, "", "")
        for write in build(stage, context):
            files = None if write.work is None else partial(_files, write.work)
            done[write.table] = lake.write(registry.table(write.table), files, stamp)

    plan.run_in_order(
        [stage for stage in planned if stage.name in STAGES], run, settings.parallel_stages
    )
    for name in ("silver.recordings", "gold.by_year_season_genre"):
        folder = output / name.partition(".")[2]
        folder.mkdir()
        for file in lake.files(name, done[name].version):
            os.link(lake.data_file(name, file), folder / file.path)
    spark.stop()


def _files(work: Callable[[], Done]) -> list[Written]:
    return work().files


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

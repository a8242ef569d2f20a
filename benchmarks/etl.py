r"""The core task by beatlake and by engines that people would use instead, side by side.

    python benchmarks/etl.py --input DIR --engines beatlake,duckdb,polars,pandas --rounds 3 \\
        --json OUT

DIR is made by `beatlake generate --clean`: the peers do not look for damage, as their users would
not.

The task
--------
From `audio_features`, `sp_track`, `sp_release`, `bp_track`, `bp_genre` and `bp_subgenre` (half of
the bytes of all files) make

* `recordings`: a row for each ISRC of any side, with the canonical Spotify track (of the earliest
  release, a partial date standing for its last day, then of the smallest id), its release, the
  canonical Beatport track (earliest date, then smallest id) with the names of its genre and
  subgenre, how many tracks each side has, audio features, release date and season (`TEXTS` and
  `NUMBERS`);
* `by_year_season_genre`: how many recordings, and means of some measures, by season and its year
  and by each Beatport genre that a recording has.

Both are written as Parquet with snappy, by beatlake as Delta tables. beatlake runs its own stages,
called and not copied, and so does more: it judges every value, keeps bronze and silver tables on
the way, resolves repeated keys, counts and flags, and its tables have more columns. The aggregate
is declared for the task, as users declare theirs. A peer reads the columns that it needs, and is
written as its users would write it.

Every engine is a process of its own, timed from start to exit; a round runs each once, so that what
else the machine does falls on all. That the results agree is checked in DuckDB: the number of rows
and a hash of these columns that does not depend on the rows' order, and the means to nine digits.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import baseline
import duckdb
import psutil

ENGINES = ("beatlake", "duckdb", "polars", "pandas")
MEANS = ("release_popularity", "danceability", "energy", "valence", "tempo_bpm")
#: Columns of `recordings` that are compared as texts, and those that are to nine digits.
TEXTS = (
    "isrc",
    "n_spotify_tracks",
    "n_beatport_tracks",
    "title",
    "release_date_text",
    "release_year",
    "release_month",
    "release_season",
    "duration_ms",
    "spotify_track_id",
    "spotify_release_id",
    "release_title",
    "album_type",
    "release_popularity",
    "beatport_track_id",
    "mix",
    "genre_id",
    "genre_name",
    "subgenre_name",
)
NUMBERS = (
    "acousticness",
    "danceability",
    "energy",
    "loudness_db",
    "tempo_bpm",
    "valence",
    "bpm_stated",
)


#: Seconds between two looks at processes, and at their memory: for that the kernel walks all their
#: pages, meanwhile they get no new ones.
_LOOK_S, _LOOK_AT_MEMORY_S = 0.2, 1.0


@dataclass(frozen=True)
class Measured:
    """One process: seconds by the clock, CPU seconds and peak memory of it and its children.

    ``others_cpu_s`` is what the rest of the machine used meanwhile: where it is not small beside
    ``cpu_s``, the seconds by the clock say little.
    """

    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    others_cpu_s: float


def measure(
    command: list[str],
    cores: int | None = None,
    output: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeline: list[tuple[float, float]] | None = None,
) -> Measured:
    """Run a command to its end and measure it with all its children.

    Args:
        command: the command.
        cores: to how many it is confined; to none by default.
        output: where its standard output goes.
        environment: its environment, if not this process's.
        folder: where it is run, if not here.
        timeline: is given the time, and the CPU seconds until then, again and again.

    Raises:
        CalledProcessError: it failed.
    """
    with ExitStack() as opened:
        stdout = None if output is None else opened.enter_context(output.open("wb"))
        before, started = _machine_cpu_s(), time.monotonic()
        process = subprocess.Popen(command, stdout=stdout, env=environment, cwd=folder)
    root, peak = psutil.Process(process.pid), 0
    if cores is not None:
        # In time: the process starts no other and asks for its cores only after some imports.
        root.cpu_affinity(root.cpu_affinity()[:cores])
    cpu: dict[int, float] = {}
    look_at_memory = started
    while process.poll() is None:
        with suppress(psutil.Error):
            processes = (root, *root.children(recursive=True))
            for each in processes:
                times = each.cpu_times()
                cpu[each.pid] = times.user + times.system
            if time.monotonic() >= look_at_memory:
                # Forked workers share pages with their parent: each counts its part.
                peak = max(peak, sum(each.memory_full_info().pss for each in processes))
                # A short process must not end between two looks, a long one not wait for them.
                now = time.monotonic()
                look_at_memory = now + min(_LOOK_AT_MEMORY_S, (now - started) / 4)
        if timeline is not None:
            timeline.append((time.time(), sum(cpu.values())))
        time.sleep(_LOOK_S)
    wall, own = time.monotonic() - started, sum(cpu.values())
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    others = max(0.0, _machine_cpu_s() - before - own)
    return Measured(round(wall, 2), round(own, 2), round(peak / 2**20), round(others, 2))


def _machine_cpu_s() -> float:
    """CPU seconds that everybody used since the machine started, and that it did not get."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + getattr(times, "steal", 0.0))


@dataclass(frozen=True)
class Result:
    """What all engines must agree on: recordings by number and hash, and the groups."""

    recordings: tuple[int, int]
    groups: dict[tuple[int, str, int], tuple[float, ...]]

    def agrees(self, other: Result) -> bool:
        """Whether all is the same, means to nine digits."""
        return (
            self.recordings == other.recordings
            and self.groups.keys() == other.groups.keys()
            and all(
                math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12)
                for key, values in self.groups.items()
                for one, two in zip(values, other.groups[key], strict=True)
            )
        )


def result(output: Path) -> Result:
    """What an engine left in its folder."""
    connection = duckdb.connect()
    # As text, so that the engines' types do not matter.
    values = ", ".join(f"coalesce({name}::varchar, '')" for name in TEXTS)
    numbers = ", ".join(f"coalesce(format('{{:.9g}}', {name}::double), '')" for name in NUMBERS)
    recordings = connection.execute(
        f"SELECT count(*), sum(hash(concat_ws('|', {values}, {numbers}))::hugeint)"
        f" FROM read_parquet('{output}/recordings/*.parquet')"
    ).fetchall()
    means = ", ".join(f"coalesce({name}_mean::double, -1)" for name in MEANS)
    groups = connection.execute(
        "SELECT coalesce(release_season_year, 0)::int, release_season, coalesce(genre_id, 0)::int,"
        f" n_recordings::bigint, {means}"
        f" FROM read_parquet('{output}/by_year_season_genre/*.parquet')"
    ).fetchall()
    return Result(recordings[0], {row[:3]: row[3:] for row in groups})


def rounds(engines: list[str], source: Path, count: int) -> dict[str, list[Measured]]:
    """Each engine once in each round.

    Raises:
        SystemExit: two engines do not agree.
    """
    found: dict[str, list[Measured]] = {engine: [] for engine in engines}
    agreed: Result | None = None
    for number in range(1, count + 1):
        for engine in engines:
            with tempfile.TemporaryDirectory() as folder:
                script = Path(__file__).parent / "engines" / f"with_{engine}.py"
                measured = measure([sys.executable, str(script), str(source), folder])
                made = result(Path(folder))
            found[engine].append(measured)
            print(f"round {number} {engine:9} {measured}", flush=True)
            agreed = agreed or made
            if not made.agrees(agreed):
                raise SystemExit(f"{engine} does not agree with {engines[0]}.")
    return found


def summary(found: dict[str, list[Measured]]) -> dict[str, dict[str, Any]]:
    """Medians by engine, with the ratio to DuckDB round by round, and all rounds."""
    result: dict[str, dict[str, Any]] = {}
    for engine, all_rounds in found.items():
        medians = {
            name: round(statistics.median(getattr(each, name) for each in all_rounds), 2)
            for name in ("wall_s", "cpu_s", "peak_rss_mb")
        }
        ratio = None
        if "duckdb" in found:
            pairs = zip(all_rounds, found["duckdb"], strict=True)
            ratio = round(statistics.median(a.wall_s / b.wall_s for a, b in pairs), 2)
        result[engine] = {
            **medians,
            "ratio_to_duckdb": ratio,
            "rounds": [asdict(measured) for measured in all_rounds],
        }
    return result


def main() -> int:
    """Run what the command line asks for and print medians, and ratios beside the kept ones."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--input", required=True, type=Path)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--rounds", default=3, type=int)
    baseline.add_options(parser)
    options = parser.parse_args()
    engines = options.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"no such engines: {sorted(unknown)}; there are {', '.join(ENGINES)}")
    measured = summary(rounds(engines, options.input, options.rounds))
    print(f"{'engine':9} {'wall s':>8} {'CPU s':>8} {'MB':>6} {'x DuckDB':>9}")
    for engine, row in measured.items():
        print(
            f"{engine:9} {row['wall_s']:8} {row['cpu_s']:8} {row['peak_rss_mb']:6}"
            f" {row['ratio_to_duckdb'] or '':>9}"
        )
    ratios = {
        f"{engine}_to_duckdb": float(row["ratio_to_duckdb"])
        for engine, row in measured.items()
        if row["ratio_to_duckdb"] is not None and engine != "duckdb"
    }
    return baseline.finish("etl", baseline.scale_of(options.input), ratios, measured, options)


if __name__ == "__main__":
    sys.exit(main())

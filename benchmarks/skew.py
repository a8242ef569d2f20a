"""What skew costs: one ISRC with a million rows, 5 % null keys, a genre with 60 % of the rows.

    python benchmarks/skew.py --input DIR [--rounds 1] [--set KEY=VALUE]...

Makes two inputs of a generated set without defects, of the same files and numbers of rows. In the
skewed one

* a million of Beatport's 10.7 million rows (as large a share at other scales) have one ISRC;
* 5 % of the rows of `bp_track` and `sp_track` have none;
* 60 % of the rows of `bp_track` are of one genre.

In the even one the very same rows take the values there are in turn, so that both have about as
many recordings. Files that no key of these joins are left out. The pipeline runs on both, one stage
after the other; the ratio is that of the stages of integration and aggregation, by the clock and of
CPU. `--set spark.alone_values=20000000` makes one machine deal rows to buckets as a cluster does;
without it one task does all, which no key can unbalance.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import baseline
import duckdb

from pipeline import Run, by_kind, run

#: What the stages that join need besides the two files that are made anew.
_FILES = (
    "audio_features",
    "sp_artist",
    "sp_artist_release",
    "sp_artist_track",
    "sp_release",
    "bp_artist",
    "bp_artist_track",
    "bp_genre",
    "bp_key",
    "bp_label",
    "bp_release",
    "bp_subgenre",
)
_HOT, _NULL, _GENRE = 1 / 10.7, 0.05, 0.6
_KINDS = ("integrate", "aggregate")


def make(source: Path, out: Path, *, even: bool) -> Path:
    """Make the skewed or the even input of a generated set; the folder."""
    out.mkdir()
    for name in _FILES:
        os.link(source / f"{name}.csv", out / f"{name}.csv")
    _replace(source, out, "bp_track", {"isrc": _HOT + _NULL, "genre_id": _GENRE}, even)
    _replace(source, out, "sp_track", {"isrc": _NULL}, even)
    return out


def _replace(source: Path, out: Path, file: str, shares: Mapping[str, float], even: bool) -> None:
    """Write a file in which shares of the rows have other values of some columns.

    Which rows is decided by a hash of their id. Of the rows with another ISRC a share of `_NULL`
    has none; the value that the others share is the smallest ISRC, and the most frequent genre.
    """
    connection = duckdb.connect()
    connection.execute(
        f"CREATE TABLE given AS FROM read_csv('{source}/{file}.csv', all_varchar = true,"
        " allow_quoted_nulls = false)"
    )
    changed = []
    for column, share in shares.items():
        connection.execute(
            f"CREATE TABLE {column}_chosen AS SELECT track_id, part < {_NULL} AS without,"
            " row_number() OVER (ORDER BY track_id) - 1 AS turn FROM ("
            f" SELECT track_id, hash(track_id, '{column}') / 2.0 ** 64 AS part FROM given"
            f") WHERE part < {share}"
        )
        connection.execute(
            f"CREATE TABLE {column}_left AS SELECT {column},"
            f" row_number() OVER (ORDER BY {column}) - 1 AS turn FROM ("
            f" SELECT DISTINCT {column} FROM given ANTI JOIN {column}_chosen USING (track_id)"
            f" WHERE {column} IS NOT NULL)"
        )
        changed.append(_changed(connection, column, even=even))
    # What belongs to a genre would not fit another one.
    if "genre_id" in shares:
        changed.append("CASE WHEN genre_id_chosen.turn IS NULL THEN subgenre_id END AS subgenre_id")
    joined = " ".join(
        f"LEFT JOIN {column}_chosen USING (track_id) LEFT JOIN {column}_left"
        f" ON {column}_left.turn = {column}_chosen.turn % (SELECT count(*) FROM {column}_left)"
        for column in shares
    )
    connection.execute(
        f"COPY (SELECT given.* REPLACE ({', '.join(changed)}) FROM given {joined})"
        f" TO '{out}/{file}.csv' (FORMAT csv, HEADER)"
    )


def _changed(connection: duckdb.DuckDBPyConnection, column: str, *, even: bool) -> str:
    value = f"{column}_left.{column}"
    if not even:
        hot = {
            "isrc": "SELECT min(isrc) FROM isrc_left",
            "genre_id": "SELECT mode(genre_id) FROM given",
        }[column]
        ((found,),) = connection.execute(hot).fetchall()
        value = f"'{found}'"
        if column == "isrc":
            value = f"CASE WHEN NOT isrc_chosen.without THEN {value} END"
    kept = f"WHEN {column}_chosen.turn IS NULL THEN given.{column}"
    return f"CASE {kept} ELSE {value} END AS {column}"


def joining(run: Run) -> tuple[float, float]:
    """Seconds and CPU-seconds of the stages that join."""
    seconds, cpu_s = by_kind(run.seconds), by_kind(run.cpu_s)
    return sum(seconds[kind] for kind in _KINDS), sum(cpu_s[kind] for kind in _KINDS)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--input", required=True, type=Path)
    parser.add_argument("--rounds", default=1, type=int)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--scratch", type=Path, help="where inputs and lakes are meanwhile")
    baseline.add_options(parser)
    options = parser.parse_args()
    settings = ["parallel_stages=1", *options.settings]
    found: dict[str, list[Run]] = {"even": [], "skewed": []}
    # Beside the input, whose files are linked.
    with tempfile.TemporaryDirectory(dir=options.scratch or options.input.parent) as folder:
        inputs = {
            case: make(options.input, Path(folder) / case, even=case == "even") for case in found
        }
        for number in range(options.rounds):
            for case, runs in found.items():
                runs.append(run(inputs[case], Path(folder) / f"{case}-{number}", settings))
                wall, cpu = joining(runs[-1])
                print(f"round {number + 1} {case:6}: {wall:.1f} s, {cpu:.1f} CPU-s", flush=True)
    _print_stages(found)
    pairs = [
        (joining(skewed), joining(even))
        for skewed, even in zip(found["skewed"], found["even"], strict=True)
    ]
    ratios = {
        name: statistics.median(skewed[kind] / even[kind] for skewed, even in pairs)
        for kind, name in enumerate(("seconds_to_even", "cpu_s_to_even"))
    }
    everything = {case: [asdict(each) for each in runs] for case, runs in found.items()}
    name = "_".join(["skew", *options.settings])
    return baseline.finish(name, baseline.scale_of(options.input), ratios, everything, options)


def _print_stages(found: Mapping[str, list[Run]]) -> None:
    """The stages that join, the longest first."""
    even, skewed = (
        {
            stage: statistics.median(each.cpu_s[stage] for each in runs)
            for stage in runs[0].cpu_s
            if stage.partition(".")[0] in _KINDS
        }
        for runs in (found["even"], found["skewed"])
    )
    print(f"{'stage':36} {'CPU-s even':>10} {'skewed':>8} {'ratio':>6}")
    for stage in sorted(even, key=lambda stage: -skewed[stage])[:10]:
        ratio = skewed[stage] / even[stage]
        print(f"{stage:36} {even[stage]:10.1f} {skewed[stage]:8.1f} {ratio:6.2f}")


if __name__ == "__main__":
    sys.exit(main())

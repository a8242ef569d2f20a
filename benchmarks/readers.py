"""How fast DuckDB and Polars read `silver.recordings`, beside the best single file of its rows.

    python benchmarks/readers.py --lake LAKE [--rounds 5] [--layouts] [--files N]

Of a published lake: a look-up of one recording by its ISRC with all columns, a filter by genre and
year, and a group-by over all rows, each from the table's data files and from single Parquet files
of the same rows, which this script writes: as the rows come and sorted by ISRC, with snappy and
zstd, with row groups of several sizes. The best single file is the one whose times are the smallest
taken together. A round asks everything once, so that what else the machine does falls on all; files
are in the page cache. The ratio is that of the medians over the rounds.

`--layouts` also cuts the rows into files as the lake does, with what a writer could do besides, and
tells what that costs to write and gives to read. `--files` takes only the first files of the
table: a sample of its rows, since files are cut by a hash.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import baseline
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import beatlake
from beatlake.buckets import file_in

TABLE = "silver.recordings"
LISTED = ("isrc", "title", "artist_names", "bpm")
_MEASURES = ("danceability", "energy", "bpm")
#: Codec and rows of a group of single files; DuckDB writes groups of 122,880 rows.
_SINGLE = (("snappy", 20_000), ("snappy", 122_880), ("zstd", 122_880))


@dataclass(frozen=True)
class Asked:
    """What is asked for: a recording, and a genre and year that many recordings have."""

    isrc: str
    genre: str
    year: int


#: Answers a question from some files with the number of rows that it found; Polars needs no
#: connection.
Reader = Callable[[duckdb.DuckDBPyConnection, list[str], Asked], int]


def _duckdb(select: str) -> Reader:
    def read(connection: duckdb.DuckDBPyConnection, files: list[str], asked: Asked) -> int:
        sql = select.format(rows="read_parquet($files)")
        given = {"files": files} | {
            name: value for name, value in asked.__dict__.items() if f"${name}" in sql
        }
        return len(connection.sql(sql, params=given).to_arrow_table())

    return read


def _polars(query: Callable[[pl.LazyFrame, Asked], pl.LazyFrame]) -> Reader:
    return lambda _, files, asked: query(pl.scan_parquet(files), asked).collect().height


READERS: dict[str, Reader] = {
    "point_duckdb": _duckdb("SELECT * FROM {rows} WHERE isrc = $isrc"),
    "point_polars": _polars(lambda rows, asked: rows.filter(pl.col("isrc") == asked.isrc)),
    "filter_duckdb": _duckdb(
        f"SELECT {', '.join(LISTED)} FROM {{rows}}"
        " WHERE genre_name = $genre AND release_year = $year"
    ),
    "filter_polars": _polars(
        lambda rows, asked: rows.filter(
            (pl.col("genre_name") == asked.genre) & (pl.col("release_year") == asked.year)
        ).select(LISTED)
    ),
    "group_duckdb": _duckdb(
        "SELECT genre_name, release_year, count(*),"
        f" {', '.join(f'avg({name})' for name in _MEASURES)} FROM {{rows}} GROUP BY ALL"
    ),
    "group_polars": _polars(
        lambda rows, _: rows.group_by("genre_name", "release_year").agg(
            pl.len(), *[pl.col(name).mean() for name in _MEASURES]
        )
    ),
}


@dataclass
class Layout:
    """Files that hold all rows, what writing them took, and the seconds of every reading.

    Those are by the clock and of CPU.
    """

    name: str
    files: list[str]
    write_cpu_s: float = math.nan
    seconds: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def medians(self, kind: int = 0) -> dict[str, float]:
        """The median seconds of each reader, of CPU if ``kind`` is 1."""
        return {
            reader: statistics.median(both[kind] for both in each)
            for reader, each in self.seconds.items()
        }

    def together(self) -> float:
        """The geometric mean of the medians."""
        return statistics.geometric_mean(self.medians().values())

    def size(self) -> int:
        """Bytes of all files."""
        return sum(Path(file).stat().st_size for file in self.files)


def single_files(rows: pa.Table, folder: Path) -> Iterable[Layout]:
    """Single files of the rows, written as a careful person would."""
    for order in ("as it comes", "by isrc"):
        started = time.process_time()
        ordered = _by_isrc(rows) if order == "by isrc" else rows
        sorting = time.process_time() - started
        for codec, group in _SINGLE:
            name = f"{order}, {codec}, {group:,} rows a group"
            options: dict[str, Any] = {"compression": codec, "row_group_size": group}
            layout = _written(name, [ordered], folder, **options)
            layout.write_cpu_s += sorting
            yield layout


def cut_files(files: list[str], folder: Path) -> Iterable[Layout]:
    """The lake's files written again, with what a writer could do besides."""
    as_is: dict[str, Any] = {"compression": "snappy", "row_group_size": 122_880}
    sorted_ = {"sort": True}
    most = max(pq.read_metadata(file).num_rows for file in files)
    bloom = {"bloom_filter_options": {"isrc": {"ndv": most, "fpp": 0.01}}}
    tried: dict[str, dict[str, Any]] = {
        "cut": {},
        "cut, bloom filter": bloom,
        "cut, by isrc": sorted_,
        "cut, by isrc, 20,000 rows a group": {**sorted_, "row_group_size": 20_000},
        "cut, by isrc, page index": {**sorted_, "write_page_index": True},
        "cut, by isrc, zstd": {**sorted_, "compression": "zstd"},
    }
    for name, options in tried.items():
        yield _written(name, map(pq.read_table, files), folder, **{**as_is, **options})


def _written(
    name: str, parts: Iterable[pa.Table], folder: Path, *, sort: bool = False, **options: Any
) -> Layout:
    """Write tables, a file for each."""
    place = folder / name.replace(" ", "_")
    place.mkdir()
    layout = Layout(name, [], 0.0)
    for number, part in enumerate(parts):
        started = time.process_time()
        layout.files.append(str(place / f"{number}.parquet"))
        pq.write_table(
            _by_isrc(part) if sort else part,
            layout.files[-1],
            use_dictionary=_repetitive(part),
            **options,
        )
        layout.write_cpu_s += time.process_time() - started
    return layout


def _by_isrc(rows: pa.Table) -> pa.Table:
    return rows.take(pc.sort_indices(rows.column("isrc")))


def _repetitive(rows: pa.Table) -> list[str]:
    """The columns that hold few different values, which alone get a dictionary, as in the lake."""
    sample = rows.slice(0, 10_000)
    return [
        f"{name}.list.element" if pa.types.is_list(column.type) else name
        for name, column in zip(sample.column_names, sample.columns, strict=True)
        if pa.types.is_list(column.type) or pc.count_distinct(column).as_py() < len(sample) * 0.3
    ]


def measure_all(layouts: list[Layout], asked: list[Asked], rounds: int) -> None:
    """Ask every reader of every layout, and see that the answers agree.

    Raises:
        SystemExit: two layouts do not hold the same rows.
    """
    for number in range(rounds + 1):
        what = asked[number % len(asked)]
        for name, read in READERS.items():
            found = set()
            for layout in layouts:
                # A fresh one has nothing of the files in memory; to make it is not reading.
                with duckdb.connect() as connection:
                    started, cpu = time.perf_counter(), time.process_time()
                    found.add(read(connection, layout.files, what))
                    took = time.perf_counter() - started, time.process_time() - cpu
                # The first round fills the page cache.
                if number:
                    layout.seconds.setdefault(name, []).append(took)
            if len(found) != 1:
                raise SystemExit(f"{name} finds {sorted(found)} rows for {what}.")


def questions(files: list[str], number: int) -> list[Asked]:
    """Recordings by the order of a hash, with the genres and years that most have."""
    common = duckdb.execute(
        "SELECT genre_name, release_year FROM read_parquet($files)"
        " WHERE genre_name IS NOT NULL AND release_year IS NOT NULL"
        " GROUP BY ALL ORDER BY count(*) DESC, genre_name, release_year LIMIT $number",
        {"files": files, "number": number},
    ).fetchall()
    some = duckdb.execute(
        "SELECT isrc FROM read_parquet($files) ORDER BY hash(isrc) LIMIT $number",
        {"files": files, "number": len(common)},
    ).fetchall()
    return [Asked(isrc, *pair) for (isrc,), pair in zip(some, common, strict=True)]


def ratios(lake: Layout, best: Layout, kind: int = 0) -> dict[str, float]:
    """The lake's times beside those of the best single file."""
    of_best = best.medians(kind)
    return {reader: seconds / of_best[reader] for reader, seconds in lake.medians(kind).items()}


def _print(layouts: Iterable[Layout], kind: int) -> None:
    print(f"{('ms by the clock', 'ms of CPU')[kind]:44} files      MB write", *READERS)
    for each in layouts:
        medians = each.medians(kind)
        times = [f"{1000 * medians[reader]:{len(reader)}.1f}" for reader in READERS]
        size = f"{each.size() / 1e6:7.1f}"
        print(f"{each.name:44} {len(each.files):5} {size} {each.write_cpu_s:5.1f}", *times)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lake", required=True, type=Path)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--layouts", action="store_true", help="try what a writer could do besides")
    parser.add_argument("--files", type=int, help="how many of the table's files; all by default")
    parser.add_argument("--scratch", type=Path, help="where files are written meanwhile")
    baseline.add_options(parser)
    options = parser.parse_args()
    files = beatlake.open(options.lake).table(TABLE).files[: options.files]
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        lake = Layout("the lake", files)
        rows = pa.concat_tables(map(pq.read_table, files))
        number = len(rows)
        singles = list(single_files(rows, Path(folder)))
        del rows
        cut = list(cut_files(files, Path(folder))) if options.layouts else []
        layouts = [lake, *singles, *cut]
        measure_all(layouts, questions(files, options.rounds), options.rounds)
        best = min(singles, key=Layout.together)
        for kind in (0, 1):
            _print(layouts, kind)
        print(f"best single file: {best.name}; the lake has {_cut_into(files)}")
        found = {
            each.name: {"write_cpu_s": each.write_cpu_s, "size": each.size(), **each.seconds}
            for each in layouts
        }
    all_found = {"rows": number, "best": best.name, "layouts": found}
    both = ratios(lake, best) | {f"{k}_cpu": v for k, v in ratios(lake, best, 1).items()}
    return baseline.finish("readers", f"{number} rows", both, all_found, options)


def _cut_into(files: list[str]) -> str:
    ways = {file_in(Path(file).name)[1] for file in files} - {""}
    groups = sum(pq.read_metadata(file).num_row_groups for file in files)
    return f"{len(files)} files of the cuts {sorted(ways)} with {groups} row groups"


if __name__ == "__main__":
    sys.exit(main())

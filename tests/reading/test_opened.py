"""A release read as DuckDB, Arrow, pandas and Polars: the rows that were written, and no others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tiny_lake import BY_YEAR, LABELS, YEARS, TinyLake

import beatlake
from beatlake import releases
from beatlake.commits import LakeError
from beatlake.errors import BeatlakeError
from beatlake.lake import Lake
from beatlake.reading.errors import ReadingError
from beatlake.releases import NoReleaseError, load, numbers, save


def plain(value: Any) -> Any:
    """A value as Python's own, whatever library it came through."""
    import pandas as pd

    if isinstance(value, (list, tuple)) or type(value).__name__ in ("ndarray", "Series"):
        return [plain(item) for item in value]
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def rows_of(frame: Any, kind: str) -> list[tuple[Any, ...]]:
    """A frame's rows in its own order."""
    if kind == "duckdb":
        return [tuple(plain(v) for v in row) for row in frame.fetchall()]
    if kind == "arrow":
        return [tuple(plain(v) for v in row.values()) for row in frame.to_pylist()]
    if kind == "pandas":
        return [tuple(plain(v) for v in row) for row in frame.itertuples(index=False)]
    return [tuple(plain(v) for v in row) for row in frame.rows()]


FORMATS = ["duckdb", "arrow", "pandas", "polars"]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("release", [1, 2])
def test_every_format_gives_the_rows_that_the_release_was_made_with(
    tiny: TinyLake, kind: str, release: int
) -> None:
    table = beatlake.open(tiny.root, release).table("gold.by_year")
    expected = [tuple(row) for row in YEARS[release]]
    assert rows_of(getattr(table, kind)(), kind) == expected
    assert table.rows == len(expected)


@pytest.mark.parametrize("kind", FORMATS)
def test_texts_days_times_lists_and_large_ids_arrive_unchanged(tiny: TinyLake, kind: str) -> None:
    import datetime as dt

    found = rows_of(getattr(beatlake.open(tiny.root).table("silver.labels"), kind)(), kind)
    if kind == "pandas":
        found = [(*r[:3], r[3].date(), r[4]) for r in found]
    assert [(*r[:4], r[4].astimezone(dt.timezone.utc)) for r in found] == LABELS


def test_pandas_types_do_not_depend_on_nulls(tiny: TinyLake) -> None:
    types = beatlake.open(tiny.root).table("gold.by_year").pandas().dtypes.astype(str).to_dict()
    assert types["release_year"] == "Int32"  # has a null
    assert types["n_recordings"] == "Int64"  # has none
    assert types["is_unknown"] == "boolean"


def test_the_newest_release_is_read_and_not_the_newer_head(tiny: TinyLake) -> None:
    head = tiny.lake.open("gold.by_year").to_pyarrow_table().column("release_year").to_pylist()
    assert head == [1999]
    opened = beatlake.open(str(tiny.root))
    assert opened.release.release == 2
    assert opened.table("gold.by_year").version == 1
    assert opened.sql("select max(release_year) from gold.by_year").fetchall() == [(2023,)]


def test_an_open_lake_stays_at_its_release_when_another_is_published(tiny: TinyLake) -> None:
    opened = beatlake.open(tiny.root)
    tiny.publish(3, {"gold.by_year": 2}, "2024-03-01T12:00:00+00:00")
    assert rows_of(opened.table("gold.by_year").arrow(), "arrow") == YEARS[2]
    assert len(opened.tables) == 4
    assert beatlake.open(tiny.root).table("gold.by_year").arrow().num_rows == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_table_has_its_columns_and_types_from_the_spec(tiny: TinyLake, kind: str) -> None:
    table = beatlake.open(tiny.root).table("ops.quality")
    frame = getattr(table, kind)()
    assert rows_of(frame, kind) == []
    names = frame.schema.names if kind == "arrow" else list(frame.columns)
    assert names[:2] == ["run_id", "table"]
    assert "rows" in names
    if kind == "arrow":
        assert str(frame.schema.field("rows").type) == "int64"


def test_a_connection_of_the_callers_own_can_join_two_tables(tiny: TinyLake) -> None:
    opened = beatlake.open(tiny.root)
    connection = duckdb.connect()
    opened.table("gold.by_year").duckdb(connection).create_view("years")
    opened.table("gold.by_genre").duckdb(connection).create_view("genres")
    counted = connection.sql("select count(*) from years, genres").fetchall()
    assert counted == [(len(YEARS[2]) * 3,)]


def test_columns_carry_units_and_meaning_and_only_those_that_the_version_has(
    tiny: TinyLake,
) -> None:
    columns = beatlake.open(tiny.root).table("gold.by_year").columns
    assert [c.name for c in columns] == BY_YEAR.names
    by_name = {c.name: c for c in columns}
    assert by_name["tempo_bpm_mean"].unit == "beats per minute"
    assert by_name["n_recordings"].type == "bigint"
    assert "Recordings" in by_name["n_recordings"].comment


def test_a_table_without_a_spec_can_be_read_and_says_so(tiny: TinyLake) -> None:
    tiny.write("gold.by_weekday", BY_YEAR, YEARS[1])
    tiny.publish(3, {"gold.by_weekday": 0}, "2024-03-01T12:00:00+00:00")
    table = beatlake.open(tiny.root).table("gold.by_weekday")
    assert table.arrow().num_rows == 3
    assert {c.comment for c in table.columns} == {"Not in the specification."}


def test_several_files_of_one_table_are_all_read(tiny: TinyLake) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    years = [tuple(row) for row in YEARS[1]]
    arrays = [pa.array(c, f.type) for c, f in zip(zip(*years, strict=True), BY_YEAR, strict=True)]
    more = pa.table(arrays, schema=BY_YEAR)
    write_deltalake(str(tiny.lake.path("gold.by_year")), more, mode="append")
    tiny.publish(3, {"gold.by_year": 3}, "2024-03-01T12:00:00+00:00")
    found = rows_of(beatlake.open(tiny.root).table("gold.by_year").arrow(), "arrow")
    assert sorted(map(repr, found)) == sorted(
        map(repr, [*years, (1999, False, 0, None, Decimal(0))])
    )


@pytest.mark.parametrize("release", [0, -1, "1", "abc", 1.5, True])
def test_a_release_that_is_no_number_is_refused(tiny: TinyLake, release: Any) -> None:
    with pytest.raises(ReadingError, match="whole number"):
        beatlake.open(tiny.root, release)


def test_a_release_that_is_not_there_is_named_beside_those_that_are(tiny: TinyLake) -> None:
    with pytest.raises(NoReleaseError, match="no release 9; there are: 1, 2"):
        beatlake.open(tiny.root, 9)


def test_the_newest_release_is_found_though_an_older_one_is_removed_meanwhile(
    tiny: TinyLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = numbers(tiny.lake)

    def look(lake: Lake) -> list[int]:
        """What is there now; the first time, what was there before release 3."""
        monkeypatch.setattr(releases, "numbers", numbers)
        tiny.publish(3, {"gold.by_year": 2}, "2024-03-01T12:00:00+00:00")
        for number in listed:
            (tiny.root / "releases" / f"{number}.json").unlink()
        return listed

    monkeypatch.setattr(releases, "numbers", look)
    assert beatlake.open(tiny.root).release.release == 3
    with pytest.raises(NoReleaseError, match="no release 2; there are: 3"):
        beatlake.open(tiny.root, 2)


def test_an_empty_directory_says_how_to_make_a_release(tmp_path: Path) -> None:
    with pytest.raises(NoReleaseError, match="beatlake run --input"):
        beatlake.open(tmp_path)


def test_an_unknown_table_brings_the_nearest_names(tiny: TinyLake) -> None:
    with pytest.raises(ReadingError, match=r"no table gold\.by_yaer\. Near: gold\.by_year"):
        beatlake.open(tiny.root).table("gold.by_yaer")


@pytest.mark.parametrize(
    "name", ["by_year", "../gold.by_year", "gold/by_year", "gold.by_year;x", ""]
)
def test_a_name_that_is_no_table_name_is_refused(tiny: TinyLake, name: str) -> None:
    with pytest.raises((LakeError, BeatlakeError), match="not a table name"):
        beatlake.open(tiny.root).table(name)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"release": 1}', '{"release": "one"}', "\x00", "null"]
)
def test_a_release_file_that_is_no_release_is_named(tiny: TinyLake, text: str) -> None:
    newest = numbers(tiny.lake)[-1]
    (tiny.root / "releases" / f"{newest}.json").write_text(text, encoding="utf-8")
    with pytest.raises(ReadingError, match=rf"{newest}\.json is not a release"):
        beatlake.open(tiny.root)


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("../outside", "secret.parquet"),
        ("gold/../../outside", "secret.parquet"),
        ("{outside}", "secret.parquet"),
        ("gold/by_year", "../../../outside/secret.parquet"),
        ("gold/by_year", "{outside}/secret.parquet"),
        ("gold/link", "secret.parquet"),
        ("gold/by_year", "link.parquet"),
        ("gold/by_year", "*.parquet"),
        ("gold/by_year", "file://{outside}/secret.parquet"),
        ("gold/by_year", "s3://bucket/secret.parquet"),
        ("gold/by_year", "%2e%2e/%2e%2e/%2e%2e/outside/secret.parquet"),
        ("gold/by_year", ""),
    ],
)
def test_what_a_release_names_outside_the_lake_is_not_read(
    tiny: TinyLake, tmp_path: Path, path: str, file: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    duckdb.sql("select 42 as secret").write_parquet(str(outside / "secret.parquet"))
    os.symlink(outside, tiny.root / "gold" / "link")
    os.symlink(outside / "secret.parquet", tiny.root / "gold" / "by_year" / "link.parquet")
    newest = tiny.root / "releases" / "2.json"
    forged = json.loads(newest.read_text(encoding="utf-8"))
    table = forged["tables"]["gold.by_year"]
    table["path"] = path.format(outside=outside)
    table["files"] = [{"path": file.format(outside=outside), "size": 1}]
    newest.write_text(json.dumps(forged), encoding="utf-8")
    for read in (
        lambda: beatlake.open(tiny.root).table("gold.by_year").arrow(),
        lambda: beatlake.open(tiny.root).sql("from gold.by_year"),
    ):
        with pytest.raises(LakeError, match=r"not in the lake|not the name of a data file"):
            read()


def test_a_lake_whose_path_duckdb_would_take_for_a_pattern_is_refused(
    built: TinyLake, tmp_path: Path
) -> None:
    os.symlink(built.root, tmp_path / "fine")
    assert beatlake.open(tmp_path / "fine").table("gold.by_genre").arrow().num_rows == 3
    import shutil

    shutil.copytree(built.root, tmp_path / "la[k]e")
    with pytest.raises(LakeError, match="A lake cannot be at"):
        beatlake.open(tmp_path / "la[k]e")


def test_a_data_file_that_is_gone_is_named_with_its_table_and_release(tiny: TinyLake) -> None:
    for file in tiny.lake.path("gold.by_year").glob("*.parquet"):
        file.unlink()
    opened = beatlake.open(tiny.root)
    for read in (opened.table("gold.by_year").arrow, lambda: opened.sql("from gold.by_year")):
        with pytest.raises(ReadingError, match=r"gold\.by_year of release 2 cannot be read"):
            read()
    assert opened.table("gold.by_genre").arrow().num_rows == 3


def test_rows_without_files_are_a_broken_release_and_not_an_empty_table(tiny: TinyLake) -> None:
    release = load(tiny.lake)
    forged = release.tables["gold.by_year"].model_copy(update={"files": []})
    save(tiny.lake, release.model_copy(update={"tables": {"gold.by_year": forged}}))
    with pytest.raises(ReadingError, match="4 rows but lists no file"):
        beatlake.open(tiny.root).table("gold.by_year").arrow()


def test_importing_and_opening_need_no_heavy_library(tiny: TinyLake) -> None:
    code = (
        "import sys, beatlake; lake = beatlake.open(sys.argv[1]); lake.tables;"
        "print([m for m in ('pyspark', 'pandas', 'polars', 'pyarrow', 'duckdb', 'deltalake')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny.root)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

"""SQL over a release reads its tables and can do nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tiny_lake import YEARS, TinyLake

import beatlake
from beatlake.learn.engine import connected, database
from beatlake.reading import OpenLake, answers
from beatlake.reading.engine import connect
from beatlake.reading.errors import ReadingError


def digest(root: Path) -> str:
    """A hash over every file of a directory, names included."""
    found = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        found.update(str(path.relative_to(root)).encode())
        if path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()


READS = {
    "select n_recordings from gold.by_year where release_year = 2022": [(6,)],
    "SELECT count(*) FROM gold.by_year;": [(4,)],
    "from gold.by_year select max(release_year)": [(2023,)],
    "with y as (select * from gold.by_year) select sum(n_recordings) from y": [(12,)],
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5)"
    " select count(*) from n": [(5,)],
    "values (1, 'a'), (2, 'b')": [(1, "a"), (2, "b")],
    "select 1 union all select 2": [(1,), (2,)],
    "-- a comment\nselect 1 /* another */": [(1,)],
    "select count(*) from query_table('gold.by' || '_year')": [(4,)],
    "select count(*) from silver.labels join gold.by_genre on true": [(39,)],
    'select count(*) from "gold"."by_year"': [(4,)],
    "select count(*) from GOLD.BY_YEAR": [(4,)],
    "select count(*) from ops.quality": [(0,)],
    "select table_name from information_schema.tables order by all": [
        ("by_genre",),
        ("by_year",),
        ("labels",),
        ("quality",),
    ],
}


@pytest.mark.parametrize("query", READS)
def test_reading_statements_are_answered(tiny: TinyLake, query: str) -> None:
    assert beatlake.open(tiny.root).sql(query).fetchall() == READS[query]


@pytest.mark.parametrize("query", ["describe gold.by_year", "summarize gold.by_year"])
def test_describe_and_summarize_have_one_row_per_column(tiny: TinyLake, query: str) -> None:
    assert len(beatlake.open(tiny.root).sql(query).fetchall()) == 5


@pytest.mark.parametrize(
    "query",
    [
        "explain select 1",
        "EXPLAIN ANALYZE from gold.by_year",
        "explain (format json) from gold.by_year",
    ],
)
def test_plans_of_reading_statements_are_shown(tiny: TinyLake, query: str) -> None:
    assert len(beatlake.open(tiny.root).sql(query).fetchall()) == 1


def test_a_query_reads_the_release_that_was_asked_for(tiny: TinyLake) -> None:
    query = "select count(*) from gold.by_year"
    counted = [beatlake.open(tiny.root, n).sql(query).fetchall() for n in (1, 2)]
    assert counted == [[(len(YEARS[1]),)], [(len(YEARS[2]),)]]


#: Attempts at writing, at reading what is no table of the release, and at unlocking either.
#: ``{data}`` is a data file of the release, ``{out}`` a file that must not come to be.
ATTEMPTS = [
    "copy gold.by_year to '{out}'",
    "copy (select 1) to '{data}'",
    "COPY gold.by_year FROM '{secret}'",
    "explain analyze copy (select 1) to '{data}'",
    "explain (analyze) copy (select 1) to '{data}'",
    "explain/**/analyze copy (select 1) to '{data}'",
    "explain /* x */ analyze copy (select 1) to '{data}'",
    "explain explain analyze copy (select 1) to '{data}'",
    "with x as (copy (select 1) to '{data}') select * from x",
    "with x as (copy (select 1) to '{data}' (format parquet, use_tmp_file false)) from x",
    "explain analyze copy (select 1) to '{data}' (format parquet, use_tmp_file false)",
    "explain analyze with x as (copy (select 1) to '{data}' (use_tmp_file false)) from x",
    "copy (select 1) to '{data}' (format parquet, use_tmp_file false)",
    "with x as (copy (select 1) to '{out}') from x",
    "select * from (with x as (copy (select 1) to '{data}') select * from x)",
    "explain analyze with x as (copy (select 1) to '{data}') select * from x",
    "with x as (insert into gold.by_year values (1) returning *) select * from x",
    "select 1; copy (select 1) to '{out}'",
    "select 1; select 2",
    "attach '{out}'",
    "attach '{out}' as other",
    "detach memory",
    "create table t as select 1",
    "create temp table t as select 1",
    "create or replace view gold.by_year as select 1",
    "create macro f() as 1",
    "create secret (type s3)",
    "insert into gold.by_year values (1)",
    "update gold.by_year set n_recordings = 0",
    "delete from gold.by_year",
    "merge into gold.by_year using gold.by_genre g on false when matched then delete",
    "truncate gold.by_year",
    "drop view gold.by_year",
    "alter view gold.by_year rename to x",
    "pragma database_list",
    "pragma enable_profiling",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "reset enable_external_access",
    "use gold",
    "install httpfs",
    "load httpfs",
    "load '{secret}'",
    "export database '{out}'",
    "import database '{out}'",
    "call enable_logging('FileSystem', storage = 'file')",
    "checkpoint",
    "vacuum",
    "begin",
    "prepare p as select 1",
    "execute p",
    "pivot gold.by_year on release_year using count(*)",
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('{secret}')",
    "select * from read_blob('{secret}')",
    "select * from '{secret}'",
    "from read_parquet('{secret}')",
    "from read_parquet('{lake}/gold/by_year/*.parquet')",
    "from read_json('{lake}/releases/current.json')",
    "from read_text('{lake}/gold/by_year/../../releases/current.json')",
    "from parquet_metadata('{secret}')",
    "from glob('/etc/*')",
    "from sniff_csv('/etc/passwd')",
    "from read_duckdb('{secret}')",
    "from read_csv('https://example.com/x.csv')",
    "from read_parquet('s3://bucket/x.parquet')",
    "from sqlite_scan('{secret}', 't')",
    "select * from query('copy (select 1) to ''{out}''')",
    "select * from query('select 1')",
    "from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "from JSON_Execute_Serialized_SQL(json_serialize_sql("
    "'with x as (copy (select 1) to ''{data}'' (use_tmp_file false)) select * from x'))",
    "explain analyze from system.main.json_execute_serialized_sql(json_serialize_sql("
    "'with x as (copy (select 1) to ''{data}'' (use_tmp_file false)) select * from x'))",
    "select (select 1 from json_execute_serialized_sql(json_serialize_sql("
    "'with x as (copy (select 1) to ''{data}'' (use_tmp_file false)) select * from x')))",
    "describe with x as (copy (select 1) to '{data}' (use_tmp_file false)) select 1 from x",
    "values ((with x as (copy (select 1) to '{data}' (use_tmp_file false)) select 1 from x))",
    "from gold.by_year limit"
    " (with x as (copy (select 1) to '{data}' (use_tmp_file false)) select 1 from x)",
    "from enable_logging('FileSystem', storage = 'file')",
    "from checkpoint()",
    "from read_csv('/dev/stdin')",
    "from read_text('/proc/self/environ')",
    "from read_blob('http://169.254.169.254/latest')",
    "from '/etc/passwd'",
    "from 'file:///etc/passwd'",
    "from 's3://bucket/x.parquet'",
    "describe '/etc/passwd'",
    "summarize '/etc/passwd'",
    "show tables from '/etc/passwd'",
    "from duckdb_secrets()",
    "from which_secret('s3://bucket', 's3')",
    "from arrow_scan(1, 2, 3)",
    "from delta_scan('{lake}/gold/by_year')",
    "from opened",
    "from ATTEMPTS",
    "set variable x = 1",
    "select 1\x00; drop view gold.by_year",
    "select 1" + " + 1" * 900,
    "select " + "[" * 2000 + "]" * 2000,
    "select getenv('HOME')",
    "select * from rows",
    "",
    "   ;  ",
    "-- nothing",
    "select",
    "selec 1",
    "select * from gold.by_year where n_recordings = $1",
    "select ?",
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_at_anything_else_is_refused_in_a_sentence(
    tiny: TinyLake, tmp_path: Path, attempt: str
) -> None:
    rows = YEARS  # noqa: F841 - a variable that DuckDB could take for a table
    secret = tmp_path / "secret.parquet"
    secret.write_bytes(next(tiny.lake.path("gold.by_year").glob("*.parquet")).read_bytes())
    opened = beatlake.open(tiny.root)
    data = opened.table("gold.by_year").files[0]
    out = tmp_path / "out"
    before = digest(tmp_path)
    places = {"data": data, "out": out, "secret": secret, "lake": tiny.root}
    query = attempt.format(**{k: str(v).replace("'", "''") for k, v in places.items()})
    ways = (answer_as_rows, answer_as_file) if "copy" in attempt else (answer_as_rows,)
    for way in ways:
        with pytest.raises(ReadingError) as refused:
            way(opened, query)
        assert "\n" not in str(refused.value)
        assert refused.value.exit_code == 2
        assert digest(tmp_path) == before


def answer_as_rows(opened: OpenLake, query: str) -> None:
    answers.rows(opened, query, 0)


def answer_as_file(opened: OpenLake, query: str) -> None:
    with answers.written(opened, query, "csv", None):
        pass


def test_no_progress_is_printed_among_answers(tmp_path: Path) -> None:
    """DuckDB 2 draws a bar on standard output for a query of two seconds, a terminal or not."""
    asked = "SELECT current_setting('enable_progress_bar')"
    with database(tmp_path) as learning:
        for connection in (connect(), learning, connected()):
            assert connection.execute(asked).fetchall() == [(False,)]
            assert connection.cursor().execute(asked).fetchall() == [(False,)]


def test_settings_are_locked_and_extensions_stay_where_they_are(tiny: TinyLake) -> None:
    names = {
        "enable_external_access": "false",
        "lock_configuration": "true",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
    }
    listed = ", ".join(f"'{name}'" for name in names)
    query = f"select name, value from duckdb_settings() where name in ({listed})"
    assert dict(beatlake.open(tiny.root).sql(query).fetchall()) == names


def test_an_unknown_table_brings_near_names(tiny: TinyLake) -> None:
    with pytest.raises(ReadingError, match=r"no table by_yaer\. Near: gold\.by_year"):
        beatlake.open(tiny.root).sql("select * from gold.by_yaer")


def test_a_table_without_its_layer_brings_the_whole_name(tiny: TinyLake) -> None:
    with pytest.raises(ReadingError, match=r"Near: gold\.by_genre"):
        beatlake.open(tiny.root).sql("select * from by_genre")


def test_an_unknown_layer_brings_near_names(tiny: TinyLake) -> None:
    with pytest.raises(ReadingError, match=r"Near: gold\.by_year"):
        beatlake.open(tiny.root).sql("select * from golden.by_year")


def test_an_unknown_column_is_named_with_candidates(tiny: TinyLake) -> None:
    with pytest.raises(ReadingError, match=r"n_recording.*n_recordings"):
        beatlake.open(tiny.root).sql("select n_recording from gold.by_year")


def test_only_the_tables_that_a_query_names_are_opened(tiny: TinyLake) -> None:
    for file in tiny.lake.path("gold.by_genre").glob("*.parquet"):
        file.unlink()
    assert beatlake.open(tiny.root).sql("select count(*) from gold.by_year").fetchall() == [(4,)]


def test_nothing_is_left_in_the_temporary_directory(
    tiny: TinyLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    opened = beatlake.open(tiny.root)
    assert answers.rows(opened, "select count(*) from gold.by_year", 0)[1] == [(4,)]
    with answers.written(opened, "from gold.by_year", "csv", None) as path:
        assert len(path.read_text().splitlines()) == 5
    assert list(scratch.iterdir()) == []

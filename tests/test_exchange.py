"""Queries give the same whether one task does them or many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from beatlake.buckets import UNCUT, Cut
from beatlake.datafiles import Target
from beatlake.environment import total_memory_mb
from beatlake.exchange import (
    Dealt,
    Output,
    Query,
    Scanned,
    Sizes,
    Stored,
    Whole,
    collect,
    ranges,
    select,
    write,
)
from beatlake.exchange.database import use_cores, views_of
from beatlake.exchange.tasks import Deal
from beatlake.integrate.common import by_key, kept, merged, one_per_key
from beatlake.quality.counting import Count, FlagCount, Tally
from beatlake.quality.rules import Rule
from beatlake.session import SparkSettings
from beatlake.tables.spec import Column, SpecError, Table
from tables_on_disk import stored

SALES = Table(
    "silver.sales",
    "What was sold.",
    (
        Column("town", "string", "Where.", False),
        Column("country", "string", "In which country."),
        Column("n_sales", "bigint", "How often.", False, "rows"),
    ),
    key=("town",),
    checks={"sold": "n_sales > 0"},
)
#: As many values as a task may hold: all of them, and so few that there are many buckets.
TASKS = pytest.mark.parametrize("sizes", [Sizes(1_000_000, 1_000_000, 100, 2), Sizes(25, 25, 100)])
TOWNS = [f"town {n}" for n in range(20)]


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Stored]:
    """Thirty sales of each of twenty towns and some of none, and the country of every other."""
    towns: list[str | None] = [*TOWNS * 30, *[None] * 7]
    known = TOWNS[::2]
    return {
        "sales": stored(tmp_path, "sales", pa.table({"town": towns, "id": range(607)}), 5),
        "countries": stored(
            tmp_path, "countries", pa.table({"name": known, "country": ["A", "B"] * 5}), 2
        ),
        "nothing": Stored(pa.schema([("name", pa.string()), ("country", pa.string())]), (), 0),
    }


def per_town(tables: dict[str, Stored], countries: str = "countries") -> Query:
    """Sales by town with its country; those of no town are set aside while they are read."""
    sales = Query(
        "SELECT town FROM stored",
        {"stored": Scanned(tables["sales"])},
        [Count("silver.sales", "sales", "set_aside", "count(*) FILTER (WHERE town IS NULL)", "r")],
        keep="town IS NOT NULL",
    )
    counted = Query(
        "SELECT town, count(*) AS n_sales FROM sales GROUP BY town",
        {"sales": Dealt(sales, ("town",))},
        [Count("silver.sales", "sales", "merged", "sum(n_sales) - count(*)")],
    )
    return Query(
        """
        SELECT town, country, n_sales, 'unused' AS _left_out
        FROM counted LEFT JOIN countries ON name = town
        """,
        {
            "counted": Dealt(counted, ("town",)),
            "countries": Dealt(select(tables[countries], "name", "country"), ("name",)),
        },
        [Count("silver.sales", "sales", "kept", "count(*)")],
    )


@TASKS
def test_rows_of_equal_keys_meet_and_every_row_is_counted_once(
    spark: SparkSession, tables: dict[str, Stored], tmp_path: Path, sizes: Sizes
) -> None:
    target = Target(tmp_path / "silver", SALES.arrow_schema)
    query = per_town(tables)
    (done,) = write(spark, [Output(SALES, target, query)], sizes)

    assert sorted(done.tallies, key=lambda tally: tally.outcome) == [
        Tally("silver.sales", "sales", "kept", 20),
        Tally("silver.sales", "sales", "merged", 580),
        Tally("silver.sales", "sales", "set_aside", 7, "r"),
    ]
    assert (
        (len(done.files) > 2) == (query.buckets(sizes.task_values) > 2) == (sizes.task_values == 25)
    )
    assert sum(file.rows for file in done.files) == 20
    rows = pa.concat_tables(
        pa.parquet.read_table(target.directory / file.name) for file in done.files
    ).to_pylist()
    countries = dict(zip(TOWNS[::2], ["A", "B"] * 5, strict=True))
    assert sorted(rows, key=lambda row: str(row["town"])) == [
        {"town": town, "country": countries.get(town), "n_sales": 30} for town in sorted(TOWNS)
    ]


def test_a_task_that_does_all_of_a_query_may_hold_more_where_there_is_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def limit_mb(*, alone: bool) -> float:
        use_cores(1, alone=alone)
        with views_of({}) as views:
            ((told,),) = views.execute("SELECT current_setting('memory_limit')").fetchall()
        number, unit = told.split()
        return float(number) * {"MiB": 1, "GiB": 1024}[unit] * 1.048576

    try:
        for machine, expected in ((4_000, 2_000), (64_000, 8_000)):
            memory = "beatlake.exchange.database.total_memory_mb"
            monkeypatch.setattr(memory, lambda machine=machine: machine)
            assert limit_mb(alone=True) == pytest.approx(expected, rel=0.05)
            assert limit_mb(alone=False) == pytest.approx(2_000, rel=0.05)
    finally:
        use_cores(1)


def test_rows_that_a_task_of_many_cores_hands_on_go_where_their_keys_say() -> None:
    keys = pa.array(range(1_000_000))
    pieces = [pa.table({"key": keys.slice(at, 50_000)}) for at in range(0, len(keys), 50_000)]
    use_cores(4)
    try:
        dealt = list(Deal(0, ("key",), 4).take(((piece, []) for piece in pieces), []))
    finally:
        use_cores(1)
    found = [(p.bucket, pa.ipc.open_stream(p.rows).read_all().column("key")) for p in dealt]
    assert sum(len(own) for _, own in found) == len(keys)
    for bucket, own in found:
        with views_of({"own": pa.table({"key": own})}) as views:
            others = f"SELECT count(*) FROM own WHERE hash(key) % 4 <> {bucket}"
            assert views.execute(others).fetchall() == [(0,)]


@TASKS
def test_a_source_without_rows_is_a_view_without_rows(
    spark: SparkSession, tables: dict[str, Stored], sizes: Sizes
) -> None:
    found = collect(spark, per_town(tables, "nothing"), sizes)
    assert found["country"].null_count == found.num_rows == 20
    empty = select(tables["nothing"], "name")
    assert collect(spark, empty, sizes).num_rows == 0


@TASKS
def test_every_task_sees_the_whole_of_a_small_table(
    spark: SparkSession, tables: dict[str, Stored], sizes: Sizes
) -> None:
    query = Query(
        "SELECT count(country) AS n, count(*) AS n_all FROM sales LEFT JOIN c ON name = town",
        {
            "sales": Dealt(select(tables["sales"], "town", "id"), ("id",)),
            "c": Whole(tables["countries"]),
        },
    )
    found = collect(spark, query, sizes)
    assert (found.num_rows > 1) == (sizes.task_values == 25)
    assert sum(found["n"].to_pylist()) == 300
    assert sum(found["n_all"].to_pylist()) == 607


@pytest.mark.parametrize("bucket_rows", [1_000_000, 100])
@TASKS
def test_tables_that_are_cut_by_the_same_key_are_joined_as_they_lie(
    spark: SparkSession, tables: dict[str, Stored], tmp_path: Path, sizes: Sizes, bucket_rows: int
) -> None:
    sizes = replace(sizes, bucket_rows=bucket_rows)
    spec = Table(
        "silver.sales",
        "What was sold.",
        (Column("town", "string", "Where."), Column("id", "bigint", "Which.")),
        bucket_by="town",
    )
    target = Target(tmp_path / "silver", spec.arrow_schema)
    query = Query(
        "SELECT town, id FROM sales",
        {"sales": Dealt(select(tables["sales"], "town", "id"), ("id",))},
    )
    way = ranges(spark, tables["sales"], "town", sizes)
    (done,) = write(spark, [Output(spec, target, query, way)], sizes)
    files = tuple(str(target.directory / file.name) for file in done.files)
    cut = Stored(spec.arrow_schema, files, 607).as_cut("town", way)
    assert (cut.cut.buckets > 2) == (bucket_rows == 100)
    ends: list[str | None] = []
    for number in range(way.buckets):
        towns = towns_in(cut, number)
        assert (None in towns) == (number == 0)
        ends += [min(towns - {None}), max(towns - {None})]
    assert ends == sorted(ends)

    sales = Query(
        "SELECT town, id FROM stored",
        {"stored": Scanned(cut)},
        [Count("t", "s", "set_aside", "count(*) FILTER (WHERE town IS NULL)", "r")],
        keep="town IS NOT NULL",
    )
    once = Query(
        "SELECT town, min(id) AS first FROM x GROUP BY town", {"x": Dealt(sales, ("town",))}
    )
    joined = Query(
        "SELECT town, first, count(id) AS n FROM sales LEFT JOIN once USING (town)"
        " LEFT JOIN c ON c.name = town GROUP BY ALL",
        {
            "sales": Dealt(select(cut, "town", "id"), ("town",)),
            "once": Dealt(once, ("town",)),
            "c": Dealt(select(tables["countries"], "name"), ("name",)),
        },
    )
    assert joined.cut == way
    found = sorted(collect(spark, joined, sizes).to_pylist(), key=lambda row: str(row["town"]))
    expected = [{"town": t, "first": TOWNS.index(t), "n": 30} for t in sorted(TOWNS)]
    assert found == [{"town": None, "first": None, "n": 7}, *expected]


@TASKS
def test_a_table_that_is_cut_otherwise_is_joined_with_one_that_stays_as_it_lies(
    spark: SparkSession, tables: dict[str, Stored], tmp_path: Path, sizes: Sizes
) -> None:
    spec = Table(
        "silver.sales",
        "What was sold.",
        (Column("town", "string", "Where."), Column("id", "bigint", "Which.")),
        bucket_by="town",
    )
    sales = Query("SELECT town, id FROM sales", {"sales": Scanned(tables["sales"])})
    ways = {name: Cut((bound,)) for name, bound in (("one", "town 13"), ("other", "town 5"))}
    lying = {}
    for name, way in ways.items():
        target = Target(tmp_path / name, spec.arrow_schema)
        (done,) = write(spark, [Output(spec, target, sales, way)], sizes)
        assert len(done.files) == 2
        files = tuple(str(target.directory / file.name) for file in done.files)
        lying[name] = Stored(spec.arrow_schema, files, 607).as_cut("town", ways["one"])
    assert [table.cut for table in lying.values()] == [ways["one"], UNCUT]
    joined = Query(
        "SELECT town, count(*) AS n FROM one JOIN other USING (town) GROUP BY town",
        {name: Dealt(select(table, "town"), ("town",)) for name, table in lying.items()},
    )
    assert joined.cut == ways["one"]
    found = collect(spark, joined, sizes).to_pylist()
    assert sorted(found, key=lambda row: str(row["town"])) == [
        {"town": town, "n": 900} for town in sorted(TOWNS)
    ]


@pytest.mark.parametrize(("rows", "alone"), [(24_000_000, True), (26_000_000, False)])
def test_what_can_put_no_row_aside_is_no_longer_one_tasks_when_it_would_not_fit(
    rows: int, alone: bool
) -> None:
    stored = Stored(pa.schema([("a", pa.int64()), ("b", pa.int64())]), ("a.parquet",), rows)
    sources = {"x": Dealt(select(stored, "a", "b"), ("a",))}
    sizes = Sizes(task_values=8_000_000, alone_values=960_000_000, bucket_rows=100_000)
    medians = "SELECT a, median(a) AS c, median(b) AS b FROM x GROUP BY a"
    assert sizes.alone(Query(medians, sources, holds=2)) == alone
    assert sizes.alone(Query(medians, sources))


@TASKS
def test_steps_are_done_in_each_task_before_what_reads_them(
    spark: SparkSession, tables: dict[str, Stored], sizes: Sizes
) -> None:
    plain = per_town(tables)
    stepped = replace(
        plain,
        sql="SELECT first.town, country, n FROM first JOIN second"
        " ON first.town IS NOT DISTINCT FROM second.town",
        steps={
            "first": f"SELECT town, n_sales AS n FROM ({plain.sql})",
            # It reads the one before, and the sources.
            "second": "SELECT counted.town, n = n_sales AS country"
            " FROM counted JOIN first ON first.town IS NOT DISTINCT FROM counted.town",
        },
    )
    assert stepped.schema.names == ["town", "country", "n"]
    found = sorted(collect(spark, stepped, sizes).to_pylist(), key=str)
    expected = sorted(collect(spark, plain, sizes).to_pylist(), key=str)
    assert [(row["town"], row["n"]) for row in found] == [
        (row["town"], row["n_sales"]) for row in expected
    ]
    assert all(row["country"] for row in found)


FEW, MANY = total_memory_mb() * 40_000, 20_000_000
DYNAMIC = {"spark.dynamicAllocation.enabled": "true", "spark.executor.instances": "1"}


@pytest.mark.parametrize(
    ("settings", "alone"),
    [
        ({"spark.cores.max": "4"}, FEW),
        ({"spark.cores.max": "5"}, MANY),
        ({"spark.executor.instances": "2"}, FEW),
        ({"spark.executor.instances": "3"}, MANY),
        ({**DYNAMIC, "spark.dynamicAllocation.maxExecutors": "2"}, FEW),
        (DYNAMIC, MANY),
        ({}, MANY),
    ],
)
def test_a_task_of_a_small_cluster_does_more_alone(settings: dict[str, str], alone: int) -> None:
    """Its few slots are filled by stages that run side by side; Spark Connect says the same."""
    conf = {"spark.master": "spark://host:7077", "spark.executor.cores": "2", **settings}
    session: Any = SimpleNamespace(conf=conf)
    sizes = Sizes.of(session, SparkSettings())
    assert (sizes.alone_values, sizes.cores) == (alone, 2)
    assert Sizes.of(session, SparkSettings(alone_values=7)).alone_values == 7


def towns_in(cut: Stored, number: int) -> set[str | None]:
    """What towns a bucket has."""
    with views_of({"part": cut.bucket(number) if cut.cut.buckets > 1 else cut}) as views:
        return {town for (town,) in views.sql("SELECT DISTINCT town FROM part").fetchall()}


@TASKS
def test_a_query_of_whole_tables_is_done_by_one_task(
    spark: SparkSession, tables: dict[str, Stored], sizes: Sizes
) -> None:
    query = Query("SELECT count(*) AS n FROM sales", {"sales": Whole(tables["sales"])})
    assert collect(spark, query, sizes).to_pylist() == [{"n": 607}]


@TASKS
def test_queries_of_the_same_sources_are_answered_in_one_pass(
    spark: SparkSession, tables: dict[str, Stored], tmp_path: Path, sizes: Sizes
) -> None:
    first = per_town(tables)
    second = Query("SELECT town, 'X' AS country, 1::BIGINT AS n_sales FROM counted", first.sources)
    targets = [Target(tmp_path / name, SALES.arrow_schema) for name in ("one", "other")]
    outputs = [Output(SALES, t, q) for t, q in zip(targets, (first, second), strict=True)]
    one, other = write(spark, outputs, sizes)

    assert {tally.rows for tally in one.tallies} == {20, 580, 7}
    assert other.tallies == []
    for done, target in ((one, targets[0]), (other, targets[1])):
        assert {path.name for path in target.directory.iterdir()} == {f.name for f in done.files}
        assert sum(file.rows for file in done.files) == 20
    with pytest.raises(ValueError, match="same sources"):
        write(spark, [outputs[0], Output(SALES, targets[1], per_town(tables))], sizes)


def test_scanned_sources_are_not_joined(tables: dict[str, Stored]) -> None:
    sources = {"one": Scanned(tables["sales"]), "other": Scanned(tables["countries"])}
    with pytest.raises(ValueError, match="one, other"):
        Query("SELECT * FROM one, other", sources)


@TASKS
@pytest.mark.parametrize("repeated", [0, 1, 30])
def test_values_that_several_rows_have_are_told_with_their_number(
    spark: SparkSession, tmp_path: Path, sizes: Sizes, repeated: int
) -> None:
    pairs = [(f"town {n % 20}", n // 20) for n in range(60)]
    pairs += [pairs[n] for n in range(repeated)] * 2
    rows = pa.table({"town": [t for t, _ in pairs], "number": [n for _, n in pairs]})
    given = select(stored(tmp_path, "given", rows, 4), "town", "number")
    query = Query(
        "SELECT town, number, _copies AS copies FROM given_repeated",
        {"given": Dealt(given, ("town",), repeated=("town", "number"))},
    )
    assert query.schema.names == ["town", "number", "copies"]
    found = {
        (r["town"], r["number"]): r["copies"] for r in collect(spark, query, sizes).to_pylist()
    }
    assert found == dict.fromkeys(pairs[:repeated], 3)


@TASKS
def test_rows_are_counted_by_the_flags_that_are_asked_for(
    spark: SparkSession, tmp_path: Path, sizes: Sizes
) -> None:
    flags = [["no_isrc"], [], None, ["no_isrc", "very_long_duration"], ["orphan_key"]] * 20
    rows = pa.table({"id": range(100), "flags": flags})
    given = stored(tmp_path, "given", rows, 3)
    rules = (Rule.NO_ISRC, Rule.VERY_LONG_DURATION, Rule.BPM_MISSING)
    query = Query(
        "SELECT id, flags FROM rows",
        {"rows": Dealt(select(given, "id", "flags"), ("id",))},
        [kept("t", "s"), FlagCount("t", "s", rules, "'row ' || id")],
    )
    table = Table(
        "silver.t", "T.", (Column("id", "bigint", "N."), Column("flags", "array<string>", "F."))
    )
    target = Target(tmp_path / "t", table.arrow_schema)
    (done,) = write(spark, [Output(table, target, query)], sizes)
    assert sorted(done.tallies, key=lambda tally: tally.rule or "") == [
        Tally("t", "s", "kept", 100),
        Tally("t", "s", "flagged", 40, "no_isrc", "row 0"),
        Tally("t", "s", "flagged", 20, "very_long_duration", "row 13"),
    ]


@TASKS
def test_of_several_rows_of_a_key_the_last_written_then_the_first_by_content_stays(
    spark: SparkSession, tmp_path: Path, sizes: Sizes
) -> None:
    rows = [
        {"id": 1, "name": "b", "updated_on": 5},
        {"id": 2, "name": "y", "updated_on": 1},
        {"id": 2, "name": None, "updated_on": 2},
        {"id": 2, "name": "x", "updated_on": 2},
        {"id": 2, "name": "z", "updated_on": 2},
        {"id": 3, "name": "c", "updated_on": 1},
        {"id": 3, "name": "c", "updated_on": 1},
        *({"id": n, "name": "d", "updated_on": 0} for n in range(4, 40)),
    ]
    given = stored(tmp_path, "given", pa.Table.from_pylist(rows), 3)
    columns = ("id", "name", "updated_on")
    query = Query(
        one_per_key("given", columns, ["id"]),
        {"given": by_key(select(given, *columns), ["id"])},
        [kept("t", "s"), merged("t", "s")],
    )
    found = {row["id"]: row["name"] for row in collect(spark, query, sizes).to_pylist()}
    assert found == {1: "b", 2: "x", 3: "c"} | dict.fromkeys(range(4, 40), "d")
    types = {"id": "bigint", "name": "string", "updated_on": "bigint"}
    table = Table("silver.t", "T.", tuple(Column(c, types[c], "A column.") for c in columns))
    target = Target(tmp_path / "t", table.arrow_schema)
    (done,) = write(spark, [Output(table, target, query)], sizes)
    assert done.tallies == [
        Tally("t", "s", "kept", 39),
        Tally("t", "s", "merged", 4, "duplicate_key", "2"),
    ]


def test_what_does_not_fit_the_spec_is_named_before_anything_runs(
    spark: SparkSession, tables: dict[str, Stored], tmp_path: Path
) -> None:
    query = select(tables["sales"], "id AS town", "town AS place")
    target = Target(tmp_path / "silver", SALES.arrow_schema)
    with pytest.raises(SpecError) as refused:
        write(spark, [Output(SALES, target, query)], Sizes(1, 1, 1))
    assert str(refused.value) == (
        "silver.sales does not match its spec: missing column country; missing column n_sales;"
        " unexpected column place; town is int64, expected string."
    )
    assert not (tmp_path / "silver").exists()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("town", "town AS country", "-id AS n_sales"), "break the check sold"),
        (("town", "town AS country", "id + 1 AS n_sales"), "(?i)null"),
    ],
)
def test_rows_that_the_spec_forbids_are_not_written(
    spark: SparkSession,
    tables: dict[str, Stored],
    tmp_path: Path,
    columns: tuple[str, ...],
    said: str,
) -> None:
    target = Target(tmp_path / "silver", SALES.arrow_schema)
    query = select(tables["sales"], *columns)
    with pytest.raises(PythonException, match=said):
        write(spark, [Output(SALES, target, query)], Sizes(1_000_000, 1_000_000, 1_000_000))
    assert not list(target.directory.glob("*"))

"""Buckets are ranges of a key, and files say which one they hold."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatlake import datafiles
from beatlake.buckets import UNCUT, Cut, file_in
from beatlake.datafiles import DataFileWriters, Target
from beatlake.exchange import Stored
from beatlake.exchange.database import views_of

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=30)
SCHEMA = pa.schema([pa.field("isrc", pa.string()), pa.field("number", pa.int64(), False)])


def chunked(texts: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


def plainly(text: str | None, bounds: list[str]) -> int:
    """The definition: how many bounds the first eight bytes reach."""
    return sum((text or "").encode()[:8] >= bound.encode() for bound in bounds)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 9))
def test_a_bucket_follows_from_the_order_of_bytes(
    texts: list[str | None], some: list[str | None], buckets: int
) -> None:
    texts = [text and text.replace("\0", "") for text in texts]
    cut = Cut.between(chunked(some), buckets)
    assert cut.buckets <= buckets
    assert list(cut.bounds) == sorted(set(cut.bounds))
    expected = [plainly(text, list(cut.bounds)) for text in texts]
    assert cut.bucket_of(chunked(texts)).tolist() == expected
    pieces = pa.chunked_array([chunked(["x", *texts]).chunk(0)[1:], pa.array([], pa.string())])
    assert cut.bucket_of(pieces).tolist() == expected


def test_buckets_get_about_as_many_keys_each_however_they_are_spread() -> None:
    codes = chunked([f"QZABC{number * 10:07d}" for number in range(90_000)] + ["AB"] * 10_000)
    cut = Cut.between(codes.take(pa.array(range(0, 100_000, 7))), 10)
    sizes = np.bincount(cut.bucket_of(codes))
    assert len(sizes) == 10
    assert sizes.min() > 8_900 and sizes.max() < 11_100


def test_keys_that_begin_alike_share_a_bucket() -> None:
    cut = Cut.between(chunked(["ABCDEFGH1", "ABCDEFGH2", "ABCDEFGH3"]), 3)
    assert cut == Cut(("ABCDEFGH",))
    assert cut.bucket_of(chunked(["ABCDEFGH0", "ABCDEFG", "ABCDEFGH9"])).tolist() == [1, 0, 1]


def test_there_is_one_bucket_where_there_are_no_keys() -> None:
    for keys in ([], [None], [""]):
        assert Cut.between(chunked(keys), 4) == UNCUT


@pytest.mark.parametrize("together", [1, 3])
def test_each_file_and_row_group_holds_the_rows_of_its_buckets(
    together: int, tmp_path: Path
) -> None:
    rows = pa.table(
        {"isrc": [f"QZ{n:04d}" if n % 7 else None for n in range(500)], "number": range(500)}
    )
    cut = Cut.between(rows["isrc"], 4, together)
    with DataFileWriters(Target(tmp_path, SCHEMA), "isrc", cut) as files:
        for begin in range(0, 500, 90):
            files.add(rows.slice(begin, 90))
        written = files.finish()
    assert sum(file.rows for file in written) == 500
    numbers: list[int] = []
    seen: list[int] = []
    for file in sorted(written, key=lambda file: file.name):
        found = pq.ParquetFile(tmp_path / file.name)
        number, name = file_in(file.name)
        assert name == cut.name and (cut.buckets, cut.files) == (4, 4 // together + together // 3)
        groups = [found.read_row_group(i) for i in range(found.num_row_groups)]
        buckets = [set(cut.bucket_of(group["isrc"]).tolist()) for group in groups]
        assert all(len(each) == 1 and min(each) // together == number for each in buckets)
        seen += [bucket for each in buckets for bucket in each]
        some = found.read()["isrc"].drop_null().to_pylist()
        assert (file.least, file.greatest) == (min(some), max(some))
        numbers += found.read()["number"].to_pylist()
    assert seen == [0, 1, 2, 3]
    assert sorted(numbers) == list(range(500))


def test_large_row_groups_are_divided_by_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datafiles, "_GROUP_ROWS", 40)
    keys = [f"QZ{n * 7 % 100:04d}" for n in range(100)]
    rows = pa.table({"isrc": keys, "number": range(100)})
    with DataFileWriters(Target(tmp_path, SCHEMA), "isrc", Cut(("QZ0060",))) as files:
        files.add(rows)
        written = files.finish()
    groups = [
        found.read_row_group(i)["isrc"].to_pylist()
        for file in written
        for found in [pq.ParquetFile(tmp_path / file.name)]
        for i in range(found.num_row_groups)
    ]
    assert [len(group) for group in groups] == [30, 30, 40]
    assert all(max(one) < min(other) for one, other in itertools.pairwise(groups))
    assert sorted(itertools.chain(*groups)) == sorted(keys)


def test_bounds_are_texts_that_sql_orders_as_buckets_do(tmp_path: Path) -> None:
    names = ["A", "Ö", "中", "é'", "\U0001f3b5", "zz", "ab\0c", ""]
    texts = [None, *(f"{one}{other}" for one in names for other in names)]
    rows = pa.table({"isrc": pa.array(texts, pa.string()), "number": range(len(texts))})
    cut = Cut.between(rows["isrc"], 20, together=3)
    assert cut.buckets > 10
    with DataFileWriters(Target(tmp_path, SCHEMA), "isrc", cut) as files:
        files.add(rows)
        written = files.finish()
    stored = Stored(SCHEMA, tuple(str(tmp_path / file.name) for file in written), len(rows))
    stored = stored.as_cut("isrc", cut)
    assert stored.cut == cut
    found = []
    for bucket in range(cut.buckets):
        with views_of({"part": stored.bucket(bucket)}) as views:
            for number, isrc in views.sql("SELECT number, isrc FROM part").fetchall():
                assert plainly(isrc, list(cut.bounds)) == bucket
                found.append(number)
    assert sorted(found) == list(range(len(rows)))


def test_no_file_of_a_task_that_fails_stays(tmp_path: Path) -> None:
    good = pa.table({"isrc": ["A", "B", "C"], "number": [1, 2, 3]})
    with (
        pytest.raises(ValueError, match="null"),
        DataFileWriters(Target(tmp_path, SCHEMA), "isrc", Cut(("B",))) as files,
    ):
        files.add(good)
        files.add(pa.table({"isrc": ["D"], "number": pa.array([None], pa.int64())}))
        files.finish()
    assert not list(tmp_path.iterdir())

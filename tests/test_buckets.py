"""Buckets are the same for ever, and files say which one they hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatlake.buckets import bucket_in, bucket_of
from beatlake.datafiles import DataFileWriters, Target

TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=30)
SCHEMA = pa.schema([pa.field("isrc", pa.string()), pa.field("number", pa.int64(), False)])


def chunked(texts: list[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


def plainly(text: str | None, buckets: int) -> int:
    """The definition, one byte after the other."""
    total, power = 0, 1
    for byte in (text or "").encode():
        power = power * 0x9E3779B97F4A7C15 % 2**64
        total = (total + byte * power) % 2**64
    return (total * 0x243F6A8885A308D3 % 2**64 >> 40) % buckets


@settings(deadline=None)
@given(TEXTS, st.sampled_from([1, 2, 16, 1024]))
def test_a_bucket_follows_from_the_text_alone(texts: list[str | None], buckets: int) -> None:
    expected = [plainly(text, buckets) for text in texts]
    assert bucket_of(chunked(texts), buckets).tolist() == expected
    cut = pa.chunked_array([chunked(["x", *texts]).chunk(0)[1:], pa.array([], pa.string())])
    assert bucket_of(cut, buckets).tolist() == expected


def test_buckets_do_not_change_from_one_version_to_the_next() -> None:
    # Tables of an older release stay in the lake, and are joined with newer ones.
    keys = chunked(["GBAYE0601498", "USUM71703861", "AD4X65752184", "", None, "é"])
    assert bucket_of(keys, 1 << 20).tolist() == [plainly(k, 1 << 20) for k in keys.to_pylist()]
    assert bucket_of(keys, 16).tolist() == [5, 2, 14, 0, 0, 8]


def test_consecutive_codes_are_spread_evenly_and_buckets_nest() -> None:
    codes = chunked([f"QZABC{number:07d}" for number in range(100_000)])
    sixteen = bucket_of(codes, 16)
    sizes = np.bincount(sixteen, minlength=16)
    assert sizes.min() > 0.9 * len(codes) / 16 and sizes.max() < 1.1 * len(codes) / 16
    assert (sixteen % 4 == bucket_of(codes, 4)).all()


def test_each_file_holds_the_rows_of_the_bucket_that_its_name_says(tmp_path: Path) -> None:
    rows = pa.table(
        {"isrc": [f"QZ{n:04d}" if n % 7 else None for n in range(500)], "number": range(500)}
    )
    with DataFileWriters(Target(tmp_path, SCHEMA), "isrc", 4) as files:
        for begin in range(0, 500, 90):
            files.add(rows.slice(begin, 90))
        written = files.finish()
    assert sum(file.rows for file in written) == 500
    numbers: list[int] = []
    for file in written:
        found = pq.read_table(tmp_path / file.name)
        bucket, buckets = bucket_in(file.name)
        assert buckets == 4
        assert set(bucket_of(found["isrc"], 4).tolist()) == {bucket}
        numbers += found["number"].to_pylist()
    assert sorted(numbers) == list(range(500))


def test_no_file_of_a_task_that_fails_stays(tmp_path: Path) -> None:
    good = pa.table({"isrc": ["A", "B", "C"], "number": [1, 2, 3]})
    with (
        pytest.raises(ValueError, match="null"),
        DataFileWriters(Target(tmp_path, SCHEMA), "isrc", 4) as files,
    ):
        files.add(good)
        files.add(pa.table({"isrc": ["D"], "number": pa.array([None], pa.int64())}))
        files.finish()
    assert not list(tmp_path.iterdir())

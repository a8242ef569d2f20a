"""The Spark frame: one row for each record, whatever the splits, read in the workers."""

import gzip

import pytest
from csv_tools import LIMITS, NAME, look, put, rows
from pyspark.errors import PythonException

from beatlake.ingest.csv import find_parts, scan, splits, survey
from object_store import object_store

COLUMNS = ["a", "odd `name`"]
HEADER = b'odd `name`,"a"\r\n'
BODY = b'1,x\r\n2,"two\r\nlines"\r\n\r\n3,"\r\n4,\r\n"",caf\xc3\xa9\r\n5,\xff\r\n'


def collected(frame) -> list[dict]:
    # Sorted here: a sort in Spark would cost more than all the reading.
    found = [row.asDict() for row in frame.collect()]
    return sorted(found, key=lambda row: (row["part_index"], row["byte_offset"]))


def test_rows_do_not_depend_on_the_splits(spark, tmp_path):
    put(tmp_path, HEADER + BODY * 3, f"{NAME}/1.csv")
    put(tmp_path, gzip.compress(HEADER + BODY), f"{NAME}/2.csv.gz")
    surveyed = look(tmp_path, COLUMNS)
    expected = rows(surveyed, COLUMNS)

    chosen = splits(surveyed, 100)[1:]

    few = scan(spark, surveyed, COLUMNS, LIMITS)
    many = scan(spark, surveyed, COLUMNS, LIMITS, split_bytes=40)
    some = scan(spark, surveyed, COLUMNS, LIMITS, splits=chosen)

    assert len(expected) == surveyed.records == 28
    assert few.schema.simpleString() == (
        "struct<a:string,odd `name`:string,part_index:int,byte_offset:bigint,byte_length:int,"
        "defect:string,raw_record:string>"
    )
    assert collected(few) == expected
    assert collected(many) == expected
    assert collected(some) == [
        row
        for row in expected
        for split in chosen
        if split.part_index == row["part_index"] and split.start <= row["byte_offset"] < split.end
    ]


def test_file_with_a_header_only(spark, tmp_path):
    put(tmp_path, HEADER)
    frame = scan(spark, look(tmp_path, COLUMNS), COLUMNS, LIMITS)

    assert frame.count() == 0
    assert frame.columns[:2] == COLUMNS


def test_changed_file_fails_in_the_task(spark, tmp_path):
    path = put(tmp_path, HEADER + BODY)
    frame = scan(spark, look(tmp_path, COLUMNS), COLUMNS, LIMITS)
    path.write_bytes(HEADER)

    with pytest.raises(PythonException, match="has changed since it was surveyed"):
        frame.count()


def test_workers_read_an_object_store(spark):
    with object_store({"in/tracks.csv": HEADER + BODY}) as options:
        parts = find_parts(f"s3://key:secret@lake/in{options}", NAME)
        surveyed = survey(parts, COLUMNS, LIMITS, 1)

        found = collected(scan(spark, surveyed, COLUMNS, LIMITS, split_bytes=30))

        assert found == rows(surveyed, COLUMNS)
        assert len(found) == 7


@pytest.mark.parametrize("columns", [[], ["a", "a"], ["a", "defect"]])
def test_columns_that_cannot_be(spark, tmp_path, columns):
    put(tmp_path, HEADER)

    with pytest.raises(ValueError, match="columns must be distinct"):
        scan(spark, look(tmp_path, COLUMNS), columns, LIMITS)

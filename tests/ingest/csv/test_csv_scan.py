"""Workers get each record once, whatever the splits."""

import gzip
import json

import pytest
from csv_tools import LIMITS, NAME, look, put, rows
from pyspark.errors import PythonException

from beatlake.ingest.csv import batch_schema, find_parts, scan, survey
from object_store import object_store

COLUMNS = ["a", "odd `name`"]
HEADER = b'odd `name`,"a"\r\n'
BODY = b'1,x\r\n2,"two\r\nlines"\r\n\r\n3,"\r\n4,\r\n"",caf\xc3\xa9\r\n5,\xff\r\n'


def scanned(spark, surveyed, **options) -> list[dict]:
    def as_json(part_index, batches) -> str:
        return json.dumps([row for batch in batches for row in batch.to_pylist()])

    said = scan(spark, surveyed, COLUMNS, LIMITS, as_json, **options)
    return [row for split in said for row in json.loads(split)]


def test_rows_do_not_depend_on_the_splits(spark, tmp_path):
    put(tmp_path, HEADER + BODY * 3, f"{NAME}/1.csv")
    put(tmp_path, gzip.compress(HEADER + BODY), f"{NAME}/2.csv.gz")
    surveyed = look(tmp_path, COLUMNS)
    expected = rows(surveyed, COLUMNS)

    assert len(expected) == surveyed.records == 28
    assert scanned(spark, surveyed) == expected
    assert scanned(spark, surveyed, split_bytes=40) == expected


def test_file_with_a_header_only(spark, tmp_path):
    put(tmp_path, HEADER)

    assert scanned(spark, look(tmp_path, COLUMNS)) == []


def test_changed_file_fails_in_the_task(spark, tmp_path):
    path = put(tmp_path, HEADER + BODY)
    surveyed = look(tmp_path, COLUMNS)
    path.write_bytes(HEADER)

    with pytest.raises(PythonException, match="has changed since it was surveyed"):
        scanned(spark, surveyed)


def test_workers_read_an_object_store(spark):
    with object_store({"in/tracks.csv": HEADER + BODY}) as options:
        parts = find_parts(f"s3://key:secret@lake/in{options}", NAME)
        surveyed = survey(parts, COLUMNS, LIMITS, 1)

        found = scanned(spark, surveyed, split_bytes=30)

        assert found == rows(surveyed, COLUMNS)
        assert len(found) == 7


@pytest.mark.parametrize("columns", [[], ["a", "a"], ["a", "defect"]])
def test_columns_that_cannot_be(columns):
    with pytest.raises(ValueError, match="columns must be distinct"):
        batch_schema(columns)

"""The same reader on an object store."""

import gzip
import pickle

import pytest
from csv_tools import LIMITS, NAME, in_another_process, look, put, rows

from beatlake.ingest.csv import CsvInputError, find_parts, survey
from object_store import object_store

COLUMNS = ["a", "b"]
DATA = b'a,b\r\n1,x\r\n2,"two\r\nlines"\r\n\r\n3,"\r\n' + b"4,y\r\n" * 50

READ_ELSEWHERE = """
import pickle, sys
from beatlake.ingest.csv import read_split, splits
surveyed, columns, limits = pickle.load(sys.stdin.buffer)
count = 0
for split in splits(surveyed, 40):
    for batch in read_split(surveyed.parts[split.part_index], split, columns, limits):
        count += batch.num_rows
print(count)
"""


@pytest.fixture(scope="module")
def address():
    objects = {
        "in/tracks.csv": DATA,
        "in/packed.csv.gz": gzip.compress(DATA),
        "in/parts/1.csv": DATA,
        "in/parts/2.csv.gz": gzip.compress(DATA),
        "in/parts/_SUCCESS": b"",
    }
    with object_store(objects) as options:
        yield f"s3://key:secret@lake/in{options}"


def test_same_rows_as_from_a_local_file(tmp_path, address):
    put(tmp_path, DATA)
    local = look(tmp_path, COLUMNS)
    remote = survey(find_parts(address, NAME), COLUMNS, LIMITS, 2)

    assert remote.sha256 == local.sha256
    assert remote.records == local.records == 54
    for split_bytes in (30, 1 << 20):
        assert rows(remote, COLUMNS, LIMITS, split_bytes) == rows(local, COLUMNS)


def test_compressed_and_several_parts(address):
    packed = survey(find_parts(address, "packed"), COLUMNS, LIMITS, 1)
    parts = survey(find_parts(address, "parts"), COLUMNS, LIMITS, 1)

    assert len(rows(packed, COLUMNS)) == 54
    assert [part.path for part in parts.parts] == [
        "s3://lake/in/parts/1.csv",
        "s3://lake/in/parts/2.csv.gz",
    ]
    assert len(rows(parts, COLUMNS)) == parts.records == 108


def test_another_process_opens_the_address_by_itself(address):
    remote = survey(find_parts(address, NAME), COLUMNS, LIMITS, 1)

    assert in_another_process(READ_ELSEWHERE, given=pickle.dumps((remote, COLUMNS, LIMITS))) == [
        "54"
    ]


def test_absent_file_and_absent_root(address):
    assert find_parts(address, "nothing") == ()
    with pytest.raises(CsvInputError, match="does not exist") as error:
        find_parts(address.replace("/in?", "/out?"), NAME)
    assert "secret" not in str(error.value)

"""The first line: names in any order, and every way in which it can be wrong."""

import codecs
import pickle

import pytest
from csv_tools import look, put, rows

from beatlake.ingest.csv import CsvInputError, CsvLimits

COLUMNS = ["isrc", "tempo", "valence"]


@pytest.mark.parametrize(
    "header",
    [
        b"isrc,tempo,valence\n",
        b"isrc,tempo,valence\r\n",
        b'"isrc",tempo,"valence"\n',
        b"\xef\xbb\xbfisrc,tempo,valence\n",
        b'\xef\xbb\xbf"isrc",tempo,valence\r\n',
    ],
)
def test_forms_of_a_sound_header(tmp_path, header):
    put(tmp_path, header + b"A,1,2\n")
    surveyed = look(tmp_path, COLUMNS)

    assert surveyed.parts[0].header == tuple(COLUMNS)
    assert [row["isrc"] for row in rows(surveyed, COLUMNS)] == ["A"]


@pytest.mark.parametrize("header", [b"isrc,tempo,valence\r\n", b"isrc,tempo,valence"])
def test_header_only(tmp_path, header):
    put(tmp_path, header)
    surveyed = look(tmp_path, COLUMNS)

    assert (surveyed.records, surveyed.bytes) == (0, len(header))
    assert rows(surveyed, COLUMNS) == []
    assert [note.value for note in surveyed.notes] == (
        [] if header.endswith(b"\n") else ["no_final_newline"]
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (codecs.BOM_UTF16_LE + "isrc,tempo,valence\n".encode("utf-16-le"), "is UTF-16"),
        (codecs.BOM_UTF16_BE + "isrc,tempo,valence\n".encode("utf-16-be"), "is UTF-16"),
        ("isrc,tempo,valence\n".encode("utf-16-le"), "has NUL bytes"),
        (b"\x1f\x8b\x08\0", "is gzip data"),
        (b"isrc,tempo,valence\rA,1,2\rB,3,4\r", "bare carriage return"),
        (b"\nisrc,tempo,valence\n", "starts with a blank line"),
        (b"isrc,tempo,valenc\xe9\n", "not UTF-8 (byte 18)"),
        (b'isrc,tempo,"valence\n', "unbalanced or stray quotes"),
        (b'isrc,te"m"po,valence\n', "unbalanced or stray quotes"),
        (b"x" * 200, "no line end within the first 100 bytes"),
        (b"x" * 200 + b"\n", "no line end within the first 100 bytes"),
        (b"isrc,tempo\n", "lacks 'valence'"),
        (b"isrc,tempo,valence,Tempo2\n", "has unknown 'Tempo2' (nearest: 'tempo')"),
        (b"isrc,tempo,valence,isrc\n", "names more than once 'isrc'"),
        (b"isrc,tempo,valence,\n", "has unknown ''"),
        (b"isrc, tempo,valence\n", "has unknown ' tempo' (nearest: 'tempo')"),
        (b"isrc;tempo;valence\n", "is the separator not a comma"),
        (b"AD4X65752184,0.906,0.650\n", "is the header missing"),
    ],
)
def test_refused(tmp_path, data, says):
    path = put(tmp_path, data)

    with pytest.raises(CsvInputError) as error:
        look(tmp_path, COLUMNS, CsvLimits(max_record_bytes=100))

    assert says in str(error.value)
    assert str(path) in str(error.value)


def test_all_problems_of_all_parts_in_one_error(tmp_path):
    put(tmp_path, b"isrc,valense,tempo,tempo\n", "tracks/1.csv")
    put(tmp_path, b"isrc,tempo,valence\n", "tracks/2.csv")
    put(tmp_path, b"", "tracks/3.csv")
    put(tmp_path, b"not gzip", "tracks/4.csv.gz")

    with pytest.raises(CsvInputError) as error:
        look(tmp_path, COLUMNS)

    problems = error.value.problems
    assert [problem.removeprefix(str(tmp_path)) for problem in problems[:4]] == [
        "/tracks/1.csv: the header lacks 'valence' (nearest: 'valense')",
        "/tracks/1.csv: the header has unknown 'valense' (nearest: 'valence')",
        "/tracks/1.csv: the header names more than once 'tempo'",
        "/tracks/3.csv is empty; a header line with the column names was expected",
    ]
    assert "4.csv.gz cannot be read" in problems[4]
    assert str(error.value).startswith("5 problems:\n  - ")
    assert pickle.loads(pickle.dumps(error.value)).problems == problems


def test_header_of_a_million_names_is_told_in_short(tmp_path):
    put(tmp_path, b",".join(b"c%d" % i for i in range(100_000)) + b"\n")

    with pytest.raises(CsvInputError, match="and 99990 more") as error:
        look(tmp_path, COLUMNS)

    assert len(str(error.value)) < 2000


def test_parts_may_differ_in_their_order_of_columns(tmp_path):
    put(tmp_path, b"isrc,tempo,valence\nA,1,2\n", "tracks/1.csv")
    put(tmp_path, b"valence,isrc,tempo\n4,B,3\n", "tracks/2.csv")
    surveyed = look(tmp_path, COLUMNS)

    found = rows(surveyed, COLUMNS)

    assert [tuple(row[c] for c in [*COLUMNS, "part_index"]) for row in found] == [
        ("A", "1", "2", 0),
        ("B", "3", "4", 1),
    ]

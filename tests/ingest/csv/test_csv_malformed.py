"""Malformed files: the slow reference says which bytes are a record and what is wrong with it."""

import pytest
from csv_reference import reference
from csv_tools import BLOCKS, CHUNKS, LIMITS, SURVEY, as_reference, check_conserved, look, put, rows
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from beatlake.ingest.csv import CsvLimits

COLUMNS = ["a", "b"]
TIGHT = CsvLimits(max_record_bytes=14, max_record_lines=3)

MARKS = [b'"', b",", b"\n", b"\r\n", b"\r", b"x", b"\0", b"\xff", b"\xc3", b""]
WORDS = [b'""', b"\xc3\xa9", b"\xef\xbb\xbf", b'1,"p\nq"\n', b"a,b\n", b"1,2\n", b'"a","b"\r\n']
pieces = st.sampled_from([*MARKS, *MARKS[:3], *WORDS])
soups = st.lists(pieces, max_size=24).map(b"".join)

SOUND = b'1,x\r\n2,"y ""z"""\r\n3,"two\r\nlines"\n,\n4,""\r\n"5",\xc3\xa9\n6,"a\nb\nc"\n'


@st.composite
def damaged(draw) -> bytes:
    """A sound body after a few insertions, deletions and changes of single bytes."""
    body = bytearray(SOUND)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        removed = draw(st.integers(0, 1))
        del body[at : at + removed]
        body[at:at] = draw(st.sampled_from(MARKS))
    return bytes(body)


@pytest.fixture(params=["small reads", "usual reads"])
def read_sizes(request, monkeypatch):
    if request.param == "small reads":
        monkeypatch.setattr(SURVEY, "CHUNK_BYTES", 11)
        monkeypatch.setattr(CHUNKS, "_PIECE_BYTES", 5)
        monkeypatch.setattr(BLOCKS, "_READ_BYTES", 6)
        monkeypatch.setattr(BLOCKS, "_READ_PAST_END", 4)
        monkeypatch.setattr(BLOCKS, "_MOST_RECORDS", 3)


def check(root, body: bytes, header: bytes, limits: CsvLimits) -> None:
    data = header + body
    put(root, data)
    expected = reference(data, COLUMNS, limits.max_record_bytes, limits.max_record_lines)
    surveyed = look(root, COLUMNS, limits)
    for split_bytes in (1 << 20, 1, 7):
        found = rows(surveyed, COLUMNS, limits, split_bytes)
        assert as_reference(found, COLUMNS) == expected
        check_conserved(surveyed, found)


@given(soups, st.sampled_from([b"a,b\n", b"\xef\xbb\xbfb,a\r\n"]), st.sampled_from([TIGHT, LIMITS]))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(b'"\n"\n"\n"\n"', b"a,b\n", TIGHT)
@example(b'1,"x\n2,y\n3,"z\n', b"a,b\n", LIMITS)
@pytest.mark.usefixtures("read_sizes")
def test_soup(tmp_path, body, header, limits):
    check(tmp_path, body, header, limits)


@given(damaged(), st.sampled_from([TIGHT, LIMITS]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.usefixtures("read_sizes")
def test_damage(tmp_path, body, limits):
    check(tmp_path, body, b"a,b\r\n", limits)


def test_reference_reads_a_sound_body():
    found = reference(b"a,b\n" + SOUND, COLUMNS, 1 << 20, 1000)

    assert [row.values for row in found] == [
        ("1", "x"),
        ("2", 'y "z"'),
        ("3", "two\r\nlines"),
        (None, None),
        ("4", ""),
        ("5", "é"),
        ("6", "a\nb\nc"),
    ]

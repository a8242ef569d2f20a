"""Well-formed files: Python's csv module and DuckDB say what is in them."""

import csv
import io

import duckdb
import pytest
from csv_tools import BLOCKS, CHUNKS, LIMITS, SURVEY, check_conserved, look, put, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

COLUMNS = ["track_id", "title", "mix"]

values = st.one_of(
    st.none(),
    st.sampled_from(["", "null", "NaN", "NA", "NULL", "12 mix", "\ufeffname", "t", "0.10", " x "]),
    st.lists(
        st.sampled_from(
            ["a", "é", "東京", "\U0001f3b5", ",", '"', '""', "\n", "\r\n", " ", "\ufeff", "\\", "'"]
        ),
        max_size=8,
    ).map("".join),
)
tables = st.lists(st.tuples(values, values, values), max_size=12)


def field(value: str | None, quote_all: bool) -> str:
    """A value as PostgreSQL writes it."""
    if value is None:
        return ""
    if quote_all or value == "" or any(mark in value for mark in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


def document(table: list, line_end: str, quote_all: bool, header: list[str] = COLUMNS) -> bytes:
    lines = [",".join(header)]
    lines += [",".join(field(value, quote_all) for value in row) for row in table]
    return "".join(line + line_end for line in lines).encode()


def by_python(data: bytes) -> list[tuple[str, ...]]:
    text = io.StringIO(data.decode(), newline="")
    return [tuple(row) for row in csv.reader(text, strict=True)][1:]


def by_duckdb(path) -> list[tuple[str | None, ...]]:
    return duckdb.execute(
        "select * from read_csv(?, header=true, delim=',', quote='\"', escape='\"', nullstr='', "
        "allow_quoted_nulls=false, auto_detect=false, strict_mode=true, parallel=false, "
        "columns={'track_id': 'varchar', 'title': 'varchar', 'mix': 'varchar'})",
        [str(path)],
    ).fetchall()


@pytest.fixture
def small_reads(monkeypatch):
    """Borders of chunks, reads and batches fall everywhere."""
    monkeypatch.setattr(SURVEY, "CHUNK_BYTES", 11)
    monkeypatch.setattr(CHUNKS, "_PIECE_BYTES", 5)
    monkeypatch.setattr(BLOCKS, "_READ_BYTES", 7)
    monkeypatch.setattr(BLOCKS, "_READ_PAST_END", 3)
    monkeypatch.setattr(BLOCKS, "_MOST_RECORDS", 2)


def taken(found: list[dict]) -> list[tuple]:
    assert [row["defect"] for row in found] == [None] * len(found)
    return [tuple(row[column] for column in COLUMNS) for row in found]


@given(tables, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_agrees_with_python_and_duckdb(tmp_path, table, line_end, quote_all, final_line_end):
    # Three NULLs alone are two commas: no blank line, unlike with one column.
    data = document(table, line_end, quote_all)
    if not final_line_end:
        data = data.removesuffix(line_end.encode())
    path = put(tmp_path, data)

    surveyed = look(tmp_path, COLUMNS)
    found = rows(surveyed, COLUMNS)

    check_conserved(surveyed, found)
    got = taken(found)
    assert got == table
    assert [tuple(value or "" for value in row) for row in got] == by_python(data)
    if table:
        assert got == by_duckdb(path)


@given(tables, st.sampled_from(["\n", "\r\n"]))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.usefixtures("small_reads")
def test_every_split_size_gives_the_same_rows(tmp_path, table, line_end):
    data = document(table, line_end, quote_all=False)
    put(tmp_path, data)
    surveyed = look(tmp_path, COLUMNS)

    whole = rows(surveyed, COLUMNS)

    assert taken(whole) == table
    for split_bytes in {1, 3, 13, max(len(data) - 1, 1)}:
        assert rows(surveyed, COLUMNS, LIMITS, split_bytes) == whole


@pytest.mark.usefixtures("small_reads")
def test_every_split_size_of_one_file(tmp_path):
    table = [("1", "a\r\nb", None), (None, '"', ""), ("2", "c\n\n,\n", 'x"\n"y'), ("3", "d", "e")]
    data = document(table, "\r\n", quote_all=False)
    put(tmp_path, data)
    surveyed = look(tmp_path, COLUMNS)

    for split_bytes in range(1, len(data) + 2):
        assert taken(rows(surveyed, COLUMNS, LIMITS, split_bytes)) == table


def test_reordered_header_is_read_by_name(tmp_path):
    put(tmp_path, b'mix,track_id,title\nOriginal,1,"a,b"\n')
    surveyed = look(tmp_path, COLUMNS)

    assert taken(rows(surveyed, COLUMNS)) == [("1", "a,b", "Original")]
    assert [note.value for note in surveyed.notes] == ["reordered_columns"]


def test_text_that_elsewhere_stands_for_null_is_text(tmp_path):
    table = [("null", "NULL", "NaN"), ("NA", "nan", "None"), ("\\N", "N/A", "-"), (None, "", "")]
    path = put(tmp_path, document(table, "\r\n", quote_all=False))

    assert taken(rows(look(tmp_path, COLUMNS), COLUMNS)) == table
    assert by_duckdb(path) == table


def test_byte_order_mark_within_the_file_is_data(tmp_path):
    # The second record starts a split, where the parser would take a mark for its own.
    put(tmp_path, "\ufefftrack_id,title,mix\n\ufeff1,a,b\n\ufeff2,\ufeff,\n".encode())
    surveyed = look(tmp_path, COLUMNS)

    for split_bytes in (1, 8, 100):
        found = rows(surveyed, COLUMNS, LIMITS, split_bytes)
        assert taken(found) == [("\ufeff1", "a", "b"), ("\ufeff2", "\ufeff", None)]
    assert [note.value for note in surveyed.notes] == ["byte_order_mark"]


def test_threads_do_not_matter(tmp_path, monkeypatch):
    table = [(str(i), "a\nb" if i % 3 else "c", '"') for i in range(500)]
    put(tmp_path, document(table, "\n", quote_all=False))
    monkeypatch.setattr(SURVEY, "CHUNK_BYTES", 64)

    one, four = (look(tmp_path, COLUMNS, threads=threads) for threads in (1, 4))

    assert one.sha256 == four.sha256
    assert one.parts[0].joined.tolist() == four.parts[0].joined.tolist()
    assert taken(rows(four, COLUMNS)) == table
    assert four.records == len(table)

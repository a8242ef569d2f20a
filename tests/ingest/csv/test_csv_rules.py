"""Each rule by itself, the order among them, and the limits."""

import pytest
from csv_tools import BLOCKS, CHUNKS, LIMITS, SURVEY, check_conserved, look, put, rows

from beatlake.ingest.csv import RULES, CsvLimits

COLUMNS = ["a", "b"]


def read(root, body: bytes, limits: CsvLimits = LIMITS, split_bytes: int = 1 << 26) -> list[dict]:
    put(root, b"a,b\n" + body)
    surveyed = look(root, COLUMNS, limits)
    found = rows(surveyed, COLUMNS, limits, split_bytes)
    check_conserved(surveyed, found)
    return found


def verdicts(found: list[dict]) -> list[str | None]:
    return [row["defect"] for row in found]


@pytest.mark.parametrize(
    ("rule", "record", "raw"),
    [
        ("record_too_long", b"1," + b"x" * 60 + b"\n", "1," + "x" * 60),
        ("unbalanced_quote", b'1,"x\n', '1,"x'),
        ("blank_line", b"\r\n", ""),
        ("blank_line", b"\n", ""),
        ("nul_byte", b"1,\0\n", "1,\0"),
        ("lone_carriage_return", b"1,x\ry\n", "1,x\ry"),
        ("lone_carriage_return", b"1,x\r\r\n", "1,x\r"),
        ("lone_carriage_return", b"\r\r\n", "\r"),
        ("stray_quote", b'1,12" mix" x\n', '1,12" mix" x'),
        ("stray_quote", b'1,"x" \n', '1,"x" '),
        ("stray_quote", b'1, "x"\n', '1, "x"'),
        ("invalid_utf8", b"1,caf\xe9 \xc3\xa9\n", "1,caf\\xe9 é"),
        ("invalid_utf8", b"1,\xed\xa0\x80\n", "1,\\xed\\xa0\\x80"),
        ("invalid_utf8", b"1,\xc0\xaf\n", "1,\\xc0\\xaf"),
        ("wrong_column_count", b"1\n", "1"),
        ("wrong_column_count", b'1,2,"x,y"\n', '1,2,"x,y"'),
        ("repeated_header", b"a,b\r\n", "a,b"),
        ("repeated_header", b'"a","b"\n', '"a","b"'),
    ],
)
def test_record_is_set_aside_and_its_neighbours_are_read(tmp_path, rule, record, raw):
    limits = CsvLimits(max_record_bytes=50)

    found = read(tmp_path, b"0,before\n" + record + b'9,"after"\n', limits)

    assert verdicts(found) == [None, rule, None]
    assert (found[0]["b"], found[1]["a"], found[1]["b"], found[2]["b"]) == (
        "before",
        None,
        None,
        "after",
    )
    assert found[1]["raw_record"] == raw


@pytest.mark.parametrize("record", [b"1,\xff", b"1", b'1,"x', b"1,\0", b"\r", b"1,x\r", b'1,x"y"'])
def test_torn_record(tmp_path, record):
    assert verdicts(read(tmp_path, b"0,before\n" + record)) == [None, "torn_record"]
    assert "torn_record" not in verdicts(read(tmp_path, b"0,before\n" + record + b"\n"))


def test_last_record_without_line_end_is_kept_if_sound(tmp_path):
    put(tmp_path, b'a,b\n1,x\n2,"y\nz"')
    surveyed = look(tmp_path, COLUMNS)

    assert [row["b"] for row in rows(surveyed, COLUMNS)] == ["x", "y\nz"]
    assert [note.value for note in surveyed.notes] == ["no_final_newline"]


@pytest.mark.parametrize(
    ("record", "values"), [(b'"",', ("", None)), (b'2,"y\r"', ("2", "y\r")), (b",", (None, None))]
)
def test_values_at_the_very_end(tmp_path, record, values):
    found = read(tmp_path, b"1,x\n" + record)

    assert [(row["a"], row["b"]) for row in found] == [("1", "x"), values]


def test_repeated_header_needs_every_column(tmp_path):
    found = read(tmp_path, b"a,x\nx,b\n,b\nb,a\na,b\n")

    assert verdicts(found) == [None, None, None, None, "repeated_header"]


@pytest.mark.parametrize(
    ("record", "rules"),
    [
        (b'1,"\0\xff' + b"x" * 60 + b"\n", ["record_too_long"]),
        (b'1,"\0\xff\n', ["unbalanced_quote"]),
        (b'1,\0x\ry" "\xff,\n', ["nul_byte"]),
        (b'1,x\ry" "\xff,\n', ["lone_carriage_return"]),
        (b'1,y" "\xff,\n', ["stray_quote"]),
        (b"1,\xff,\n", ["invalid_utf8"]),
    ],
)
def test_precedence(tmp_path, record, rules):
    limits = CsvLimits(max_record_bytes=50)

    assert verdicts(read(tmp_path, record, limits)) == rules
    assert verdicts(read(tmp_path, record[:-1], limits)) == ["torn_record"]
    order = [rule.value for rule in RULES]
    assert order[0] == "torn_record"
    assert order.index(rules[0]) < order.index("wrong_column_count") < len(order) - 1


def test_carriage_return_inside_quotes_is_data(tmp_path):
    found = read(tmp_path, b'1,"x\ry"\r\n2,"p\r\nq\n\r"\r\n')

    assert [row["b"] for row in found] == ["x\ry", "p\r\nq\n\r"]


def test_unbalanced_line_does_not_swallow_what_follows(tmp_path):
    found = read(tmp_path, b'1,"x\n2,y\n3,"two\nlines"\n4,z\n')

    # Lines 1 and 3 would bound a record with a stray quote, so line 3 looks on for a partner.
    assert verdicts(found) == ["unbalanced_quote", None, None, None]
    assert [row["b"] for row in found] == [None, "y", "two\nlines", "z"]


def test_joined_record_has_the_right_number_of_columns(tmp_path):
    found = read(tmp_path, b'1,2,"x\ny"\n3,"z\nw"\n')

    assert verdicts(found) == ["unbalanced_quote", "unbalanced_quote", None]
    assert found[2]["b"] == "z\nw"


@pytest.mark.parametrize(
    ("limits", "joined"),
    [
        (CsvLimits(max_record_lines=3), True),
        (CsvLimits(max_record_lines=2), False),
        (CsvLimits(max_record_bytes=12), True),
        (CsvLimits(max_record_bytes=11), False),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [3, 8, 1 << 20])
def test_limits_of_a_joined_record(tmp_path, monkeypatch, limits, joined, chunk_bytes):
    monkeypatch.setattr(SURVEY, "CHUNK_BYTES", 2 * chunk_bytes)
    monkeypatch.setattr(CHUNKS, "_PIECE_BYTES", chunk_bytes)
    record = b'1,"x\nyyy\nz"\n'
    assert len(record) == 12

    found = read(tmp_path, b"0,w\n" + record + b"2,v\n", limits)

    if joined:
        assert [row["b"] for row in found] == ["w", "x\nyyy\nz", "v"]
    else:
        alone = ["unbalanced_quote", "wrong_column_count", "unbalanced_quote"]
        assert verdicts(found) == [None, *alone, None]


def test_longest_record_is_exactly_the_limit(tmp_path):
    found = read(tmp_path, b"1,xxxxx\n1,xxxxxx\n1,xxxx\r\n", CsvLimits(max_record_bytes=8))

    assert verdicts(found) == [None, "record_too_long", None]


def test_a_million_commas(tmp_path):
    found = read(tmp_path, b"1,x\n" + b"," * 1_000_000 + b"\n2,y\n")

    assert verdicts(found) == [None, "wrong_column_count", None]
    assert found[1]["raw_record"] == "," * 8192 + "…[cut]"


def test_field_of_three_megabytes(tmp_path):
    body = b"1,x\n2," + b"y" * 3_000_000 + b"\n3,z\n"

    set_aside = read(tmp_path, body)
    kept = read(tmp_path, body, CsvLimits(max_record_bytes=4_000_000))

    assert verdicts(set_aside) == [None, "record_too_long", None]
    assert set_aside[1]["byte_length"] == 3_000_003
    assert set_aside[1]["raw_record"] == "2," + "y" * 8190 + "…[cut]"
    assert [len(row["b"]) for row in kept] == [1, 3_000_000, 1]


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("split_bytes", [1000, 1 << 26])
def test_record_longer_than_what_is_read_at_once(tmp_path, monkeypatch, ended, split_bytes):
    monkeypatch.setattr(BLOCKS, "_READ_BYTES", 100)
    monkeypatch.setattr(BLOCKS, "_READ_PAST_END", 100)
    end = b"\n2,y\n" if ended else b""

    found = read(
        tmp_path, b"1,x\n" + b'"' * 20_001 + end, CsvLimits(max_record_bytes=500), split_bytes
    )

    assert verdicts(found) == ([None, "record_too_long", None] if ended else [None, "torn_record"])
    assert found[1]["byte_length"] == 20_001 + ended


def test_raw_record_is_cut_between_characters(tmp_path):
    text = "x" + "é" * 5000

    found = read(tmp_path, f"1,2,{text}\n".encode())

    assert found[0]["raw_record"] == f"1,2,{text}"[: 5 + 4093] + "…[cut]"


def test_limits_must_allow_something():
    with pytest.raises(ValueError, match="at least 1"):
        CsvLimits(max_record_lines=0)


def test_other_limits_than_the_surveys_are_refused(tmp_path):
    put(tmp_path, b"a,b\n1,2\n")
    surveyed = look(tmp_path, COLUMNS)

    with pytest.raises(ValueError, match="was surveyed with"):
        rows(surveyed, COLUMNS, CsvLimits(max_record_bytes=5))

"""Text to typed values: one notation per type, and every record is either kept or set aside."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from beatlake.ingest.csv import batch_schema
from beatlake.ingest.files import judge_of
from beatlake.ingest.values import Column, Judge, typed
from beatlake.quality.contract import contracts
from beatlake.quality.rules import Rule

UTC = timezone.utc

#: kind -> (texts that are values, texts that are not)
NOTATIONS = {
    "boolean": (["t", "f"], ["true", "yes", "1", "T", "", " t"]),
    "int": (
        ["0", "-1", "12"],
        ["1.0", "1,5", "0x1F", " 5", "5 ", "5\n", "abc", "99999999999", "+5", "5-", "٥", ""],
    ),
    "double": (
        ["0.906", "2.33e-5", "-11.777", "1e+20"],
        ["1,5", "12f", "12d", "NaN", "Infinity", "0x1p3", "+1.5", ".5", "5.", "5 ", "0.5\n"],
    ),
    "date": (
        ["2021-02-28"],
        "2021-02-30|2021-2-3|2021|0|28.02.2021|2021-02-28 or so|2021-02-28T10:00|+2021-02-28"
        "|12021-02-28|0044-03-15 BC|2021-02-28 |2021-02-28\n| 2021-02-28".split("|"),
    ),
    "timestamp": (
        ["2023-08-22 18:08:48", "2023-08-22 18:08:48.25"],
        "2021-02-30 10:00:00|2023-08-22|18:08:48|2023-08-22 24:00:00|2023-08-22T18:08:48"
        "|2023-08-22 18:08:48Z|2023-08-22 18:08:48+02|2023-08-22 18:08:48 PST"
        "|12023-08-22 18:08:48|T18:08:48.123456789012|2023-08-22 18:08:48\n".split("|"),
    ),
    "string": (["NaN", "null", "", " x "], []),
}


@pytest.mark.parametrize("kind", NOTATIONS)
def test_a_type_has_one_notation(kind: str) -> None:
    values, others = NOTATIONS[kind]
    texts = [*values, *others, None]
    # As a column of one, as one of many and in a slice: what else is in a column changes nothing.
    alone = [typed(pa.array([text], pa.string()), kind).is_valid()[0].as_py() for text in texts]
    assert [text for text, is_value in zip(texts, alone, strict=True) if is_value] == values
    for column in (pa.array(texts, pa.string()), pa.array([None, "5", *texts])[2:]):
        assert typed(column, kind).is_valid().to_pylist() == alone


def test_values_are_what_is_written() -> None:
    assert typed(pa.array(["t", "f", None]), "boolean").to_pylist() == [True, False, None]
    assert typed(pa.array(["-07", "9223372036854775807"]), "bigint").to_pylist() == [-7, 2**63 - 1]
    assert typed(pa.array(["9223372036854775808", "1"]), "bigint").to_pylist() == [None, 1]
    assert typed(pa.array(["0.1", None, "-2.5e3"]), "double").to_pylist() == [0.1, None, -2500.0]
    assert typed(pa.array(["2020-02-29"]), "date").to_pylist() == [date(2020, 2, 29)]
    found = typed(pa.array(["2023-08-22 18:08:48.25"]), "timestamp")
    assert found.to_pylist() == [datetime(2023, 8, 22, 18, 8, 48, 250000, tzinfo=UTC)]


#: Texts that are close to a number, a date or a time.
_DAY = "[0-9]{4}-[01][0-9]-[0-3][0-9]"
NEAR = st.one_of(
    st.text("+-0 17.eEx_:T\n٥", max_size=6),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,3})?", fullmatch=True),
    st.from_regex(rf"{_DAY}( [0-2][0-9]:[0-6][0-9](:[0-6][0-9])?)?", fullmatch=True),
    st.from_regex(rf"{_DAY} [0-2][0-9]:[0-5][0-9][-+][0-9]{{2}}", fullmatch=True),
)


@given(texts=st.lists(st.none() | NEAR, max_size=8), kind=st.sampled_from(sorted(NOTATIONS)))
def test_a_column_is_read_as_its_values_one_by_one(texts: list[str | None], kind: str) -> None:
    column = pa.array(texts, pa.string())
    alone = [expected(text, kind) for text in texts]
    assert typed(column, kind).to_pylist() == alone


def expected(text: str | None, kind: str) -> object:
    """The value of a text by Python's own means."""
    if text is None or kind == "string":
        return text
    if kind == "boolean":
        return {"t": True, "f": False}.get(text)
    pattern = {
        "double": r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?",
        "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?",
    }.get(kind, "-?[0-9]+")
    if not re.fullmatch(pattern, text):
        return None
    if kind == "double":
        return float(text)
    if kind in ("int", "bigint"):
        bits = 31 if kind == "int" else 63
        return int(text) if -(1 << bits) <= int(text) < 1 << bits else None
    # Python has no year 0, PostgreSQL and Arrow have: its days are those of the year 2000.
    moved = text.replace("0000-", "2000-", 1) if text.startswith("0000-") else text
    try:
        value = datetime.fromisoformat(moved)
    except ValueError:
        return None
    assume(moved == text)
    return value.date() if kind == "date" else value.replace(tzinfo=UTC)


GOOD = {
    "release_id": "2oCs0DGTsRO98Gh5ZSl2Cx",
    "release_title": "One, two",
    "release_date": "2019",
    "upc": "00602577",
    "popularity": "66",
    "total_tracks": "1",
    "album_type": "single",
    "release_img": None,
    "label_name": "null",
    "updated_on": "2023-08-22 18:08:48",
}
#: What is changed in a good record -> the rules it then breaks.
BROKEN = [
    ({"release_id": None}, ["missing_value"]),
    ({"release_id": "2oCs0DGTsRO98Gh5ZSl2C"}, ["wrong_shape"]),
    ({"release_id": "2oCs0DGTsRO98Gh5ZSl2Cx\n"}, ["wrong_shape"]),
    ({"popularity": "101"}, ["out_of_range"]),
    ({"popularity": "-1", "album_type": "ep"}, ["out_of_range", "not_allowed"]),
    ({"popularity": "abc", "updated_on": None}, ["wrong_type", "missing_value"]),
]


def place(offset: int) -> dict[str, int]:
    return {"part_index": 0, "byte_offset": offset, "byte_length": 1}


def test_every_record_is_kept_or_set_aside_with_all_its_reasons() -> None:
    contract = contracts()["sp_release"]
    records = [GOOD, *(GOOD | change for change, _ in BROKEN)]
    rows = [record | place(i) for i, record in enumerate(records)]
    rows.append({**place(99), "defect": "blank_line", "raw_record": ""})
    batch = pa.RecordBatch.from_pylist(rows, batch_schema(list(contract.columns)))

    good, bad, tallies = judge_of(contract)(batch, "sp_release.csv")

    (kept,) = good.to_pylist()
    assert (kept["byte_offset"], kept["upc"], kept["label_name"]) == (0, "00602577", "null")
    assert kept["flags"] == ["year_only_date"]
    aside = {row["byte_offset"]: row for row in bad.to_pylist()}
    assert set(aside) == {*range(1, len(records)), 99}
    for offset, (_, rules) in enumerate(BROKEN, start=1):
        assert [reason["rule"] for reason in aside[offset]["reasons"]] == rules
    assert [reason["rule"] for reason in aside[99]["reasons"]] == ["blank_line"]
    assert aside[4]["raw_record"] == (
        '2oCs0DGTsRO98Gh5ZSl2Cx,"One, two",2019,00602577,101,1,single,,null,2023-08-22 18:08:48'
    )
    at = "sp_release.csv at byte "
    assert {(tally.table, tally.source) for tally in tallies} == {
        ("bronze.sp_release", "sp_release")
    }
    assert {(t.outcome, t.rule, t.rows, t.example) for t in tallies} == {
        ("kept", None, 1, None),
        ("flagged", "year_only_date", 1, GOOD["release_id"]),
        ("set_aside", "missing_value", 1, f"{at}1"),
        ("set_aside", "wrong_shape", 2, f"{at}2"),
        ("set_aside", "out_of_range", 2, f"{at}4"),
        ("set_aside", "wrong_type", 1, f"{at}6"),
        ("set_aside", "blank_line", 1, f"{at}99"),
    }


def test_a_warning_keeps_the_row_and_flags_it() -> None:
    columns = [
        Column("isrc", "bigint", True, None, 1, None, None, "error"),
        Column("kind", "string", False, None, None, None, ("a", "b"), "warn"),
        Column("bpm", "int", False, None, 0, 9, None, "warn"),
    ]
    rows = [
        {"isrc": "1", "kind": "c", "bpm": "x" * 200, **place(0)},
        {"isrc": "2", "kind": None, "bpm": "0", **place(1)},
        {"isrc": "0", "kind": "c", "bpm": "10", **place(2)},
    ]
    batch = pa.RecordBatch.from_pylist(rows, batch_schema([column.name for column in columns]))

    judge = Judge("f", columns, [Rule.BPM_MISSING], ["isrc", "bpm"])
    good, bad, tallies = judge(batch, "f.csv")

    first, second = good.to_pylist()
    assert (first["isrc"], first["kind"], first["bpm"]) == (1, "c", None)
    assert first["flags"] == ["not_allowed", "wrong_type"]
    assert second["flags"] == ["bpm_missing"]
    (aside,) = bad.to_pylist()
    assert aside["raw_record"] == "0,c,10"
    assert [(r["rule"], r["severity"], r["column"], r["value"]) for r in aside["reasons"]] == [
        ("out_of_range", "error", "isrc", "0"),
        ("not_allowed", "warn", "kind", "c"),
        ("out_of_range", "warn", "bpm", "10"),
    ]
    assert [(t.outcome, t.rule, t.rows, t.example) for t in tallies] == [
        ("kept", None, 2, None),
        ("flagged", "bpm_missing", 1, "2 / 0"),
        ("set_aside", "out_of_range", 1, "f.csv at byte 2"),
    ]

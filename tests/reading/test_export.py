"""Exports hold every row, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_lake import LABELS, NAMES, YEARS, TinyLake

import beatlake
from beatlake.reading import answers, excel, results
from beatlake.reading.errors import ReadingError
from beatlake.reading.export import export

_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def guarded(name: str | None) -> str | None:
    """What an exported text must be, said without the code under test."""
    return f"'{name}" if name and name[0] in "=+-@\t\r\n" else name


def sheet(path: Path) -> list[dict[str, str]]:
    """Cells of the first sheet by column letter, with texts and formulas read from the XML."""
    with zipfile.ZipFile(path) as archive:
        strings: list[str] = []
        if "xl/sharedStrings.xml" in archive.namelist():
            root = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
            strings = ["".join(t.text or "" for t in si.iter(f"{_SHEET}t")) for si in root]
        root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    assert not list(root.iter(f"{_SHEET}f"))
    rows = []
    for row in root.iter(f"{_SHEET}row"):
        cells = {}
        for cell in row.iter(f"{_SHEET}c"):
            value = cell.find(f"{_SHEET}v")
            inline = "".join(t.text or "" for t in cell.iter(f"{_SHEET}t"))
            raw = inline if value is None else value.text or ""
            cells[re.sub(r"\d", "", cell.attrib["r"])] = (
                strings[int(raw)] if cell.attrib.get("t") == "s" else raw
            )
        rows.append(cells)
    return rows


def test_csv_holds_every_row_with_formulas_guarded(tiny: TinyLake, tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    assert export(beatlake.open(tiny.root), "silver.labels", target) == len(LABELS)
    with target.open(encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    assert head[:3] == ["beatport_label_id", "beatport_label_name", "flags"]
    assert [row[1] for row in rows] == [guarded(name) or "" for name in NAMES]
    assert [int(row[0]) for row in rows] == [label[0] for label in LABELS]
    assert [json.loads(row[2]) for row in rows] == [label[2] for label in LABELS]
    assert [dt.date.fromisoformat(row[3]) for row in rows] == [label[3] for label in LABELS]


def test_csv_tells_the_empty_text_from_null(tiny: TinyLake, tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    export(beatlake.open(tiny.root), "silver.labels", target)
    lines = target.read_text(encoding="utf-8").splitlines()
    assert any(line.startswith('10,"",') for line in lines)
    assert any(line.startswith("11,,") for line in lines)


def test_excel_holds_every_row_without_a_formula(tiny: TinyLake, tmp_path: Path) -> None:
    target = tmp_path / "labels.xlsx"
    export(beatlake.open(tiny.root), "silver.labels", target)
    head, *rows = sheet(target)
    assert list(head.values())[:2] == ["beatport_label_id", "beatport_label_name"]
    found = [row.get("B") for row in rows]
    unescaped = [
        re.sub(r"_x00([0-9A-F]{2})_", lambda m: chr(int(m[1], 16)), f) if f else f for f in found
    ]
    expected = [guarded(name) for name in NAMES]
    # XML 1.0 has no carriage return of its own: readers make it a line feed.
    assert [u.replace("\r", "\n") if u else u for u in unescaped] == [
        e.replace("\r", "\n") if e else e for e in expected
    ]
    assert rows[0]["A"] == str(2**53 + 1)
    assert rows[1]["D"] == "1899-12-31"
    assert float(rows[0]["D"]) == 43890  # 2020-02-29 in days since 1899-12-30


def test_parquet_holds_the_rows_unchanged(tiny: TinyLake, tmp_path: Path) -> None:
    target = tmp_path / "labels.parquet"
    export(beatlake.open(tiny.root), "silver.labels", target)
    assert [tuple(row.values()) for row in pq.ParquetFile(target).read().to_pylist()] == LABELS


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet"])
def test_an_empty_table_has_a_header(tiny: TinyLake, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"quality.{suffix}"
    assert export(beatlake.open(tiny.root), "ops.quality", target) == 0
    if suffix == "csv":
        head = target.read_text().strip().split(",")
    elif suffix == "xlsx":
        (cells,) = sheet(target)
        head = list(cells.values())
    else:
        head = pq.ParquetFile(target).schema_arrow.names
    assert head[:3] == ["run_id", "table", "rule"]


@pytest.mark.parametrize("release", [1, 2])
def test_an_older_release_can_be_exported(tiny: TinyLake, tmp_path: Path, release: int) -> None:
    target = tmp_path / "years.csv"
    assert export(beatlake.open(tiny.root, release), "gold.by_year", target) == len(YEARS[release])


def test_a_sheet_that_is_too_small_is_refused_and_leaves_the_old_file(
    tiny: TinyLake, tmp_path: Path
) -> None:
    assert excel.ROWS == 1_048_575
    relation = duckdb.sql("select i from range(1048576) t(i)")
    with pytest.raises(ReadingError, match=r"1,048,576 rows.*1,048,575.*parquet or .csv"):
        excel.write_xlsx(relation, tmp_path / "x.xlsx", "gold.x")
    assert not (tmp_path / "x.xlsx").exists()


def test_a_text_longer_than_a_cell_is_refused_with_its_place(tmp_path: Path) -> None:
    relation = duckdb.sql("select i, repeat('x', 32766 + i::int) as name from range(3) t(i)")
    with pytest.raises(
        ReadingError, match=r"Row 3 of gold\.x has a text of 32,768 characters in name"
    ):
        excel.write_xlsx(relation, tmp_path / "x.xlsx", "gold.x")


def test_an_export_that_fails_leaves_the_old_file_and_no_other(
    tiny: TinyLake, tmp_path: Path
) -> None:
    target = tmp_path / "years.csv"
    target.write_text("old")
    for file in tiny.lake.path("gold.by_year").glob("*.parquet"):
        file.unlink()
    with pytest.raises(ReadingError):
        export(beatlake.open(tiny.root), "gold.by_year", target)
    assert target.read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {"years.csv", tiny.root.name}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("years.txt", "does not end in"),
        ("years", "does not end in"),
        ("nowhere/years.csv", "no directory"),
        ("folder.csv", "is a directory"),
        ("{lake}/years.csv", "inside the lake"),
        ("{lake}/gold/by_year/part.parquet", "inside the lake"),
        ("link/years.csv", "inside the lake"),
    ],
)
def test_a_target_that_cannot_be_is_refused(
    tiny: TinyLake, tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link").symlink_to(tiny.root / "gold")
    with pytest.raises(ReadingError, match=sentence):
        export(beatlake.open(tiny.root), "gold.by_year", tmp_path / name.format(lake=tiny.root))


def answered(tiny: TinyLake, query: str, format_: str) -> bytes:
    with answers.written(beatlake.open(tiny.root), query, format_, None) as path:
        return path.read_bytes()


def test_the_formats_of_an_answer_agree(tiny: TinyLake) -> None:
    query = "select beatport_label_id, beatport_label_name from silver.labels"
    expected = [label[:2] for label in LABELS]
    names, rows, more = answers.rows(beatlake.open(tiny.root), query, 0)
    assert (rows, more) == (expected, False)
    found = json.loads(answered(tiny, query, "json"))
    assert [tuple(row[name] for name in names) for row in found] == expected
    text = answered(tiny, query, "csv").decode()
    _, *lines = csv.reader(io.StringIO(text, newline=""))
    assert [(int(a), b) for a, b in lines] == [(a, b or "") for a, b in expected]
    table = pq.ParquetFile(io.BytesIO(answered(tiny, query, "parquet"))).read()
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


def test_json_has_no_numbers_that_json_lacks(tiny: TinyLake) -> None:
    query = "select 'nan'::double a, 'inf'::double b, 1.5::double c, null d"
    found = json.loads(answered(tiny, query, "json"), parse_constant=lambda name: 1 / 0)
    assert found == [{"a": None, "b": None, "c": 1.5, "d": None}]


def test_a_name_given_twice_is_numbered(tiny: TinyLake) -> None:
    found = json.loads(answered(tiny, "select 1 as a, 2 as A, 3 as a", "json"))
    assert [list(row.values()) for row in found] == [[1, 2, 3]]
    assert len({name.lower() for row in found for name in row}) == 3


def test_rows_are_cut_where_asked(tiny: TinyLake) -> None:
    opened = beatlake.open(tiny.root)
    _, rows, more = answers.rows(opened, "from gold.by_year", 2)
    assert (len(rows), more) == (2, True)
    _, rows, more = answers.rows(opened, "from gold.by_year", 4)
    assert (len(rows), more) == (4, False)
    with answers.written(opened, "from gold.by_year", "csv", 3) as path:
        assert len(path.read_text().splitlines()) == 4


def test_guarding_keeps_every_other_text() -> None:
    relation = duckdb.sql("select chr(i::int) || 'x' as t from range(1, 256) t(i)")
    kept = {row[0] for row in results.flat(relation, guard=True).fetchall()}
    every = {chr(i) + "x" for i in range(1, 256)}
    assert every - kept == {c + "x" for c in "=+-@\t\r\n"}


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_wide_characters_names_and_bytes_are_guarded_too(tmp_path: Path, suffix: str) -> None:
    table = pa.table(
        {
            '=HYPERLINK("http://evil")': ["＝1", "＠x", "\0=1"],
            "-b": pa.array([b"=1", b"", None], pa.binary()),
        }
    )
    target = tmp_path / f"x.{suffix}"
    if suffix == "csv":
        results.write_csv(duckdb.from_arrow(table), target, guard=True)
        with target.open(encoding="utf-8", newline="") as stream:
            found = list(csv.reader(stream))
    else:
        excel.write_xlsx(duckdb.from_arrow(table), target, "gold.x")
        found = [[row["A"], row.get("B") or ""] for row in sheet(target)]
    assert found[0] == ['\'=HYPERLINK("http://evil")', "'-b"]
    assert found[1:3] == [["'＝1", "3D31"], ["'＠x", ""]]
    assert found[3][0].startswith("'")

"""Every planted defect is physically there, at the record and byte that truth.json names."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from beatlake.synth import generate

RULES = {
    "blank_line", "wrong_column_count", "unbalanced_quote", "stray_quote", "invalid_utf8",
    "nul_byte", "lone_carriage_return", "record_too_long", "repeated_header", "torn_record",
    "missing_value", "wrong_type", "wrong_shape", "out_of_range", "duplicate_key",
    "all_zero_features", "loudness_above_zero", "very_short_duration", "very_long_duration",
    "bpm_missing", "half_time_bpm", "year_only_date", "year_month_date", "impossible_date",
    "placeholder_date", "no_isrc", "orphan_release", "orphan_track", "orphan_artist",
    "orphan_genre", "orphan_subgenre", "orphan_label", "orphan_key",
}  # fmt: skip
Truth = dict[str, Any]


@pytest.fixture(scope="module")
def told(dirty: Path) -> Truth:
    return dict(json.loads((dirty / "truth.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def twin(told: Truth, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scale and seed without defects."""
    folder = tmp_path_factory.mktemp("synth") / "twin"
    generate(
        folder, scale=told["scale"], seed=told["seed"], clean=True, processes=1, progress=False
    )
    return folder


def _planted(entry: Truth) -> list[tuple[int, int, str, str]]:
    """(byte offset, record, rule, key) of a file's defects, in order."""
    found = []
    for rule, defects in entry["defects"].items():
        assert len(defects["examples"]) == min(20, defects["count"])
        found += [(e["byte_offset"], e["record"], rule, e["key"]) for e in defects["examples"]]
    return sorted(found)


def _line(data: bytes, offset: int) -> bytes:
    end = data.find(b"\r\n", offset)
    return data[offset:] if end < 0 else data[offset : end + 2]


def _of(rule: str, told: Truth, folder: Path) -> list[tuple[str, bytes, str]]:
    """(file, line, key) of every defect of a rule."""
    found = []
    for name, entry in told["files"].items():
        data = (folder / entry["file"]).read_bytes()
        found += [
            (name, _line(data, offset), key)
            for offset, _, planted, key in _planted(entry)
            if planted == rule
        ]
    assert found, rule
    return found


def _row(name: str, line: bytes, folder: Path) -> dict[str, str]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        header = file.readline().strip().split(",")
    (values,) = csv.reader(io.StringIO(line.decode(), newline=""))
    return dict(zip(header, values, strict=True))


def test_every_rule_is_planted(told: Truth) -> None:
    planted = {rule for entry in told["files"].values() for rule in entry["defects"]}
    assert planted == RULES


def test_without_its_defects_a_file_is_its_clean_twin(told: Truth, dirty: Path, twin: Path) -> None:
    """The clean twin appears, byte for byte, between the defects; record numbers agree with it."""
    for entry in told["files"].values():
        data, clean = (dirty / entry["file"]).read_bytes(), (twin / entry["file"]).read_bytes()
        rest, done = b"", 0
        for before, (offset, record, _, _) in enumerate(_planted(entry)):
            rest += data[done:offset]
            rows = sum(1 for _ in csv.reader(io.StringIO(rest.decode(), newline=""))) - 1
            assert record == rows + before + 1
            done = offset + len(_line(data, offset))
        assert rest + data[done:] == clean
        rows = sum(1 for _ in csv.reader(io.StringIO(clean.decode(), newline=""))) - 1
        assert entry["clean_rows"] == rows
        assert entry["records"] == rows + len(_planted(entry))


def test_records_are_kept_merged_or_set_aside(told: Truth) -> None:
    for entry in told["files"].values():
        parts = entry["kept_rows"] + entry["merged_duplicates"] + entry["set_aside"]
        assert entry["records"] == parts
        outcomes = [d["count"] for d in entry["defects"].values() if d["outcome"] == "set_aside"]
        assert sum(outcomes) == entry["set_aside"]


def test_lines_that_are_no_records(told: Truth, dirty: Path) -> None:
    for _, line, _ in _of("blank_line", told, dirty):
        assert line == b"\r\n"
    for name, line, _ in _of("repeated_header", told, dirty):
        assert (dirty / f"{name}.csv").read_bytes().startswith(line)
    for name, line, _ in _of("torn_record", told, dirty):
        assert (dirty / f"{name}.csv").read_bytes().endswith(line)
        assert not line.endswith(b"\n")
        with pytest.raises(ValueError, match="zip"):
            _row(name, line, dirty)
    for name, line, _ in _of("wrong_column_count", told, dirty):
        with pytest.raises(ValueError, match="zip"):
            _row(name, line, dirty)


def test_bytes_that_do_not_belong(told: Truth, dirty: Path) -> None:
    for _, line, _ in _of("invalid_utf8", told, dirty):
        with pytest.raises(UnicodeDecodeError):
            line.decode()
    for _, line, _ in _of("nul_byte", told, dirty):
        assert line.count(b"\0") == 1
    for _, line, _ in _of("lone_carriage_return", told, dirty):
        assert line.count(b"\r") == 2
        assert b'"' not in line
    for _, line, _ in _of("record_too_long", told, dirty):
        assert len(line) > 1 << 20


def test_quotes_that_do_not_pair(told: Truth, dirty: Path) -> None:
    for _, line, _ in _of("stray_quote", told, dirty):
        assert line.count(b'"') % 2 == 0
        assert re.search(rb'[^,"]"[^,"]', line)
    for name, line, _ in _of("unbalanced_quote", told, dirty):
        assert line.count(b'"') % 2 == 1
        lines = (dirty / f"{name}.csv").read_bytes().split(b"\n")
        odd = [i for i, text in enumerate(lines) if text.count(b'"') % 2]
        own = lines.index(line[:-1])
        others = [abs(i - own) for i in odd if i > own]
        assert all(distance > 1000 for distance in others)
        # The odd lines before it pair with each other: clean titles of two lines.
        assert len([i for i in odd if i < own]) % 2 == 0


def test_values_that_cannot_be_read(told: Truth, dirty: Path) -> None:
    bad = {"1,5", "0x1F", "12f", "abc", "yes", "2021-02-30", "2021-02-30 10:00:00"}
    for name, line, _ in _of("wrong_type", told, dirty):
        assert bad & set(_row(name, line, dirty).values())
    for name, line, _ in _of("wrong_shape", told, dirty):
        row = _row(name, line, dirty)
        isrc, track = row["isrc"], row.get("track_id", "")
        assert len(isrc) == 11 or (name == "sp_track" and len(track) == 21)
    for name, line, _ in _of("missing_value", told, dirty):
        row = _row(name, line, dirty)
        key = {"audio_features": "isrc", "sp_release": "release_id", "sp_artist_track": "artist_id"}
        assert row[key.get(name, "track_id")] == ""
    for name, line, _ in _of("out_of_range", told, dirty):
        row = _row(name, line, dirty)
        assert row.get("danceability", row.get("popularity")) in ("1.7", "101")


def test_duplicates_repeat_a_clean_key(told: Truth, dirty: Path, twin: Path) -> None:
    for name, line, key in _of("duplicate_key", told, dirty):
        assert key.split("|")[0].encode() in line
        clean = (twin / f"{name}.csv").read_bytes()
        assert all(part.encode() in clean for part in key.split("|"))


def test_rows_that_are_kept_with_a_flag(told: Truth, dirty: Path) -> None:
    expected = {
        "all_zero_features": {"tempo": "0", "time_signature": "0", "valence": "0.000"},
        "loudness_above_zero": {"loudness": "1.250"},
        "bpm_missing": {"bpm": "0"},
        "half_time_bpm": {"bpm": "87", "genre_id": "1"},
        "year_only_date": {"release_date": "1998"},
        "year_month_date": {"release_date": "2011-06"},
        "impossible_date": {"release_date": "0000"},
        "placeholder_date": {"release_date": "2009-01-01"},
        "no_isrc": {"isrc": ""},
    }
    for rule, values in expected.items():
        for name, line, _ in _of(rule, told, dirty):
            row = _row(name, line, dirty)
            assert {column: row[column] for column in values} == values


@pytest.mark.parametrize(
    ("rule", "column", "to"),
    [
        ("orphan_release", "release_id", "release"),
        ("orphan_track", "track_id", "track"),
        ("orphan_artist", "artist_id", "artist"),
        ("orphan_genre", "genre_id", "genre"),
        ("orphan_label", "label_id", "label"),
        ("orphan_key", "key_id", "key"),
    ],
)
def test_orphans_refer_to_nothing(
    rule: str, column: str, to: str, told: Truth, dirty: Path
) -> None:
    for name, line, _ in _of(rule, told, dirty):
        value = _row(name, line, dirty)[column].encode()
        assert value
        assert value not in (dirty / f"{name.split('_')[0]}_{to}.csv").read_bytes()


def test_fresh_keys_occur_once(told: Truth, dirty: Path) -> None:
    """Planted rows that are kept share no key and no ISRC with any other row of any file."""
    isrc = [
        text
        for entry in told["files"].values()
        for text in re.findall(
            rb"(?<=,|\n)ZZ[A-Z0-9]{10}(?=,)", (dirty / entry["file"]).read_bytes()
        )
    ]
    assert len(isrc) > 20
    assert len(set(isrc)) == len(isrc)
    twins = [path.read_bytes() for path in dirty.glob("*_track.csv")]
    assert sum(text.count(b",900000001,") for text in twins) <= 1


def test_flags_count_planted_rows_too(told: Truth) -> None:
    flags = told["files"]["audio_features"]["flags"]["loudness_above_zero"]
    assert flags["kept"] >= flags["clean"] + 1
    joins = told["joins"]
    assert joins["kept"]["sp_track_null_isrc"] > joins["clean"]["sp_track_null_isrc"]
    three_way = "audio_x_sp_track_x_bp_track"
    assert joins["kept"][three_way] == joins["clean"][three_way]

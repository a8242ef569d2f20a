"""Age, files and absent inputs of the newest release."""

from __future__ import annotations

import datetime as dt

import pytest
from tiny_lake import UTC, TinyLake

import beatlake
from beatlake.reading.errors import ReadingError
from beatlake.reading.health import duration, health, moment, parse_age

NOW = dt.datetime(2024, 3, 1, 13, 0, tzinfo=UTC)


def test_a_fresh_whole_release_has_no_problems(tiny: TinyLake) -> None:
    found = health(beatlake.open(tiny.root), dt.timedelta(hours=26), NOW)
    assert found.problems == []
    assert (found.release, found.age) == (2, dt.timedelta(days=1, hours=1))
    assert (found.tables, found.rows) == (4, 20)
    assert found.absent == ["bp_artist_media"]


def test_an_old_release_is_a_problem_only_when_an_age_is_given(tiny: TinyLake) -> None:
    assert health(beatlake.open(tiny.root), None, NOW).problems == []
    assert (
        "older than 1 d"
        in health(beatlake.open(tiny.root), dt.timedelta(hours=24), NOW).problems[0]
    )


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_damaged_data_file_is_a_problem(tiny: TinyLake, damage: str) -> None:
    file = next(tiny.lake.path("gold.by_genre").glob("*.parquet"))
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    found = health(beatlake.open(tiny.root), None, NOW)
    assert found.missing == [f"gold.by_genre: {file.name}"]
    assert "1 data files are gone or cut short" in found.problems[0]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400), (" 7 d ", 604800)]
)
def test_ages(text: str, seconds: int) -> None:
    assert parse_age(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "1w", "1h30m", "9999999d", "１h"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(ReadingError, match="a number and a unit"):
        parse_age(text)


def test_a_time_without_a_zone_is_utc() -> None:
    assert moment("2024-03-01T13:00:00") == NOW == moment("2024-03-01T14:00:00+01:00")
    with pytest.raises(ReadingError, match="published at 'yesterday'"):
        moment("yesterday")


def test_durations_show_two_units() -> None:
    lengths = [dt.timedelta(seconds=0), dt.timedelta(minutes=61), dt.timedelta(days=3)]
    assert [duration(length) for length in lengths] == ["0 s", "1 h 1 min", "3 d"]

"""What is known of an artist as of a release: held against a loop over all earlier songs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import songs

from beatlake.learn import gates, rows, source, splits
from beatlake.learn.engine import database
from beatlake.learn.training_rows import TrainingRows

HISTORY = songs.altered(
    songs.TASK,
    (
        "    text:",
        "    history:\n"
        "      features:\n"
        "        - {name: songs_before, earlier: {by: main artist}}\n"
        "        - {name: days_active, earlier: {by: main artist, measure: days_since_first}}\n"
        "        - {name: mood_before, earlier: {by: mood}}\n"
        "    hindsight:\n"
        "      hindsight: true\n"
        "      features:\n"
        "        - {name: plays_before, earlier: {by: main artist, measure: mean, of: plays}}\n"
        "    text:",
    ),
)
WITH_HINDSIGHT = HISTORY.replace("  groups:", "  use: [audio, history, hindsight]\n  groups:")


def main_artist(song: dict[str, Any]) -> str:
    return str(song["artist"]).lower().split(" feat. ")[0]


def span(song: dict[str, Any]) -> tuple[dt.date, dt.date] | None:
    """First and last day that a song's date may stand for."""
    written = song["released"]
    if written is None:
        return None
    if len(written) == 4:
        return dt.date(int(written), 1, 1), dt.date(int(written), 12, 31)
    day = dt.date.fromisoformat(written)
    return day, day


def by_hand(song: dict[str, Any], given: list[dict[str, Any]]) -> tuple[Any, ...]:
    own = span(song)
    if own is None:
        return None, None, None
    before = [
        other
        for other in given
        if main_artist(other) == main_artist(song)
        and (days := span(other)) is not None
        and days[1] < own[0]
    ]
    if not before:
        return 0, None, None
    first = min(span(other)[0] for other in before)  # type: ignore[index]
    plays = sum(other["plays"] for other in before) / len(before)
    return len(before), (own[0] - first).days, plays


def test_history_is_that_of_strictly_earlier_rows(tmp_path: Path) -> None:
    given = songs.made(300, artists=25)
    for i, song in enumerate(given):
        song["track"] = f"u{i}"
        if i % 7 == 0:
            song["released"] = song["released"][:4]
        if i % 31 == 0:
            song["released"] = None
    by_track = {song["track"]: song for song in given}
    with songs.ready(given, tmp_path, WITH_HINDSIGHT) as ready:
        found = ready.connection.execute(
            "SELECT recording, f_songs_before, f_days_active, f_plays_before FROM prepared"
        ).fetchall()
    assert len(found) == len(given)
    assert sum(row[1] or 0 for row in found) > 500
    for recording, *values in found:
        expected = by_hand(by_track[recording.removeprefix("0:")], given)
        known = [value for value in expected if value is not None]
        assert [value is None for value in values] == [value is None for value in expected]
        assert [v for v in values if v is not None] == pytest.approx(known, rel=1e-6), recording


def test_later_songs_change_nothing_of_what_was_known_before(tmp_path: Path) -> None:
    given = songs.made(300, artists=25)
    query = (
        "SELECT row_id, f_songs_before, f_plays_before FROM prepared WHERE starts < '2012-01-01'"
    )
    with songs.ready(given, tmp_path, WITH_HINDSIGHT) as ready:
        before = set(ready.connection.execute(query).fetchall())
    later = [{**song, "plays": 1e6} for song in given if song["released"] >= "2012"]
    earlier = [song for song in given if song["released"] < "2012"]
    with songs.ready(earlier + later * 2, tmp_path, WITH_HINDSIGHT) as ready:
        assert set(ready.connection.execute(query).fetchall()) == before


def test_hindsight_is_off_unless_asked_for_and_its_lineage_is_gated(tmp_path: Path) -> None:
    with songs.ready(songs.made(), tmp_path, HISTORY) as ready:
        assert "hindsight" not in ready.task.features.used
    text = songs.altered(
        WITH_HINDSIGHT,
        ("label: {column: hit}", "label: {column: plays, kind: number}"),
        ("{name: logistic_regression}", "{name: linear_regression}"),
    )
    with songs.ready(songs.made(), tmp_path, text) as ready:
        rungs = splits.assign(ready.connection, ready.prepared, ready.task.splits)
        rows = TrainingRows.of(ready.connection, rungs[2], watched=False)
        found = {verdict.gate: verdict for verdict in gates.of_features(ready.task, rows)}
    assert not found["lineage_of_label"].passed
    assert found["lineage_of_label"].found == "plays_before: is computed from plays"


def test_a_table_without_labels_has_the_same_history(tmp_path: Path) -> None:
    given = songs.made(100, artists=10)
    query = "SELECT row_id, f_songs_before, coalesce(f_days_active, -1) FROM prepared"
    with songs.ready(given, tmp_path, HISTORY) as ready:
        expected = sorted(row[1:] for row in ready.connection.execute(query).fetchall())
        asked = ready.task
    unlabelled = [{k: v for k, v in song.items() if k != "hit"} for song in given]
    path = songs.write(unlabelled, tmp_path / "unlabelled.csv")
    with database(tmp_path) as connection:
        rows.with_history(connection, asked, source.path(path, asked.table))
        found = connection.execute(query).fetchall()
    # Rows are named by their content, which lacks the label; their values are the same.
    assert sorted(row[1:] for row in found) == expected


def test_of_rows_to_be_predicted_history_is_that_of_rows_that_train(tmp_path: Path) -> None:
    """A row that no training takes, for its label or by ``where``, is nobody's earlier row."""
    given = [{**song, "track": f"u{i}"} for i, song in enumerate(songs.made(300, artists=25))]
    for song in given[::4]:
        song["hit"] = None
    text = WITH_HINDSIGHT + "table: {row_key: [track], where: [{column: tempo, above: 110}]}\n"
    query = "SELECT row_id, f_songs_before, f_days_active, f_plays_before FROM prepared"
    with songs.ready(given, tmp_path, text) as ready:
        trained = {row[0]: row[1:] for row in ready.connection.execute(query).fetchall()}
        asked = ready.task
    with database(tmp_path) as connection:
        rows.with_history(connection, asked, source.path(tmp_path / "songs.csv", asked.table))
        found = {row[0]: row[1:] for row in connection.execute(query).fetchall()}
    takes = [song for song in given if song["tempo"] > 110 and song["hit"]]
    assert trained.keys() == {song["track"] for song in takes}
    assert 100 < len(takes) < 250
    assert len(found) == len(given)
    for song in given:
        values = found[song["track"]]
        expected = by_hand(song, takes)
        assert [value is None for value in values] == [value is None for value in expected]
        known = [value for value in expected if value is not None]
        assert [v for v in values if v is not None] == pytest.approx(known, rel=1e-6)
    assert {key: found[key] for key in trained} == trained

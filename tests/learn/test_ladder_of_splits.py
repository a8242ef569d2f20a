"""The ladder of splits: every promise held against the rows themselves, by Python alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import songs

from beatlake.config import ConfigError
from beatlake.learn import splits
from beatlake.learn.splits import FITTING, PROMISES, Rung

SMALL = songs.altered(
    songs.TASK, ("splits: {headline: artist}", "splits: {headline: artist, test: 0.3}")
)


@dataclass
class Dealt:
    """The ladder of some songs."""

    rungs: dict[str, Rung]
    #: Songs by rung and side, looked up by the name of the row's recording.
    sides: dict[str, dict[str, list[dict[str, Any]]]]


def deal(given: list[dict[str, Any]], folder: Path, text: str = SMALL) -> Dealt:
    by_track = {song["track"]: song for song in given}
    with songs.ready(given, folder, text) as ready:
        rungs = splits.assign(ready.connection, ready.prepared, ready.task.splits)
        sides: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for rung in rungs:
            sides[rung.name] = {}
            if rung.unavailable:
                continue
            for recording, side in ready.connection.execute(
                f"SELECT recording, side FROM prepared JOIN {rung.table} USING (row_id)"
            ).fetchall():
                song = by_track[recording.removeprefix("0:")]
                sides[rung.name].setdefault(side, []).append(song)
    return Dealt({rung.name: rung for rung in rungs}, sides)


def artists(song: dict[str, Any]) -> set[str]:
    return set(re.split(r" feat\. ", song["artist"].lower()))


@pytest.fixture(scope="module")
def dealt(tmp_path_factory: pytest.TempPathFactory) -> Dealt:
    return deal(songs.made(600), tmp_path_factory.mktemp("dealt"))


def test_every_row_has_one_side(dealt: Dealt) -> None:
    n = len(songs.made(600))
    for rung in dealt.rungs.values():
        assert sum(rung.counts.values()) == n
        assert rung.counts == {
            side: len(dealt.sides[rung.name].get(side, [])) for side in splits.SIDES
        }


@pytest.mark.parametrize("name", splits.PROMISES)
def test_a_rung_keeps_apart_what_it_promises(dealt: Dealt, name: str) -> None:
    sides = dealt.sides[name]
    fitting = [song for side in FITTING for song in sides.get(side, [])]
    test = sides["test"]
    assert len(fitting) > 50
    assert len(test) > 10
    shared_tracks = {s["track"] for s in fitting} & {s["track"] for s in test}
    shared_artists = set().union(*map(artists, fitting)) & set().union(*map(artists, test))
    assert bool(shared_tracks) is ("recording" not in PROMISES[name])
    assert bool(shared_artists) is ("artist" not in PROMISES[name])
    if "date" in PROMISES[name]:
        assert max(s["released"] for s in fitting) < min(s["released"] for s in test)


def test_what_is_shared_is_counted_as_python_counts_it(dealt: Dealt) -> None:
    sides = dealt.sides["random"]
    fitting = [song for side in FITTING for song in sides.get(side, [])]
    known = {song["track"] for song in fitting}
    makers = set().union(*map(artists, fitting))
    assert dealt.rungs["random"].shared == {
        "recording": sum(song["track"] in known for song in sides["test"]),
        "artist": sum(bool(artists(song) & makers) for song in sides["test"]),
        "row": 0,
    }
    assert dealt.rungs["random"].shared["recording"] > 0


def test_the_artist_rung_purges_training_rows_with_any_artist_of_the_test(dealt: Dealt) -> None:
    sides = dealt.sides["artist"]
    tested = set().union(*map(artists, sides["test"]))
    assert sides["purged"]
    for song in sides["purged"]:
        assert artists(song) & tested
    # The test side is chosen by the main artist alone.
    mains = {song["artist"].lower().split(" feat. ")[0] for song in sides["test"]}
    others = [s for side in (*FITTING, "purged") for s in sides.get(side, [])]
    assert not mains & {song["artist"].lower().split(" feat. ")[0] for song in others}


def test_the_validation_side_is_grouped_like_the_test(dealt: Dealt) -> None:
    sides = dealt.sides["artist"]
    watching, training = sides["valid"], sides["train"]
    assert not set().union(*map(artists, watching)) & set().union(*map(artists, training))
    in_time = dealt.sides["time"]
    assert max(s["released"] for s in in_time["train"]) < min(
        s["released"] for s in in_time["valid"]
    )


def test_rows_keep_their_side_when_data_grows(tmp_path: Path) -> None:
    few, many = songs.made(300), songs.made(600)
    small, large = deal(few, tmp_path), deal(many, tmp_path)
    for name in ("random", "recording", "artist"):
        before = {s["track"] for s in small.sides[name]["test"]}
        after = {s["track"] for s in large.sides[name]["test"]}
        assert before <= after


def test_sides_do_not_depend_on_the_order_of_rows_nor_on_threads(tmp_path: Path) -> None:
    given = songs.made(200)
    counts = []
    for rows in (given, given[::-1]):
        found = deal(rows, tmp_path)
        counts.append(
            {
                n: {s: sorted(x["track"] for x in r) for s, r in side.items()}
                for n, side in found.sides.items()
            }
        )
    assert counts[0] == counts[1]


def test_another_salt_deals_anew(dealt: Dealt, tmp_path: Path) -> None:
    text = songs.altered(SMALL, ("test: 0.3", "test: 0.3, salt: other"))
    other = deal(songs.made(600), tmp_path, text)
    before = {s["track"] for s in dealt.sides["artist"]["test"]}
    assert before != {s["track"] for s in other.sides["artist"]["test"]}


def test_the_share_of_artists_is_what_was_asked_for(tmp_path: Path) -> None:
    found = deal(songs.made(4000, artists=2000), tmp_path)
    share = found.rungs["artist"].counts["test"] / sum(found.rungs["artist"].counts.values())
    # 2,000 groups of two on average: the standard deviation of the share is about 0.013.
    assert share == pytest.approx(0.3, abs=0.05)


def test_a_rung_that_a_table_cannot_have_says_why(tmp_path: Path) -> None:
    text = songs.altered(SMALL, ("  date: {column: released}\n", ""))
    found = deal(songs.made(100), tmp_path, text)
    for name in ("time", "artist_time"):
        assert found.rungs[name].unavailable == "the task names no date column"
    given = [{**song, "released": "2001"} for song in songs.made(100)]
    found = deal(given, tmp_path)
    assert found.rungs["time"].unavailable == "fewer than two values of date are known"


def test_a_headline_that_is_not_available_is_an_error(dealt: Dealt) -> None:
    rungs = [Rung("artist", unavailable="no artist"), dealt.rungs["recording"]]
    with pytest.raises(ConfigError, match=r"no artist\. Rungs that it can have: recording"):
        splits.refuse_headline("songs", rungs, "artist")


def test_rows_of_an_unknown_artist_or_date_are_unused(tmp_path: Path) -> None:
    given = songs.made(120)
    for song in given[:10]:
        song["artist"] = None
    for song in given[10:15]:
        song["released"] = None
    found = deal(given, tmp_path)
    assert found.rungs["artist"].counts["unused"] == 10
    assert found.rungs["time"].counts["unused"] == 5

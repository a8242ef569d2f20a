"""Gates: planted leaks are caught, clean tables are let through, and a reason is needed to pass."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import songs

from beatlake.errors import LeakError
from beatlake.learn import alike, gates, splits
from beatlake.learn.gates import Verdict
from beatlake.learn.training_rows import TrainingRows

NUMBER = songs.altered(
    songs.TASK,
    ("label: {column: hit}", "label: {column: plays, kind: number}"),
    ("{name: logistic_regression}", "{name: linear_regression}"),
)
Songs = list[dict[str, Any]]


def verdicts(given: Songs, folder: Path, text: str = songs.TASK) -> list[Verdict]:
    with songs.ready(given, folder, text) as ready:
        rungs = splits.assign(ready.connection, ready.prepared, ready.task.splits)
        found: list[Verdict] = []
        for rung in rungs:
            if not rung.unavailable:
                found += gates.of_rung(ready.connection, rung, ready.task.features.list)
        (headline,) = (rung for rung in rungs if rung.name == "artist")
        found += gates.of_test_side(ready.connection, ready.task, ready.prepared, headline)
        rows = TrainingRows.of(ready.connection, headline, watched=False)
        return found + gates.of_features(ready.task, rows)


def broken(found: list[Verdict]) -> set[str]:
    return {verdict.gate for verdict in found if not verdict.passed}


@pytest.mark.parametrize("seed", range(20))
def test_a_clean_table_is_let_through(seed: int, tmp_path: Path) -> None:
    text = songs.TASK if seed % 2 else NUMBER
    given = songs.made(600, artists=40 + 10 * seed, seed=seed)
    assert not broken(verdicts(given, tmp_path, text))


def with_energy(make: Callable[[dict[str, Any], int], object]) -> Songs:
    return [{**song, "energy": make(song, i)} for i, song in enumerate(songs.made())]


LEAKS: dict[str, tuple[Callable[[], Songs], str, set[str]]] = {
    "the label as a number": (
        lambda: with_energy(lambda s, i: float(s["hit"] == "yes") + i / 1e6),
        songs.TASK,
        {"single_feature_auc", "feature_is_label"},
    ),
    "the label upside down, a little noisy": (
        lambda: with_energy(lambda s, i: -float(s["hit"] == "yes") + (i % 97) / 80),
        songs.TASK,
        {"single_feature_auc"},
    ),
    "missing where the label is no": (
        lambda: with_energy(lambda s, i: s["energy"] if s["hit"] == "yes" else None),
        songs.TASK,
        {"single_feature_auc", "feature_is_label"},
    ),
    "a text that says the label": (
        lambda: [{**s, "mood": f"was {s['hit']}"} for s in songs.made()],
        songs.TASK,
        {"single_feature_auc", "feature_is_label"},
    ),
    "the number in other units": (
        lambda: with_energy(lambda s, i: np.log(s["plays"]) * 3 + 1),
        NUMBER,
        {"feature_is_label"},
    ),
    "the column itself": (
        songs.made,
        songs.altered(NUMBER, ("features: [energy,", "features: [{name: e, column: plays},")),
        {"feature_is_label", "lineage_of_label"},
    ),
    "computed from the label by the task's own account": (
        songs.made,
        songs.altered(
            NUMBER,
            ("  groups:", "  lineage: {valence: [rank], rank: [plays]}\n  groups:"),
        ),
        {"lineage_of_label"},
    ),
    "recordings again under other names and artists": (
        lambda: [
            song
            for i, s in enumerate(songs.made())
            for song in (s, {**s, "track": f"again {i}", "artist": f"Label {i}"})
        ],
        songs.TASK,
        {"same_sound_on_both_sides"},
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_caught(name: str, tmp_path: Path) -> None:
    plant, text, expected = LEAKS[name]
    assert broken(verdicts(plant(), tmp_path, text)) >= expected


def test_a_rare_class_does_not_pass_for_a_leak(tmp_path: Path) -> None:
    given = [{**s, "hit": "yes" if i % 150 == 0 else "no"} for i, s in enumerate(songs.made(900))]
    assert not broken(verdicts(given, tmp_path))


@pytest.mark.parametrize("with_the_row", [True, False])
@pytest.mark.parametrize("text", [songs.TASK, NUMBER], ids=["classes", "number"])
def test_a_mean_of_the_label_over_an_artists_whole_career_is_caught(
    with_the_row: bool, text: str, tmp_path: Path
) -> None:
    given = songs.made(600)
    label = {song["track"]: float(song["hit"] == "yes") for song in given}
    if text == NUMBER:
        label = {song["track"]: song["plays"] for song in given}
    by_artist: dict[str, list[str]] = {}
    for song in given:
        by_artist.setdefault(song["artist"].split(" feat. ")[0], []).append(song["track"])

    def mean(song: dict[str, Any]) -> float:
        own = list(by_artist[song["artist"].split(" feat. ")[0]])
        if not with_the_row:
            own.remove(song["track"])
        return float(np.mean([label[track] for track in own])) if own else 0.0

    planted = [{**song, "valence": mean(song)} for song in given]
    assert "label_of_later_rows" in broken(verdicts(planted, tmp_path, text))


def test_rows_made_between_two_others_are_counted(tmp_path: Path) -> None:
    """Half of the test rows are put between two training rows, the others stay where they were."""
    with songs.ready(songs.made(500, artists=200), tmp_path) as ready:
        rungs = splits.assign(ready.connection, ready.prepared, ready.task.splits)
        (rung,) = (rung for rung in rungs if rung.name == "artist")
        numbers = alike.columns(ready.connection, ready.task.features.list)
        assert alike.between(ready.connection, rung, numbers).found == 0
        sides = {
            side: ready.connection.execute(
                f"SELECT row_id, f_energy, f_tempo, f_valence FROM prepared JOIN {rung.table}"
                f" USING (row_id) WHERE side = '{side}' ORDER BY row_id"
            ).fetchall()
            for side in ("train", "test")
        }
        known = np.array([row[1:] for row in sides["train"]], dtype=float)
        made = sides["test"][::2]
        for (name, *_), parent in zip(made, known, strict=False):
            apart = np.linalg.norm((known - parent) / known.std(axis=0), axis=1)
            # The nearest that is no copy of it.
            other = known[np.argmin(np.where(apart > 0, apart, np.inf))]
            ready.connection.execute(
                "UPDATE prepared SET f_energy = ?, f_tempo = ?, f_valence = ? WHERE row_id = ?",
                [*(parent + 0.3 * (other - parent)).tolist(), name],
            )
        found = alike.between(ready.connection, rung, numbers)
    assert (found.found, found.of) == (len(made), rung.counts["test"])


def test_a_test_side_unlike_all_rows_is_caught_where_chance_does_not_make_it(
    tmp_path: Path,
) -> None:
    given = songs.made(800, artists=200)
    bare = [{**s, "artist": s["artist"] if s["plays"] > 90 else None} for s in given]
    for text in (songs.TASK, NUMBER):
        assert "test_unlike_population" in broken(verdicts(bare, tmp_path, text))
    # A few artists of one label each make shares that differ by chance, and that is no leak.
    few = [{**s, "hit": "yes" if hash_of(s["artist"]) < 0.3 else "no"} for s in songs.made(500)]
    found = verdicts(few, tmp_path)
    assert "test_unlike_population" not in broken(found)
    (said,) = (v.found for v in found if v.gate == "test_unlike_population")
    assert re.fullmatch(r"(no|yes) is 0\.\d+ on the test side and 0\.\d+ over all rows", said)


def hash_of(artist: str) -> float:
    main, *_ = artist.split(" feat. ")
    return int(hashlib.sha256(main.encode()).hexdigest()[:8], 16) / 2**32


@pytest.mark.parametrize("gate", ["recordings", "artists"])
def test_sides_that_break_a_promise_are_caught(gate: str, tmp_path: Path) -> None:
    """The sides are dealt wrong on purpose: nothing a table holds can bring this about."""
    with songs.ready(songs.made(), tmp_path) as ready:
        splits.assign(ready.connection, ready.prepared, ready.task.splits)
        random = splits.Rung("random")
        ready.connection.execute(
            f"CREATE OR REPLACE TABLE sides_artist AS SELECT * FROM {random.table}"
        ).fetchall()
        rung = splits.Rung(
            "artist",
            counts={"test": 100},
            shared={"recording": 7, "artist": 80},
        )
        found = gates.of_rung(ready.connection, rung, ready.task.features.list)
        assert f"{gate}_on_both_sides" in broken(found)
        ready.connection.execute(
            f"CREATE OR REPLACE TABLE sides_time AS SELECT * FROM {random.table}"
        ).fetchall()
        in_time = splits.Rung("time", counts={"test": 100})
        found = gates.of_rung(ready.connection, in_time, ready.task.features.list)
        assert "training_after_test" in broken(found)


def test_a_score_above_what_is_plausible_is_caught(tmp_path: Path) -> None:
    with songs.ready(songs.made(), tmp_path) as ready:
        (high,) = gates.of_score(ready.task, "artist", "xgboost", 0.995)
        (fair,) = gates.of_score(ready.task, "artist", "xgboost", 0.98)
    assert (high.passed, fair.passed) == (False, True)
    assert "0.995 of xgboost" in high.found


def test_a_broken_gate_refuses_and_says_what_to_do(tmp_path: Path) -> None:
    with songs.ready(songs.made(), tmp_path) as ready:
        leak = Verdict("single_feature_auc", None, False, "energy: AUC 0.990")
        with pytest.raises(LeakError, match=r"energy: AUC 0\.990") as error:
            gates.settle(ready.task, [leak])
        assert error.value.exit_code == 5
        assert "acknowledge: {single_feature_auc" in str(error.value)


def test_a_gate_is_let_through_for_a_reason_which_is_kept(tmp_path: Path) -> None:
    text = songs.altered(
        songs.TASK,
        ("ceiling: 0.99", "acknowledge: {single_feature_auc: energy is measured before release}"),
    )
    with songs.ready(songs.made(), tmp_path, text) as ready:
        leak = Verdict("single_feature_auc", None, False, "energy: AUC 0.990")
        other = Verdict("feature_is_label", None, False, "energy: Spearman 1")
        (settled,) = gates.settle(ready.task, [leak])
        assert settled.acknowledged == "energy is measured before release"
        with pytest.raises(LeakError, match="feature_is_label"):
            gates.settle(ready.task, [leak, other])

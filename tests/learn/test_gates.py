"""Gates: planted leaks are caught, clean tables are let through, and a reason is needed to pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import songs

from beatlake.errors import LeakError
from beatlake.learn import gates, splits
from beatlake.learn.features import TrainingRows
from beatlake.learn.gates import Verdict

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
        (high,) = gates.of_score(ready.task, "artist", 0.995)
        (fair,) = gates.of_score(ready.task, "artist", 0.98)
    assert (high.passed, fair.passed) == (False, True)


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

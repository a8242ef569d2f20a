"""The eight kinds of leak of Kapoor and Narayanan (2023), planted in raw data, by the command line.

What a table can hold is refused with exit code 5 and a sentence, and nothing is registered. What
beatlake itself could do wrong, to fit or choose on test rows, is impossible by construction: test
rows are changed beyond recognition, and the model stays the same to the last byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import songs

from beatlake import cli
from beatlake.lake import Lake
from beatlake.learn import listing, promotion

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Songs = list[dict[str, Any]]
#: Neighbours are fitted without Spark, and would find any copy of a row.
TASK = songs.altered(
    songs.TASK,
    ("  - {name: logistic_regression}", "  - {name: nearest_neighbours, parameters: {k: 9}}"),
    ("ceiling: 0.99", "ceiling: 0.9"),
)
ONE_RUNG = songs.altered(
    TASK, ("splits: {headline: artist}", "splits: {headline: artist, rungs: [artist]}")
)
NUMBER = songs.altered(TASK, ("label: {column: hit}", "label: {column: plays, kind: number}"))


def train(given: Songs, folder: Path, text: str = ONE_RUNG, lake: str = "lake") -> int:
    (folder / "songs.yaml").write_text(text, encoding="utf-8")
    table = songs.write(given, folder / "songs.csv")
    words = ["train", "--task", folder / "songs.yaml", "--table", table, "--lake", folder / lake]
    return cli.main([*map(str, words), "--quiet"])


def main_artist(song: dict[str, Any]) -> str:
    return str(song["artist"].lower().split(" feat. ")[0])


def is_test(song: dict[str, Any]) -> bool:
    """Whether a song is of the test side of the artist rung: the rule of the split, in Python."""
    text = f"beatlake\x1fartist\x1f{main_artist(song)}"
    return int(hashlib.md5(text.encode()).hexdigest()[:13], 16) / 2**52 < 0.25


def renamed(given: Songs, how: str) -> Songs:
    """The same songs under names and artists that nothing else has."""
    return [
        {**song, "track": f"{how}{i}", "title": f"{how} {i}", "artist": f"{how} {i}"}
        for i, song in enumerate(given)
    ]


def the_test_set_is_the_training_set() -> Songs:
    given = songs.made(500, artists=100)
    return given + renamed(given, "again")


def the_rarer_class_copied_before_the_split() -> Songs:
    given = [{**s, "hit": "yes" if s["plays"] > 250 else "no"} for s in songs.made(700)]
    rare = [song for song in given if song["hit"] == "yes"]
    assert 2 * len(rare) < len(given) - len(rare)
    return given + renamed(rare, "copy") + renamed(rare, "copy of a copy")


def smote_before_the_split() -> Songs:
    from imblearn.over_sampling import SMOTE

    given = [{**s, "hit": "yes" if s["plays"] > 250 else "no"} for s in songs.made(700)]
    names = ("energy", "tempo", "valence")
    values = np.array([[song[name] for name in names] for song in given])
    made, label = SMOTE(random_state=1).fit_resample(values, [song["hit"] for song in given])
    # As a file holds it: to six digits.
    rows = [dict(zip(names, np.round(row, 6).tolist(), strict=True)) for row in made[len(given) :]]
    bare = [
        {**given[0], **row, "hit": str(y)} for row, y in zip(rows, label[len(given) :], strict=True)
    ]
    return given + renamed(bare, "made")


def columns_chosen_by_all_labels() -> Songs:
    """Labels by chance, and of 4,000 columns of chance those that go with them best."""
    random = np.random.default_rng(2)
    given = songs.made(300, artists=200)
    label = random.integers(0, 2, len(given))
    noise = random.normal(size=(len(given), 4000))
    pull = np.abs((noise * (2 * label - 1)[:, None]).mean(axis=0))
    best = noise[:, np.argsort(-pull)[:25]]
    return [
        {
            **song,
            "hit": ["no", "yes"][y],
            **{f"c{i}": round(float(v), 6) for i, v in enumerate(row)},
        }
        for song, y, row in zip(given, label, best, strict=True)
    ]


CHOSEN = songs.altered(
    ONE_RUNG,
    (
        "features: [energy, tempo, valence]",
        f"features: [{', '.join(f'c{i}' for i in range(25))}]",
    ),
    # Nothing in the sound says what is drawn by chance.
    ("ceiling: 0.9", "ceiling: 0.75"),
)


def recordings_under_other_names() -> Songs:
    given = songs.made(700, artists=120)
    return given + renamed(given[::8], "reissue")


def a_chart_place() -> Songs:
    """A place that only a hit has, with some noise."""
    random = np.random.default_rng(3)
    return [
        {**song, "energy": round(random.normal() + 5 * (song["hit"] == "yes"), 6)}
        for song in songs.made(700)
    ]


def the_share_of_hits_over_a_whole_career() -> Songs:
    """A number of the artist that counts later songs, and the song itself."""
    given = songs.made(900, artists=90)
    hits: dict[str, list[bool]] = {}
    for song in given:
        hits.setdefault(main_artist(song), []).append(song["hit"] == "yes")
    return [{**s, "valence": float(np.mean(hits[main_artist(s)]))} for s in given]


def songs_credited_to_other_artists() -> Songs:
    """What an artist sang stands again under the label's name, and so on the other side."""
    given = songs.made(700, artists=120)
    return given + [
        {
            **song,
            "track": f"x{i}",
            "title": f"{song['title']} (live)",
            "artist": f"Various {i % 40}",
        }
        for i, song in enumerate(given[::5])
    ]


def artists_known_of_hits_alone() -> Songs:
    """Rows without an artist cannot be tested; here they are most of those that are no hit."""
    return [
        {**song, "artist": song["artist"] if song["hit"] == "yes" or i % 4 == 0 else None}
        for i, song in enumerate(songs.made(900, artists=200))
    ]


PLANTED: dict[str, tuple[Callable[[], Songs], str, str]] = {
    "L1.1 no test set": (the_test_set_is_the_training_set, ONE_RUNG, "same_sound_on_both_sides"),
    "L1.2 preprocessing, by copies": (
        the_rarer_class_copied_before_the_split,
        ONE_RUNG,
        "same_sound_on_both_sides",
    ),
    "L1.2 preprocessing, by interpolation": (
        smote_before_the_split,
        ONE_RUNG,
        "interpolated_on_both_sides",
    ),
    "L1.3 feature selection": (columns_chosen_by_all_labels, CHOSEN, "score_above_ceiling"),
    "L1.4 duplicates": (recordings_under_other_names, ONE_RUNG, "same_sound_on_both_sides"),
    "L2 illegitimate features": (a_chart_place, ONE_RUNG, "single_feature_auc"),
    "L3.1 temporal leakage": (
        the_share_of_hits_over_a_whole_career,
        ONE_RUNG,
        "label_of_later_rows",
    ),
    "L3.2 dependence": (songs_credited_to_other_artists, ONE_RUNG, "same_sound_on_both_sides"),
    "L3.3 sampling bias": (artists_known_of_hits_alone, ONE_RUNG, "test_unlike_population"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_leak_in_the_data_is_refused_with_a_sentence(
    kind: str, spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant, text, gate = PLANTED[kind]
    assert train(plant(), tmp_path, text) == 5
    said = capsys.readouterr().err
    assert "is refused by a leak gate; nothing was registered" in said
    assert gate in said
    assert not (tmp_path / "lake").exists()


def test_a_table_without_a_test_side_trains_nothing(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [{**song, "artist": "Artist 1"} for song in songs.made(200)]
    assert train(given, tmp_path) == 2
    assert "judged on the artist rung, which this table cannot have" in capsys.readouterr().err
    assert not (tmp_path / "lake").exists()


def test_nothing_is_fitted_or_chosen_on_test_rows(spark: SparkSession, tmp_path: Path) -> None:
    """L1.2, L1.3 and L3.1 by construction: whatever test rows hold, the model is the same."""
    text = songs.altered(
        ONE_RUNG,
        ("estimators:\n", "resampling: {how: smote}\nestimators:\n"),
        (
            "{name: nearest_neighbours",
            "{name: xgboost, parameters: {n_estimators: 20, early_stopping_rounds: 5}}\n"
            "  - {name: nearest_neighbours",
        ),
        ("ceiling: 0.9", "acknowledge: {test_unlike_population: test rows are changed on purpose}"),
    )
    given = songs.made(600, artists=100)
    random = np.random.default_rng(5)
    changed = [
        {
            **song,
            "energy": round(1e6 * random.normal(), 3),
            "tempo": None,
            "mood": f"never heard {i % 50}",
            "hit": str(random.choice(["yes", "no"])),
        }
        if is_test(song)
        else song
        for i, song in enumerate(given)
    ]
    assert 80 < sum(map(is_test, given)) < 250
    files = []
    for rows, lake in ((given, "as it was"), (changed, "changed")):
        assert train(rows, tmp_path, text, lake) == 0
        known = Lake(tmp_path / lake)
        files.append([promotion.choose(known, "songs", n).manifest.files for n in (1, 2)])
        kept = known.open("ml.predictions").to_pyarrow_table()
        files[-1].append({"predictions": hashlib.md5(repr(kept.to_pylist()).encode()).hexdigest()})
    for name, place in (("booster.ubj", 0), ("points.parquet", 1), ("features.json", 0)):
        assert files[0][place][name] == files[1][place][name]
    assert files[0][2] != files[1][2]


@pytest.mark.full
@pytest.mark.parametrize("seed", range(20))
def test_a_clean_table_trains_and_chance_scores_at_chance(
    seed: int, spark: SparkSession, tmp_path: Path
) -> None:
    """No false alarm on any rung; and with shuffled labels, no model beats its baselines."""
    random = np.random.default_rng(seed)
    given = songs.made(500 + 60 * seed, artists=80 + 15 * seed, seed=100 + seed)
    assert train(given, tmp_path, (TASK, NUMBER)[seed % 2]) == 0
    shuffled = random.permutation([song["hit"] for song in given]).tolist()
    chance = [{**song, "hit": hit} for song, hit in zip(given, shuffled, strict=True)]
    assert train(chance, tmp_path, ONE_RUNG, "chance") == 0
    (line,) = (
        line
        for line in listing.ladder(Lake(tmp_path / "chance"), "songs")
        if line["estimator"] == "nearest_neighbours" and line["headline_metric"]
    )
    majority = max(shuffled.count("yes"), shuffled.count("no")) / len(shuffled)
    # Five standard errors of a share around the best and the worst that chance gives.
    reach = 5 * 0.5 / line["n"] ** 0.5
    assert 0.5 - reach < line["value"] < majority + reach
    assert not promotion.choose(Lake(tmp_path / "chance"), "songs", 1).manifest.verdict.startswith(
        "The model beats"
    )

"""Runs to make cards of: made-up numbers of every kind that a card shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache

import numpy as np

from beatlake.learn.card import (
    TRAINING,
    CardFacts,
    FeatureGroup,
    Gate,
    Leakage,
    Rung,
    Tried,
    Variant,
    Weight,
)
from beatlake.learn.judgement import (
    Predictions,
    Score,
    Training,
    baselines,
    beats,
    classification,
    clustering,
    regression,
    sweep,
)

GENRES = (
    "Afro House",
    "Bass House",
    "Deep House",
    "Drum & Bass",
    "Melodic House & Techno",
    "Minimal / Deep Tech",
    "Progressive House",
    "Tech House",
    "Techno (Peak Time / Driving)",
    "Trance",
)


def side(seed: int, kind: str, artists: int = 150) -> Predictions:
    """Rows with genres, years and sizes of artists, judged by a model that knows a little."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(artists), rng.geometric(1 / 12, artists))
    n, k = len(of), len(GENRES)
    home = rng.integers(0, k, artists)
    true = np.where(rng.random(n) < 0.6, home[of], rng.integers(0, k, n))
    year = rng.integers(2004, 2024, n)
    sizes = np.bincount(of)[of]
    slices = {
        "year": year.astype(str),
        "artist size": np.where(sizes < 5, "1 to 4", np.where(sizes < 20, "5 to 19", "20 or more")),
    }
    named = {
        "group": np.array([f"Artist {place}" for place in of]),
        "row_id": np.array([f"ISRC{place:06d}" for place in range(n)]),
    }
    if kind == "classification":
        score = rng.normal(size=(n, k))
        score[np.arange(n), true] += 1.4
        score[np.arange(n), (true + 1) % k] += 0.9
        proba = np.exp(1.3 * score)
        proba /= proba.sum(axis=1, keepdims=True)
        return Predictions(true, proba.argmax(axis=1), proba, GENRES, slices=slices, **named)
    slices["genre"] = np.array(GENRES)[true]
    popular = np.clip(np.round(5 + 2 * true + rng.normal(size=n) * 8), 0, 100)
    guess = 4 + 1.8 * true + rng.normal(size=n)
    return Predictions(popular, guess, None, None, slices=slices, **named)


def others(train: Predictions) -> np.ndarray:
    """The artists of a training side, none of whom is on the other side."""
    return np.char.add("other ", train.group)


def ladder(metric: str, values: dict[str, float | None]) -> tuple[Rung, ...]:
    """Rungs around these values; None where a rung is not available."""
    promises = {
        "random": "nothing: rows at random",
        "recording": "recordings",
        "artist": "artists, featured ones too",
        "time": "training before 2019, test after",
        "artist_time": "both",
    }
    rungs = []
    for name, value in values.items():
        if value is None:
            rungs.append(Rung(name, promises[name], unavailable="the table has no dates"))
            continue
        score = Score(metric, value, value - 0.021, value + 0.024, 1_800, 150, None, "bootstrap")
        rungs.append(
            Rung(
                name,
                promises[name],
                score,
                baseline=0.21,
                train=7_200 if name == "random" else 6_800,
                test=1_800,
                purged=0 if name == "random" else 412,
                shared={"recording": 240 if name == "random" else 0, "artist": 0},
            )
        )
    return tuple(rungs)


def made_once(make: Callable[[], CardFacts]) -> Callable[..., CardFacts]:
    """Facts that are made when they are first asked for, with fields changed for each who asks."""
    made = cache(make)
    return lambda **changed: dataclasses.replace(made(), **changed)


@made_once
def genre_facts() -> CardFacts:
    """A classification of genres, with everything that such a card can show."""
    p, train = side(0, "classification"), side(2, "classification")
    given = baselines(Training(train.y_true, others(train), train.slices), p, salt="s", by=["year"])
    judged = classification(p, salt="s", resamples=100)
    values = {"random": 0.62, "recording": 0.55, "artist": 0.43, "time": 0.41, "artist_time": None}
    rungs = [
        dataclasses.replace(rung, score=judged.score("macro_f1")) if rung.name == "artist" else rung
        for rung in ladder("macro_f1", values)
    ]
    none, smote = (
        Variant(name, (judged.score("macro_f1"), judged.score("pr_auc"), judged.score("brier")))
        for name in ("none", "SMOTE")
    )
    return CardFacts(
        task="genre",
        version="3",
        created="2026-11-25T20:00:00Z",
        question="Which of ten genres a recording has, from how it sounds.",
        estimator="XGBoost classifier",
        headline="artist",
        metric="macro_f1",
        judgement=judged,
        rungs=tuple(rungs),
        verdict=beats(p, given, metric="macro_f1", salt="s", resamples=100),
        parameters={"trees": 300, "depth": 8, "rate": 0.05, "lambda": 0.00012345},
        features=(
            FeatureGroup("audio", ("energy", "danceability"), "measured on the recording itself"),
            FeatureGroup("musical", ("key", "tempo_bpm"), "measured on the recording itself"),
        ),
        importances={
            "fall of macro-F1 when the feature is permuted on the test side": tuple(
                Weight(name, value, value - 0.01, value + 0.012)
                for name, value in [
                    ("tempo_bpm", 0.21),
                    ("energy", 0.14),
                    ("instrumentalness", 0.11),
                    ("danceability", 0.08),
                    ("duration_ms", 0.05),
                    ("key", 0.001),
                ]
            ),
            "share of the total gain": (Weight("energy", 0.6), Weight("tempo_bpm", 0.4)),
        },
        tried=(
            Tried(
                "Parameters, every combination.",
                "macro_f1",
                (("depth 4", (0.31, 0.3456), False), ("depth 8", (0.4, 0.3), True)),
            ),
        ),
        ablation=(Variant("without audio", (judged.score("macro_f1"),)),),
        imbalance=(
            none,
            smote,
            dataclasses.replace(
                smote, name="SMOTE before the split", wrong="it copies test rows into training."
            ),
        ),
        gates=(
            Gate("artists on both sides", True, "0 of 1,800 test rows"),
            Gate("one feature gives the label", False, "label_id: AUC 0.97", "a known proxy"),
        ),
        leakage=Leakage(
            shared={"row": 0, "recording": 0, "artist": 0},
            fitted={"standard scaler": TRAINING, "SMOTE": TRAINING},
            selected={"grid over 12 settings": TRAINING},
            train_until="2018-12-31",
            test_from="2019-01-01",
            from_label=(),
            too_good={},
            dropped={"without audio features": 812},
            population="all recordings of the lake with audio features and one genre",
            base_rate=dict(judged.base_rate),
        ),
        inputs={"silver.recordings": "version 12"},
        libraries={"xgboost": "3.2.0", "scikit-learn": "1.9.1"},
        salt="beatlake-1",
        uses=("Sorting recordings without a genre for a person to look at.",),
        limits=("Scores say nothing about genres that Beatport does not have.",),
    )


@made_once
def popularity_facts() -> CardFacts:
    """A regression of popularity."""
    p, train = side(1, "regression"), side(3, "regression")
    judged = regression(p, salt="s", resamples=100)
    given = baselines(Training(train.y_true, others(train), train.slices), p, salt="s")
    values = {"random": 0.29, "recording": 0.05, "artist": 0.08, "time": None}
    return CardFacts(
        task="popularity",
        version="1",
        created="2026-11-25T20:00:00Z",
        question="How popular the most popular track of a recording's releases is, 0 to 100.",
        estimator="linear regression",
        headline="artist",
        metric="r2",
        judgement=judged,
        rungs=ladder("r2", values),
        verdict=beats(p, given, metric="r2", salt="s", resamples=100),
    )


def cluster_facts(clusters: int = 4, **changed: object) -> CardFacts:
    """Clusters of audio features beside genres."""
    rng = np.random.default_rng(0)
    genre = rng.integers(0, 4, 900)
    points = rng.normal(size=(900, 6)) + 2.5 * np.eye(4, 6)[genre]
    labels = {k: genre % k for k in range(2, 6)}
    names = ("energy", "danceability", "acousticness", "instrumentalness", "valence", "tempo_bpm")
    labels[clusters] = (genre + rng.integers(0, 2, 900)) % clusters
    facts = CardFacts(
        task="clusters",
        version="1",
        created="2026-11-25T20:00:00Z",
        question="Which recordings sound alike.",
        estimator="k-means",
        headline="",
        metric="silhouette",
        judgement=None,
        clusters=clustering(
            points, labels[clusters], np.array(GENRES)[genre], salt="s", names=names
        ),
        sweep=tuple(sweep(points, labels, salt="s")),
    )
    return dataclasses.replace(facts, **changed)

"""Sides with a known truth, for what is tested on them."""

from __future__ import annotations

import numpy as np

from beatlake.learn.judgement import Predictions

CLASSES = ("ambient", "house", "techno", "trance")


def classes_of(y, pred, proba=None, group=None, slices=None, classes=CLASSES) -> Predictions:
    """Predictions of classes; every row is an artist of its own unless artists are given."""
    n = len(y)
    return Predictions(
        y_true=np.asarray(y),
        y_pred=np.asarray(pred),
        proba=None if proba is None else np.asarray(proba),
        classes=tuple(classes),
        group=np.asarray(group if group is not None else [f"artist {k}" for k in range(n)]),
        row_id=np.array([f"row {k:07d}" for k in range(n)]),
        slices=slices or {},
    )


def numbers_of(y, pred, group=None, slices=None) -> Predictions:
    """Predictions of numbers; every row is an artist of its own unless artists are given."""
    n = len(y)
    return Predictions(
        y_true=np.asarray(y),
        y_pred=np.asarray(pred),
        proba=None,
        classes=None,
        group=np.asarray(group if group is not None else [f"artist {k}" for k in range(n)]),
        row_id=np.array([f"row {k:07d}" for k in range(n)]),
        slices=slices or {},
    )


def artists(rng: np.random.Generator, number: int, rows: int = 10) -> np.ndarray:
    """The artist of every row: some have one row and some many (geometric, mean `rows`)."""
    return np.repeat(np.arange(number), rng.geometric(1 / rows, number))


def music(rng: np.random.Generator, number: int, rows: int = 10) -> Predictions:
    """Rows whose label and whose prediction both depend on the artist, as real ones do."""
    of = artists(rng, number, rows)
    prior = np.log([0.4, 0.3, 0.2, 0.1])
    sound = rng.normal(size=(len(of), 4))
    style, bias = rng.normal(size=(2, number, 4)) * 0.7
    true = (prior + sound + style[of] + rng.gumbel(size=sound.shape)).argmax(axis=1)
    proba = np.exp(prior + 0.7 * sound + bias[of])
    proba /= proba.sum(axis=1, keepdims=True)
    slices = {"genre": np.array(["x", "y", "z"])[rng.integers(0, 3, len(of))]}
    return classes_of(true, proba.argmax(axis=1), proba, of.astype(str), slices)


def genres(rng: np.random.Generator, number: int) -> Predictions:
    """Rows of 32 classes, each of an artist of its own."""
    true = rng.integers(0, 32, number)
    score = rng.normal(size=(number, 32))
    score[np.arange(number), true] += 2
    proba = np.exp(score)
    proba /= proba.sum(axis=1, keepdims=True)
    return classes_of(true, proba.argmax(axis=1), proba, classes=[f"genre {k}" for k in range(32)])


def popularity(rng: np.random.Generator, number: int, rows: int = 10) -> Predictions:
    """Whole numbers that depend on a signal, which is predicted, and on the artist, who is not."""
    of = artists(rng, number, rows)
    signal = rng.normal(size=len(of))
    true = np.round(20 + 4 * (signal + rng.normal(size=number)[of]) + 5 * rng.normal(size=len(of)))
    slices = {"year": (2000 + rng.integers(0, 3, len(of))).astype(str)}
    return numbers_of(true, 20 + 4 * signal, of.astype(str), slices)

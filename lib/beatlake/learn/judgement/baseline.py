"""Predictions that need no model: what a model has to be better than."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from beatlake.errors import InputError
from beatlake.learn.judgement.predictions import Array, Predictions, codes, texts

#: Rows that the level above a cell counts for: a cell of a few rows says little by itself.
_PRIOR_ROWS = 2.0


@dataclass(frozen=True)
class Training:
    """Labels of the training side: nothing else may be learnt from.

    Args:
        y: codes of classes, or numbers.
        group: main artist of every row.
        slices: values of every row by name, the same slicings as those of the test side.
    """

    y: Array
    group: Array
    slices: Mapping[str, Array] = field(default_factory=dict)


def baselines(
    train: Training,
    test: Predictions,
    *,
    salt: str,
    by: Sequence[str] = ("genre", "year"),
    one_feature: Predictions | None = None,
) -> dict[str, Predictions]:
    """Baselines on the rows of the test side, by name.

    * ``majority``: the commonest class with the training shares as probabilities; of a regression
      ``mean`` and ``median``.
    * ``stratified``: a training label drawn for each row by a salted hash of the row's name.
    * ``genre and year`` (whichever of `by` there are): mean, or shares, of the training rows of
      the same genre and year, drawn towards those of the genre and these towards all rows, each
      level counting as two rows. Slicings that give the label itself are left out.
    * ``artist``: the same for the artist, drawn towards the row's genre and year; an artist that
      the training side does not know has that alone.
    * ``one feature``: as given.

    Args:
        train: labels of the training side.
        test: rows to predict; their predictions are not looked at.
        salt: of the hash.
        by: slicings that may be known of a row before its label is.
        one_feature: predictions of a model of one feature.

    Raises:
        InputError: the training side has no row.
    """
    if not len(train.y):
        raise InputError("The training side has no row to take a baseline from.")
    # By label, so that sums do not depend on how rows arrived.
    train = _sorted(train)
    target = _Target.of(train, test)
    overall = target.values.mean(axis=0)
    everywhere = np.zeros(test.n, dtype=np.int64)
    found: dict[str, Predictions] = {}
    if test.classes is None:
        found["mean"] = target.predicting(test, overall[None, :], everywhere)
        found["median"] = target.predicting(test, np.median(train.y)[None, None], everywhere)
    else:
        found["majority"] = target.predicting(test, overall[None, :], everywhere)
    found["stratified"] = _stratified(train, test, salt, found)
    level = _Level(np.zeros(len(train.y), dtype=np.int64), everywhere, overall[None, :])
    usable = [name for name in by if name in test.slices and name in train.slices]
    usable = [name for name in usable if not _gives_label(train, name)]
    for name in usable:
        level = target.within(level, train.slices[name], test.slices[name])
    if usable:
        found[" and ".join(usable)] = target.predicting(test, level.means, level.test)
    level = target.within(level, train.group, test.group)
    found["artist"] = target.predicting(test, level.means, level.test)
    if one_feature is not None:
        found["one feature"] = one_feature
    return found


@dataclass(frozen=True)
class _Level:
    """Cells of rows alike: the cell of every row on both sides, and what each cell predicts."""

    train: Array
    test: Array
    means: Array


@dataclass(frozen=True)
class _Target:
    """The labels as columns whose means are predictions: one per class, or the number itself."""

    values: Array

    @classmethod
    def of(cls, train: Training, test: Predictions) -> _Target:
        if test.classes is None:
            return cls(np.asarray(train.y, dtype=np.float64)[:, None])
        return cls(np.eye(len(test.classes), dtype=np.float32)[train.y])

    def within(self, above: _Level, train: Array, test: Array) -> _Level:
        """The cells of a level parted further; a cell without training rows predicts as above."""
        coded = codes(np.concatenate([texts(train), texts(test)]))
        width = len(coded.names)
        sides = coded.of[: len(train)], coded.of[len(train) :]
        cells, place = np.unique(
            np.r_[above.train * width + sides[0], above.test * width + sides[1]],
            return_inverse=True,
        )
        parent = np.empty(len(cells), dtype=np.int64)
        parent[place] = np.r_[above.train, above.test]
        in_train, in_test = place[: len(train)], place[len(train) :]
        n = np.bincount(in_train, minlength=len(cells))[:, None]
        sums = np.stack(
            [np.bincount(in_train, column, len(cells)) for column in self.values.T], axis=1
        )
        means = (sums + _PRIOR_ROWS * above.means[parent]) / (n + _PRIOR_ROWS)
        return _Level(in_train, in_test, means)

    def predicting(self, test: Predictions, means: Array, cell: Array) -> Predictions:
        """What the cells predict for the rows."""
        if test.classes is None:
            return replace(test, y_pred=means[cell, 0], proba=None)
        shares = (means / means.sum(axis=1, keepdims=True)).astype(np.float32)
        # One row for all needs no room for each.
        proba = np.broadcast_to(shares, (test.n, shares.shape[1])) if len(means) == 1 else None
        return replace(
            test,
            y_pred=np.argmax(means, axis=1)[cell],
            proba=shares[cell] if proba is None else proba,
        )


def _sorted(train: Training) -> Training:
    order = np.argsort(train.y, kind="stable")
    slices = {name: values[order] for name, values in train.slices.items()}
    return Training(train.y[order], train.group[order], slices)


def _stratified(
    train: Training, test: Predictions, salt: str, found: Mapping[str, Predictions]
) -> Predictions:
    """Training labels by the quantile that each row's name hashes to."""
    drawn = np.array(
        [
            int.from_bytes(
                hashlib.blake2b(f"{salt}\0{name}".encode(), digest_size=8).digest(), "big"
            )
            for name in texts(test.row_id).to_pylist()
        ],
        dtype=np.uint64,
    )
    place = (drawn / 2.0**64 * len(train.y)).astype(np.int64)
    y_pred = train.y[np.minimum(place, len(train.y) - 1)]
    proba = None if test.classes is None else found["majority"].proba
    return replace(test, y_pred=y_pred, proba=proba)


def _gives_label(train: Training, name: str) -> bool:
    """Whether the label is the slicing by another name (each value has one label)."""
    distinct = len(np.unique(train.y))
    if distinct == 1:
        return False
    code = codes(train.slices[name]).of
    pairs = np.unique(np.stack([code, codes(train.y).of]), axis=1).shape[1]
    values = len(np.unique(code))
    # As many values as rows would pass for it.
    return pairs == values and values <= len(train.y) / 2

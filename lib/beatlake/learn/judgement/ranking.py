"""Metrics that rank rows, as pseudo-values: one number per row whose mean is the metric.

A metric T of weighted rows is nearly T + the mean of its derivatives by the weights (the
infinitesimal jackknife: Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans",
chapter 6). The pseudo-value of row j is T + n dT/dw_j at equal weights, so a draw of artists needs
only sums, and a million rows are ranked once rather than once per draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from beatlake.learn.judgement.predictions import Array

_CHUNK = 65_536


def rank_of_true(y_true: Array, proba: Array) -> Array:
    """How many classes stand before the true one; equal probabilities in the classes' order."""
    ranks = np.empty(len(y_true), dtype=np.int64)
    for start in range(0, len(y_true), _CHUNK):
        part, true = proba[start : start + _CHUNK], y_true[start : start + _CHUNK, None]
        own = np.take_along_axis(part, true, axis=1)
        first = np.arange(proba.shape[1]) < true
        ranks[start : start + _CHUNK] = ((part > own) | ((part == own) & first)).sum(axis=1)
    return ranks


def average_precision(y_true: Array, proba: Array) -> Array:
    """Pseudo-values of the average precision of one class against the rest, mean over classes.

    The precision at a row is that of all rows with its probability or more, and the average is over
    rows of the class, as in scikit-learn's `average_precision_score`. Classes that do not occur are
    left out; NaN where only one does, since no order of rows could be wrong.
    """
    occurring = np.unique(y_true)
    if len(occurring) == 1:
        return np.full(len(y_true), np.nan)
    found = np.zeros(len(y_true))
    for k in occurring:
        found += _one_class(y_true == k, proba[:, k])
    mean: Array = found / len(occurring)
    return mean


def _one_class(positive: Array, score: Array) -> Array:
    order = np.argsort(-score)
    hit = positive[order].astype(np.float64)
    # Rows of one probability enter together: each takes the counts at the last of them.
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    sizes = np.diff(np.r_[starts, len(score)])
    hits = np.add.reduceat(hit, starts)
    above, above_hit = np.cumsum(sizes), np.cumsum(hits)
    precision = above_hit / above
    total = above_hit[-1]
    value = (hits * precision).sum() / total
    # A row of probability s stands before every row of the class with s or less: it changes the
    # precision there by (1 if it is of the class else 0, less the precision) / the rows before.
    per_row = np.cumsum((hits / above)[::-1])[::-1]
    lost = np.cumsum((hits * precision / above)[::-1])[::-1]
    at = np.repeat(np.arange(len(starts)), sizes)
    derivative = hit * (precision[at] - value + per_row[at]) - lost[at]
    pseudo = np.empty(len(score))
    pseudo[order] = value + len(score) / total * derivative
    return pseudo


def rank_correlation(x: Array, y: Array) -> Array | None:
    """Pseudo-values of Spearman's correlation (equal values share their mean rank).

    None where one side is constant.
    """
    a, behind_a = _ranked(x)
    b, behind_b = _ranked(y)
    variances = (np.mean(a * a) - 0.25, np.mean(b * b) - 0.25)
    # Of n equal ranks the rounding is far below that of two distinct ones.
    if min(variances) < 1e-12:
        return None
    covariance = np.mean(a * b) - 0.25
    scale = np.sqrt(variances[0] * variances[1])
    value = covariance / scale
    # Derivatives: a rank is a share of rows before, so a row moves the ranks of those behind it.
    by_covariance = a * b + behind_a(b) + behind_b(a) - 3 * np.mean(a * b)
    by_a = a * a + 2 * behind_a(a) - 3 * np.mean(a * a)
    by_b = b * b + 2 * behind_b(b) - 3 * np.mean(b * b)
    moved = by_covariance / scale - value / 2 * (by_a / variances[0] + by_b / variances[1])
    pseudo: Array = value + moved
    return pseudo


def _ranked(values: Array) -> tuple[Array, Callable[[Array], Array]]:
    """The rank of every row as a share, mean 1/2, and the mean of a number over rows behind each.

    A row of the same value stands half before and half behind.
    """
    _, at, sizes = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(sizes) - sizes / 2)[at] / len(values)

    def behind(number: Array) -> Array:
        sums = np.bincount(at, number, len(sizes))
        upwards = np.cumsum(sums[::-1])[::-1]
        share: Array = (upwards - sums / 2)[at] / len(values)
        return share

    return rank, behind

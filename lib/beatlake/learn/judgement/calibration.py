"""Whether a model is right as often as it is sure.

The calibration error of the predicted class is the mean distance between confidence and accuracy
over equal-width bins of the confidence (Naeini et al. 2015; Guo et al. 2017, "On Calibration of
Modern Neural Networks"). It adds up distances, so chance alone puts it above 0: what chance gives
stands beside it.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from beatlake.learn.judgement.bootstrap import Sums, one_hot
from beatlake.learn.judgement.predictions import Array, Predictions
from beatlake.learn.judgement.scores import CalibrationBin, Score

#: As many as Guo et al. take.
BINS = 15


def gaps(confidence: Array, hit: Array) -> sparse.csr_array:
    """What each row adds to the gap of its bin."""
    return one_hot(_bin(confidence), BINS, hit - confidence)


def calibration_error(sums: Sums) -> Array:
    """The error from the sums of `gaps`, which are named "ece"."""
    found: Array = abs(sums["ece"]).sum(axis=1) / sums["n"]
    return found


def error_by_chance(p: Predictions, confidence: Array) -> Score:
    """The error that a perfectly calibrated model is expected to have on independent rows.

    Sums of independent outcomes are nearly normal, and the mean distance of a normal is its
    standard deviation times the root of 2 / pi.
    """
    sure = confidence[p.order]
    variance = np.bincount(_bin(sure), sure * (1 - sure), BINS)
    value = float(np.sqrt(2 / np.pi * np.maximum(variance, 0)).sum() / p.n)
    return Score(
        "ece_by_chance", value, None, None, p.n, len(p.groups.names), None, "no interval: expected"
    )


def calibration(p: Predictions) -> tuple[CalibrationBin, ...]:
    """The bins that hold rows; none without probabilities."""
    if p.confidence is None:
        return ()
    bins = _bin(p.confidence)[p.order]
    confidence = p.confidence[p.order]
    hit = (p.y_true == p.y_pred)[p.order]
    n = np.bincount(bins, minlength=BINS)
    sure = np.bincount(bins, confidence, BINS)
    right = np.bincount(bins, hit, BINS)
    return tuple(
        CalibrationBin(
            low=k / BINS,
            high=(k + 1) / BINS,
            n=int(n[k]),
            confidence=float(sure[k] / n[k]),
            accuracy=float(right[k] / n[k]),
        )
        for k in range(BINS)
        if n[k]
    )


def _bin(confidence: Array) -> Array:
    """The bin of each confidence; an edge belongs to the bin below it."""
    found: Array = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    return found

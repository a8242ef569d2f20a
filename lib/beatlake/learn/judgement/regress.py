"""Judging a regression.

MAE, RMSE, R² and the mean residual are functions of sums over rows; Spearman's correlation ranks
all rows, so its interval comes from its pseudo-values, which the score says.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from beatlake.errors import InputError
from beatlake.learn.judgement.bootstrap import LINEAR, Blocks, Metric, Sums
from beatlake.learn.judgement.predictions import Array, Predictions
from beatlake.learn.judgement.ranking import rank_correlation
from beatlake.learn.judgement.scores import Judgement
from beatlake.learn.judgement.slicing import overall, slices

RESAMPLES = 500
HOW = {"spearman": LINEAR}
_DECILES = np.linspace(0, 1, 11)


def regression(p: Predictions, *, salt: str, resamples: int = RESAMPLES) -> Judgement:
    """All that is said about a regression; the same whatever the order of its rows.

    MAE, RMSE and the mean residual (true minus predicted) in the label's unit, R² against the mean
    of these rows, Spearman's rank correlation. R² and Spearman are not available where the truth is
    constant, Spearman where the predictions are.

    Args:
        p: predictions of one side.
        salt: of the draws.
        resamples: draws of artists per interval.

    Raises:
        InputError: the predictions are of a classification.
    """
    blocks, metrics = measured(p)
    scores = overall(p, blocks, metrics, salt=salt, resamples=resamples, how=HOW)
    by_slice = {name: of for name, of in metrics.items() if name != "spearman"}
    residual = p.y_true.astype(np.float64) - p.y_pred
    return Judgement(
        kind="regression",
        n=p.n,
        groups=len(p.groups.names),
        resamples=resamples,
        scores=(*scores, *slices(p, blocks, by_slice, salt=salt, resamples=resamples, how=HOW)),
        base_rate=_base_rate(p.y_true[p.order].astype(np.float64)),
        residuals=tuple(float(value) for value in np.quantile(residual, _DECILES)),
    )


def measured(p: Predictions, only: str | None = None) -> tuple[Blocks, Mapping[str, Metric]]:
    """What each row, in the order of `p.order`, adds to sums, and the metrics that these give.

    Args:
        p: predictions of numbers.
        only: the one metric that is wanted, where it is one.

    Raises:
        InputError: the predictions are of a classification.
    """
    if p.classes is not None:
        raise InputError("These are predictions of classes and not of a regression.")
    true = p.y_true[p.order].astype(np.float64)
    predicted = p.y_pred[p.order].astype(np.float64)
    residual = true - predicted
    # R² does not depend on where 0 is; near the mean the squares lose no digits.
    centred = true - np.median(true)
    parts = {
        "n": np.ones(p.n),
        "residual": residual,
        "absolute": abs(residual),
        "squared": residual**2,
        "centred": centred,
        "centred_squared": centred**2,
    }
    if only in {None, "spearman"}:
        ranked = rank_correlation(true, predicted)
        parts["spearman"] = np.full(p.n, np.nan) if ranked is None else ranked
    metrics = {name: of for name, of in _METRICS.items() if only in {None, name}}
    return Blocks.of(parts), metrics


def _r2(sums: Sums) -> Array:
    mean_square = sums["centred"] ** 2 / sums["n"]
    spread = sums["centred_squared"] - mean_square
    # A constant truth leaves what rounding leaves.
    there = spread > 1e-12 * np.maximum(sums["centred_squared"], mean_square)
    share = np.divide(sums["squared"], spread, out=np.full_like(spread, np.nan), where=there)
    found: Array = 1 - share
    return found


_METRICS: Mapping[str, Metric] = {
    "mae": lambda sums: sums["absolute"] / sums["n"],
    "rmse": lambda sums: np.sqrt(sums["squared"] / sums["n"]),
    "r2": _r2,
    "spearman": lambda sums: np.clip(sums["spearman"] / sums["n"], -1, 1),
    "mean_residual": lambda sums: sums["residual"] / sums["n"],
}


def _base_rate(true: Array) -> dict[str, float]:
    quantiles = np.quantile(true, [0, 0.25, 0.5, 0.75, 1])
    named = zip(("min", "q25", "median", "q75", "max"), quantiles, strict=True)
    return {
        "mean": float(true.mean()),
        "standard deviation": float(true.std()),
        **{name: float(value) for name, value in named},
        "share of zeros": float((true == 0).mean()),
    }

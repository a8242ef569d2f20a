"""Scores of all rows, and of those with something in common: a genre, a year, an artist's size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from beatlake.learn.judgement.bootstrap import Blocks, Metric, scored, seed_of
from beatlake.learn.judgement.predictions import Array, Predictions, codes
from beatlake.learn.judgement.scores import Score

#: Values of one slicing that get a line of their own; the smaller ones share the last.
MOST = 100


def overall(
    p: Predictions,
    blocks: Blocks,
    metrics: Mapping[str, Metric],
    *,
    salt: str,
    resamples: int,
    how: Mapping[str, str],
) -> list[Score]:
    """Every metric over all rows; see `slices` for what is given."""
    group = p.groups.of[p.order]
    return scored(metrics, blocks, group, seed=seed_of(salt), resamples=resamples, how=how)


def slices(
    p: Predictions,
    blocks: Blocks,
    metrics: Mapping[str, Metric],
    *,
    salt: str,
    resamples: int,
    how: Mapping[str, str],
) -> list[Score]:
    """Every metric by slicing and value, values in order; artists are drawn within the slice.

    Args:
        p: predictions with the slicings.
        blocks: what the rows add to sums, in the order of `p.order`.
        metrics: by name.
        salt: of the draws.
        resamples: draws per slice.
        how: what the intervals of metrics are, where not the plain ones.
    """
    group = p.groups.of[p.order]
    found: list[Score] = []
    for name in sorted(p.slices):
        for value, rows in _values(p.slices[name][p.order]):
            found += scored(
                metrics,
                blocks.take(rows),
                group[rows],
                seed=seed_of(salt, name, value),
                resamples=resamples,
                how=how,
                slice=(name, value),
            )
    return found


def _values(values: Array) -> list[tuple[str, Array]]:
    """The distinct values and their rows, in the rows' order."""
    coded = codes(values)
    names, code = coded.names, coded.of
    if len(names) > MOST:
        sizes = np.bincount(code)
        kept = np.sort(np.argsort(-sizes, kind="stable")[: MOST - 1])
        place = np.full(len(names), len(kept))
        place[kept] = np.arange(len(kept))
        rest = f"{len(names) - len(kept)} smaller values together"
        names, code = [*(names[k] for k in kept), rest], place[code]
    by_value = np.argsort(code, kind="stable")
    edges = np.cumsum(np.bincount(code, minlength=len(names)))[:-1]
    return list(zip(names, np.split(by_value, edges), strict=True))

"""How far two ways of parting the same rows agree, from the table of their counts.

All functions take tables (draws x clusters x labels) and give one value per draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from beatlake.learn.judgement.predictions import Array


def purity(table: Array) -> Array:
    """The share of rows whose label is the commonest of their cluster.

    >>> purity(np.array([[[5, 1, 0], [1, 4, 1], [2, 0, 3]]])).round(2)  # Manning et al. 2008, 16.1
    array([0.71])
    """
    found: Array = table.max(axis=2).sum(axis=1) / table.sum(axis=(1, 2))
    return found


def nmi(table: Array) -> Array:
    """Mutual information over the mean of both entropies; 1 where neither parts the rows."""
    share = table / table.sum(axis=(1, 2), keepdims=True)
    apart = _entropy(share.sum(axis=2)) + _entropy(share.sum(axis=1))
    together = _entropy(share.reshape(len(share), -1))
    found: Array = np.divide(
        2 * (apart - together), apart, out=np.ones_like(apart), where=apart > 1e-15
    )
    return found


def ari(table: Array) -> Array:
    """The Rand index corrected for chance (Hubert and Arabie 1985); 1 where both are the same."""
    pairs = _pairs(table).sum(axis=(1, 2))
    clusters = _pairs(table.sum(axis=2)).sum(axis=1)
    labels = _pairs(table.sum(axis=1)).sum(axis=1)
    expected = clusters * labels / _pairs(table.sum(axis=(1, 2)))
    most = (clusters + labels) / 2
    found: Array = np.divide(
        pairs - expected, most - expected, out=np.ones_like(most), where=most != expected
    )
    return found


AGREEMENT: Mapping[str, Callable[[Array], Array]] = {"purity": purity, "nmi": nmi, "ari": ari}


def _entropy(share: Array) -> Array:
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    found: Array = -(share * logs).sum(axis=1)
    return found


def _pairs(count: Array) -> Array:
    found: Array = count * (count - 1) / 2
    return found

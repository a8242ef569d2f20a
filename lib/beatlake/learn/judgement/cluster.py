"""Judging clusters: how compact they are, and what they share with labels that they never saw."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from beatlake.errors import InputError
from beatlake.learn.judgement.agreement import AGREEMENT
from beatlake.learn.judgement.bootstrap import (
    NO_VALUE,
    Blocks,
    Metric,
    one_hot,
    scored,
    seed_of,
)
from beatlake.learn.judgement.predictions import Array, codes
from beatlake.learn.judgement.scores import Score

RESAMPLES = 500
#: The label that DBSCAN gives to rows of no cluster.
NOISE = -1
#: Rows of which silhouettes are taken: every pair of them is looked at.
SAMPLE = 5_000
#: Cells of clusters x labels up to which draws are kept, 500 of 8 bytes each: 80 MB.
_CELLS = 20_000
BY_ROW = "bootstrap over rows"
NO_DRAWS = "no interval: not a function of sums"
MANY_CELLS = "no interval: too many clusters x labels"


@dataclass(frozen=True)
class Clusters:
    """What is said about one clustering.

    Args:
        n: rows.
        noise: rows that belong to no cluster.
        clusters: their labels.
        sizes: rows of each.
        features: names of the columns.
        means: clusters x features, in the features' own units.
        profile: the same, as a place between the 5th (0) and 95th (1) percentile of all rows.
        scores: silhouette, Calinski-Harabasz and Davies-Bouldin of the rows that are not noise;
            with a truth, purity, NMI (arithmetic mean of the entropies) and ARI of all rows, noise
            being a cluster of its own.
        truth: names of the true labels; empty without.
        table: rows by cluster and true label; the last line is noise, where there is any.
    """

    n: int
    noise: int
    clusters: tuple[int, ...]
    sizes: tuple[int, ...]
    features: tuple[str, ...]
    means: Array
    profile: Array
    scores: tuple[Score, ...]
    truth: tuple[str, ...] = ()
    table: Array | None = None


def clustering(
    features: Array,
    labels: Array,
    truth: Array | None = None,
    *,
    salt: str,
    names: Sequence[str] = (),
    group: Array | None = None,
    resamples: int = RESAMPLES,
    sample: int = SAMPLE,
) -> Clusters:
    """All that is said about a clustering; the same whatever the order of its rows.

    Args:
        features: rows x columns, scaled as the clustering saw them.
        labels: cluster of every row, -1 for none.
        truth: labels to compare with, such as genres.
        salt: of the sample and of the draws.
        names: of the columns.
        group: main artist of every row; without it a row is its own group.
        resamples: draws of artists per interval.
        sample: rows of which silhouettes are taken, chosen by a salted hash of their content.

    Raises:
        InputError: lengths differ, or a feature is not a finite number.
    """
    features = np.asarray(features, dtype=np.float64)
    _check(features, labels, truth, group)
    # Without artists every row stands for itself.
    own = np.arange(len(labels)) if group is None else codes(np.asarray(group)).of
    order, chosen = _by_content(features, labels, salt, sample, None if group is None else own)
    features, labels, own = features[order], np.asarray(labels)[order], own[order]
    clusters = np.unique(labels[labels != NOISE])
    scores = _compactness(features, labels, own, chosen, salt, resamples)
    found: tuple[str, ...] = ()
    table = None
    if truth is not None:
        coded = codes(np.asarray(truth)[order])
        found = tuple(coded.names)
        agreeing, table = _agreement(labels, coded.of, len(found), own, salt, resamples)
        scores += agreeing
    means = np.stack([features[labels == k].mean(axis=0) for k in clusters])
    if group is None:
        scores = [replace(s, interval=BY_ROW) if s.low is not None else s for s in scores]
    low, high = np.quantile(features, [0.05, 0.95], axis=0)
    wide = np.where(high > low, high - low, 1.0)
    return Clusters(
        n=len(labels),
        noise=int((labels == NOISE).sum()),
        clusters=tuple(int(k) for k in clusters),
        sizes=tuple(int((labels == k).sum()) for k in clusters),
        features=tuple(names) or tuple(f"feature {k + 1}" for k in range(features.shape[1])),
        means=means,
        profile=np.clip((means - low) / wide, 0, 1),
        scores=tuple(scores),
        truth=found,
        table=table,
    )


def sweep(
    features: Array,
    labels: Mapping[int, Array],
    *,
    salt: str,
    sample: int = SAMPLE,
) -> list[dict[str, float | int | None]]:
    """One line for each number of clusters asked for: how many there are, and how compact.

    ``within`` is the sum of squared distances to the means (the elbow's height). Silhouettes are of
    the same rows in every line.

    Args:
        features: rows x columns, as the clusterings saw them.
        labels: cluster of every row by the number of clusters asked for.
        salt: of the sample.
        sample: rows of which silhouettes are taken.

    Raises:
        InputError: lengths differ, or a feature is not a finite number.
    """
    features = np.asarray(features, dtype=np.float64)
    lines: list[dict[str, float | int | None]] = []
    for asked, given in sorted(labels.items()):
        _check(features, given)
        order, chosen = _by_content(features, given, salt, sample)
        rows, label = features[order], np.asarray(given)[order]
        found = _internal(rows, label, chosen)
        lines.append(
            {
                "k": asked,
                "clusters": len(np.unique(label[label != NOISE])),
                "noise": int((label == NOISE).sum()),
                "within": _within(rows, label),
                **{name: value for name, (value, _) in found.items()},
            }
        )
    return lines


def _check(features: Array, labels: Array, *others: Array | None) -> None:
    if features.ndim != 2 or not len(features):
        raise InputError(f"Features of the shape {features.shape} are not rows x columns.")
    lengths = {len(array) for array in (features, labels, *others) if array is not None}
    if len(lengths) > 1:
        raise InputError(f"Features, clusters, labels and artists differ in rows: {lengths}.")
    if wrong := int((~np.isfinite(features)).any(axis=1).sum()):
        raise InputError(f"{wrong:,} of {len(features):,} rows hold a feature that is not finite.")
    if not (np.asarray(labels) != NOISE).any():
        raise InputError(f"All {len(features):,} rows are noise: there is no cluster to judge.")


def _by_content(
    features: Array, labels: Array, salt: str, sample: int, group: Array | None = None
) -> tuple[Array, Array]:
    """The rows in an order of their own, and the places therein that the sample takes.

    The order is a salted hash of the features, so that equal rows stand together.
    """
    key = hashlib.sha256(f"silhouette {salt}".encode()).digest()
    mixed = np.full(len(features), int.from_bytes(key[:8], "big"), dtype=np.uint64)
    # Adding 0 makes the two zeros one.
    for column in (features + 0.0).T:
        mixed = _mix(mixed ^ np.ascontiguousarray(column).view(np.uint64))
    order = np.lexsort((labels, mixed) if group is None else (group, labels, mixed))
    inside = np.flatnonzero(np.asarray(labels)[order] != NOISE)
    return order, inside[:sample]


def _mix(bits: Array) -> Array:
    """Spread over all 64 bits (the finaliser of splitmix64, Steele et al. 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = bits ^ (bits >> np.uint64(31))
    return mixed


def _internal(
    features: Array, labels: Array, chosen: Array
) -> dict[str, tuple[float | None, Array | None]]:
    """The three indices by name, and the silhouettes of the chosen rows."""
    from sklearn import metrics as sk

    inside = labels != NOISE
    rows, label = features[inside], labels[inside]
    parted = 1 < len(np.unique(label)) < len(label)
    seen = labels[chosen]
    single = None
    if 1 < len(np.unique(seen)) < len(seen):
        single = sk.silhouette_samples(features[chosen], seen)
    return {
        "silhouette": (None if single is None else float(single.mean()), single),
        "calinski_harabasz": (
            float(sk.calinski_harabasz_score(rows, label)) if parted else None,
            None,
        ),
        "davies_bouldin": (float(sk.davies_bouldin_score(rows, label)) if parted else None, None),
    }


def _compactness(
    features: Array, labels: Array, group: Array, chosen: Array, salt: str, resamples: int
) -> list[Score]:
    found = _internal(features, labels, chosen)
    inside = labels != NOISE
    scores = []
    for metric, (value, single) in found.items():
        if single is None:
            how = NO_DRAWS if value is not None else NO_VALUE
            n, groups = int(inside.sum()), len(np.unique(group[inside]))
            scores.append(Score(metric, value, None, None, n, groups, None, how))
        else:
            # The other rows stay while artists are drawn: each row keeps its own silhouette.
            scores += scored(
                {metric: lambda sums: sums["single"] / sums["n"]},
                Blocks.of({"n": np.ones(len(single)), "single": single}),
                group[chosen],
                seed=seed_of(salt, metric),
                resamples=resamples,
            )
    return scores


def _agreement(
    labels: Array, truth: Array, width: int, group: Array, salt: str, resamples: int
) -> tuple[list[Score], Array]:
    # Noise last.
    names, place = np.unique(
        np.where(labels == NOISE, np.iinfo(np.int64).max, labels), return_inverse=True
    )
    cells = len(names) * width
    table = np.bincount(place * width + truth, minlength=cells).reshape(len(names), width)
    if cells > _CELLS:
        values = {metric: float(of(table[None])[0]) for metric, of in AGREEMENT.items()}
        n, groups = len(labels), len(np.unique(group))
        return [
            Score(metric, value, None, None, n, groups, None, MANY_CELLS)
            for metric, value in values.items()
        ], table
    scores = scored(
        {metric: _over_cells(of, len(names), width) for metric, of in AGREEMENT.items()},
        Blocks.of({"cell": one_hot(place * width + truth, cells)}),
        group,
        seed=seed_of(salt, "agreement"),
        resamples=resamples,
    )
    return scores, table


def _over_cells(of: Callable[[Array], Array], clusters: int, labels: int) -> Metric:
    return lambda sums: of(sums["cell"].reshape(-1, clusters, labels))


def _within(features: Array, labels: Array) -> float:
    return float(
        sum(
            np.square(features[labels == k] - features[labels == k].mean(axis=0)).sum()
            for k in np.unique(labels[labels != NOISE])
        )
    )

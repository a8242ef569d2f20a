"""A small model of a run: how its stages grow, and what that says of larger inputs and clusters.

The seconds of each stage, as `pipeline.py` divides the clock of a machine, are taken to be
``fixed + per * scale ** power``: what a stage costs whatever its size (planning, commits), and what
its rows cost. On a cluster

* the fixed part stays as it is;
* the part of the rows is divided by the cores, times what it costs to deal rows to buckets, which
  one machine need not do (measured: `spark.alone_values`);
* finding and surveying the input is done by the driver alone, on as many cores as it has;
* small tables that every task reads whole (`WHOLE_ROWS`) are read by ever more tasks and become
  ever larger: the square of the scale.

That the work is shared out evenly is what `skew.py` and `cluster.py` look at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline import SURVEY, usd

#: Rows at scale 1 of the largest table that tasks read whole (Beatport's labels), how many tasks
#: read it (Beatport's tracks: some 20 columns of 10.7 million rows, 8 million values a task), and
#: what a row costs a task, in seconds (DuckDB reads it and puts it into a hash table).
WHOLE_ROWS, WHOLE_TASKS, WHOLE_ROW_S = 98_000, 30, 0.1e-6
_POWERS = np.arange(0.8, 1.401, 0.01)


@dataclass(frozen=True)
class Growth:
    """Seconds that are ``fixed + per * scale ** power``."""

    fixed: float
    per: float
    power: float

    def of_rows(self, scale: float) -> float:
        """The part that grows."""
        return float(self.per * scale**self.power)


def fit(points: Mapping[float, float]) -> Growth:
    """The growth that is nearest to seconds by scale, relative to each; with two points, linear.

    >>> fit({scale: 2 + 10 * scale**1.1 for scale in (0.03, 0.1, 0.3, 1)})
    Growth(fixed=2.0, per=10.0, power=1.1)
    """
    scales, seconds = (np.array(part, float) for part in zip(*sorted(points.items()), strict=True))
    seconds = np.maximum(seconds, 1e-3)
    best, least = Growth(float(seconds.mean()), 0.0, 1.0), math.inf
    for power in _POWERS if len(points) > 2 else (1.0,):
        columns = np.stack([np.ones_like(scales), scales**power], axis=1) / seconds[:, None]
        found = _not_negative(columns)
        error = float(((columns @ found - 1) ** 2).sum())
        if error < least - 1e-12:
            fixed, per = (round(float(value), 6) for value in found)
            best, least = Growth(fixed, per, round(float(power), 2)), error
    return best


def _not_negative(columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The least squares of two columns against ones, neither coefficient below zero."""
    ones = np.ones(len(columns))
    both = np.asarray(np.linalg.lstsq(columns, ones, rcond=None)[0], np.float64)
    if (both >= 0).all():
        return both
    alone = [float(column @ ones / (column @ column)) for column in columns.T]
    tried = [np.array([alone[0], 0.0]), np.array([0.0, alone[1]])]
    return min(tried, key=lambda each: float(((columns @ each - 1) ** 2).sum()))


def exponent(points: Mapping[float, float]) -> float:
    """The power by which seconds grow with the scale, over all points.

    >>> round(exponent({0.1: 1.0, 1.0: 10.0, 10.0: 100.0}), 6)
    1.0
    """
    scales, seconds = zip(*sorted(points.items()), strict=True)
    return float(np.polyfit(np.log(scales), np.log(seconds), 1)[0])


@dataclass(frozen=True)
class Cluster:
    """A driver and workers; ``cores`` are those of all workers."""

    cores: int
    driver_cores: int = 16


@dataclass(frozen=True)
class Prediction:
    """Hours and money of a run, and its stage of which the most does not shrink with the cluster.

    Args:
        hours: by the clock.
        usd: for all cores.
        bends: the stage.
        share: of the hours, what of this stage more cores would not shorten.
    """

    hours: float
    usd: float
    bends: str
    share: float


def predict(
    stages: Mapping[str, Growth], dealing: float, cores: int, scale: float, cluster: Cluster
) -> Prediction:
    """What a run takes on a cluster.

    Args:
        stages: how each stage grows on the machine that was measured.
        dealing: how many times as much the rows cost where they are dealt to buckets.
        cores: of the machine that was measured.
        scale: of the input.
        cluster: where it runs.
    """
    divided, stays = 0.0, {}
    for stage, growth in stages.items():
        rows = growth.of_rows(scale) * cores
        if stage == SURVEY:
            stays[stage] = growth.fixed + rows / cluster.driver_cores
            continue
        if stage.startswith(("integrate", "aggregate")):
            rows *= dealing
        stays[stage] = growth.fixed
        divided += rows / cluster.cores
    # All tasks share the cores, but the work is more than it need be, however many there are.
    whole = WHOLE_ROWS * WHOLE_TASKS * WHOLE_ROW_S * scale**2 / cluster.cores
    stays["tables read whole"] = whole
    total = divided + sum(stays.values())
    bends = max(stays, key=lambda stage: stays[stage])
    money = usd(total, cluster.cores + cluster.driver_cores)
    return Prediction(total / 3600, money, bends, stays[bends] / total)


def largest(
    runs: Mapping[float, Mapping[str, float]], number: int
) -> dict[str, dict[float, float]]:
    """Seconds by stage and scale: the longest stages at the largest scale, others by their kind.

    >>> largest({1.0: {"ingest.a": 5.0, "ingest.b": 1.0, "ingest.c": 2.0}}, 1)
    {'ingest.a': {1.0: 5.0}, 'other ingest': {1.0: 3.0}}
    """
    longest = runs[max(runs)]
    named = sorted(longest, key=lambda stage: -longest[stage])[:number]
    found: dict[str, dict[float, float]] = {}
    for scale, seconds in runs.items():
        for stage, part in seconds.items():
            kind = stage.partition(".")[0]
            name = stage if stage in named or kind == stage else f"other {kind}"
            of_stage = found.setdefault(name, {})
            of_stage[scale] = of_stage.get(scale, 0.0) + part
    return found


def table(predictions: Iterable[tuple[float, Cluster, Prediction]]) -> str:
    """Predictions as a Markdown table."""
    lines = ["| scale | cores | driver | hours | USD | bends first | its share |"]
    lines.append("|---:|---:|---:|---:|---:|---|---:|")
    for scale, cluster, each in predictions:
        lines.append(
            f"| {scale:,g} | {cluster.cores} | {cluster.driver_cores} | {each.hours:.2f}"
            f" | {each.usd:,.2f} | {each.bends} | {each.share:.0%} |"
        )
    return "\n".join(lines)

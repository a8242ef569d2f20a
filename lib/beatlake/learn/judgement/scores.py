"""What a judgement says: scores with intervals, and what stands beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beatlake.learn.judgement.predictions import Array

#: Metrics of which less is better; of every other, more is.
LESS_IS_BETTER = frozenset({"log_loss", "brier", "ece", "mae", "rmse", "davies_bouldin"})


@dataclass(frozen=True)
class Score:
    """One number, its 95 % interval and what it was taken over.

    Args:
        metric: its name.
        value: None where the rows do not give it (one class only, constant predictions).
        low: lower end of the interval; None where there is none.
        high: upper end.
        n: rows.
        groups: artists among them: what the interval rests on.
        slice: name and value of the slicing, such as ("genre", "Techno"); None for all rows.
        interval: how the interval was made, or in a few words why there is none.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    groups: int
    slice: tuple[str, str] | None = None
    interval: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.metric} not available ({self.interval})"
        between = f" ({self.low:.3f} to {self.high:.3f})" if self.low is not None else ""
        return f"{self.metric} {self.value:.3f}{between}"

    def to_row(self) -> dict[str, Any]:
        """The score as a flat row; a null slice is all rows."""
        name, value = self.slice or (None, None)
        return {
            "metric": self.metric,
            "slice_name": name,
            "slice_value": value,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "groups": self.groups,
            "interval": self.interval,
        }


@dataclass(frozen=True)
class Example:
    """A row that the model was sure of."""

    row_id: str
    group: str
    true: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class CalibrationBin:
    """Rows whose confidence lies above ``low`` and up to ``high``."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class ConfusionPair:
    """How often one class was taken for another; ``share`` is of the rows of the true class."""

    true: str
    predicted: str
    n: int
    share: float


@dataclass(frozen=True)
class Judgement:
    """All that is said about one model on the rows of one side.

    Args:
        kind: "classification" or "regression".
        n: rows.
        groups: artists among them.
        resamples: bootstrap draws behind every interval.
        scores: over all rows first, then by slice.
        base_rate: share of each class; for a regression, mean, standard deviation and quantiles.
        classes: their names; empty for a regression.
        confusion: rows of true class i (row) predicted as class j (column); None if regression.
        pairs: the commonest confusions, most rows first.
        right: the most confident predictions that are right.
        wrong: and those that are wrong.
        calibration: bins of the confidence that hold rows; empty without probabilities.
        unpredicted: classes that occur and are never predicted.
        residuals: for a regression, deciles (0 to 100 %) of true minus predicted.
    """

    kind: str
    n: int
    groups: int
    resamples: int
    scores: tuple[Score, ...]
    base_rate: Mapping[str, float]
    classes: tuple[str, ...] = ()
    confusion: Array | None = None
    pairs: tuple[ConfusionPair, ...] = ()
    right: tuple[Example, ...] = ()
    wrong: tuple[Example, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    unpredicted: tuple[str, ...] = ()
    residuals: tuple[float, ...] = ()

    def score(self, metric: str, slice: tuple[str, str] | None = None) -> Score:
        """The score of that name over all rows, or over those of a slice.

        Raises:
            KeyError: there is none.
        """
        for found in self.scores:
            if found.metric == metric and found.slice == slice:
                return found
        raise KeyError(metric if slice is None else (metric, slice))

    def to_rows(self) -> list[dict[str, Any]]:
        """The scores as flat rows: one per metric and slice (null slice: all rows)."""
        return [score.to_row() for score in self.scores]

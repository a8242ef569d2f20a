"""Two models on the same rows, and a model beside its baselines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import numpy as np

from beatlake.errors import InputError
from beatlake.learn.judgement import classify, regress
from beatlake.learn.judgement.bootstrap import (
    EXACT,
    ONE_GROUP,
    Blocks,
    Metric,
    interval,
    seed_of,
)
from beatlake.learn.judgement.predictions import Array, Predictions
from beatlake.learn.judgement.scores import LESS_IS_BETTER

RESAMPLES = 500


@dataclass(frozen=True)
class Difference:
    """One metric of two models on the same rows, drawn together.

    Args:
        metric: its name.
        first: its value for the first model.
        second: and for the second.
        value: first minus second.
        low: lower end of the 95 % interval of the difference; None where there is none.
        high: upper end.
        n: rows.
        groups: artists among them.
        interval: how the interval was made, or why there is none.
        first_is: whether the interval shows the first to be "better" or "worse"; "not told apart"
            where it holds 0 or there is none.
    """

    metric: str
    first: float
    second: float
    value: float
    low: float | None
    high: float | None
    n: int
    groups: int
    interval: str
    first_is: Literal["better", "worse", "not told apart"]


@dataclass(frozen=True)
class Verdict:
    """Whether a model beats every one of its baselines.

    ``beaten`` holds only where the interval of every paired difference says so, which keeps the
    level of one comparison (all of them must hold, so none needs a correction).
    """

    metric: str
    differences: Mapping[str, Difference]
    beaten: bool
    strongest: str

    @property
    def sentence(self) -> str:
        """The verdict in words, with the strongest baseline's numbers."""
        against = self.differences[self.strongest]
        between = (
            f"95 % interval {against.low:+.3f} to {against.high:+.3f}"
            if against.low is not None
            else against.interval
        )
        numbers = (
            f"{self.metric} {against.first:.3f} against {against.second:.3f} of the strongest,"
            f" {self.strongest} (difference {against.value:+.3f}, {between})"
        )
        if self.beaten:
            return f"The model beats all of its {len(self.differences)} baselines: {numbers}."
        not_beaten = [
            name for name, found in self.differences.items() if found.first_is != "better"
        ]
        return f"The model does not beat {_listed(not_beaten)}: {numbers}."


def value_of(p: Predictions, metric: str, who: str = "model") -> float:
    """One metric over all rows, without an interval.

    Raises:
        InputError: the predictions do not give it.
    """
    _, value, _ = _measured(p, who, metric)
    return value


def difference(
    first: Predictions,
    second: Predictions,
    *,
    metric: str,
    salt: str,
    resamples: int = RESAMPLES,
) -> Difference:
    """One metric of the first less that of the second, with its interval.

    Raises:
        InputError: the two are not of the same rows with the same truth and groups, or one of them
            does not give the metric.
    """
    _same_rows(first, second)
    return _difference(
        _drawn(first, "first model", metric, salt, resamples),
        _drawn(second, "second model", metric, salt, resamples),
        metric,
        first,
    )


def beats(
    model: Predictions,
    baselines: Mapping[str, Predictions],
    *,
    metric: str,
    salt: str,
    resamples: int = RESAMPLES,
) -> Verdict:
    """Whether the model beats all of the baselines by this metric, on the same rows.

    Raises:
        InputError: there is no baseline, or one is not of the same rows.
    """
    if not baselines:
        raise InputError("There is no baseline to compare the model with.")
    named = ((f"baseline {name}", baseline) for name, baseline in baselines.items())
    compared = differences(model, named, metric=metric, salt=salt, resamples=resamples)
    found = dict(zip(baselines, (one for _, one in compared), strict=True))
    sign = -1 if metric in LESS_IS_BETTER else 1
    return Verdict(
        metric=metric,
        differences=found,
        beaten=all(one.first_is == "better" for one in found.values()),
        strongest=max(found, key=lambda name: sign * found[name].second),
    )


def differences(
    model: Predictions,
    others: Iterable[tuple[str, Predictions]],
    *,
    metric: str,
    salt: str,
    resamples: int = RESAMPLES,
) -> Iterator[tuple[str, Difference]]:
    """One metric of a model less that of others on the same rows, one after the other.

    Args:
        model: the first of every difference.
        others: by name; each is done with when the next is asked for.
        metric: its name.
        salt: of the draws.
        resamples: draws of artists per interval.

    Raises:
        InputError: one is not of the same rows, or does not give the metric.
    """
    own = _drawn(model, "model", metric, salt, resamples)
    for name, other in others:
        _same_rows(model, other)
        yield name, _difference(own, _drawn(other, name, metric, salt, resamples), metric, model)


@dataclass(frozen=True)
class _Drawn:
    """A metric over all rows and in every draw; no draws where there is one artist."""

    value: float
    draws: Array | None


def _drawn(p: Predictions, who: str, metric: str, salt: str, resamples: int) -> _Drawn:
    """Draws depend on the salt and the artists alone, so two models' go together.

    Raises:
        InputError: the model does not give the metric on these rows.
    """
    blocks, value, of = _measured(p, who, metric)
    if len(p.groups.names) == 1:
        return _Drawn(value, None)
    drawn = blocks.drawn(p.groups.of[p.order], resamples, seed_of(salt))
    return _Drawn(value, of(drawn))


def _measured(p: Predictions, who: str, metric: str) -> tuple[Blocks, float, Metric]:
    blocks, metrics = _judging(p).measured(p, only=metric)
    if metric not in metrics:
        raise InputError(f"The {who} gives no {metric}: it lacks probabilities, or classes enough.")
    value = float(metrics[metric](blocks.total())[0])
    if not np.isfinite(value):
        raise InputError(f"{metric} is not available for the {who} on these rows.")
    return blocks, value, metrics[metric]


def _difference(first: _Drawn, second: _Drawn, metric: str, p: Predictions) -> Difference:
    groups = len(p.groups.names)
    value = first.value - second.value
    ends, how = None, ONE_GROUP
    if first.draws is not None and second.draws is not None:
        how = _judging(p).HOW.get(metric, EXACT)
        ends, how = interval(first.draws - second.draws, value, groups, how)
    low, high = ends or (None, None)
    return Difference(
        metric=metric,
        first=first.value,
        second=second.value,
        value=value,
        low=low,
        high=high,
        n=p.n,
        groups=groups,
        interval=how,
        first_is=_told_apart(metric, low, high),
    )


def _judging(p: Predictions) -> ModuleType:
    return regress if p.classes is None else classify


def _same_rows(first: Predictions, second: Predictions) -> None:
    if first.classes != second.classes:
        raise InputError(f"The models' classes differ: {first.classes} and {second.classes}.")
    if first.n != second.n:
        raise InputError(f"The models were judged on {first.n:,} and {second.n:,} rows.")
    for what in ("row_id", "y_true", "group"):
        one, other = (getattr(p, what)[p.order] for p in (first, second))
        if different := int((one != other).sum()):
            raise InputError(f"The models' rows differ: {what} of {different:,} of {first.n:,}.")


def _told_apart(
    metric: str, low: float | None, high: float | None
) -> Literal["better", "worse", "not told apart"]:
    if low is None or high is None or low <= 0 <= high:
        return "not told apart"
    return "better" if (low > 0) != (metric in LESS_IS_BETTER) else "worse"


def _listed(names: list[str]) -> str:
    if len(names) == 1:
        return f"the baseline {names[0]}"
    return f"the baselines {', '.join(names[:-1])} and {names[-1]}"

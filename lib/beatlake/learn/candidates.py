"""Candidates of a search: every combination of a grid, or some drawn at random."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping

import numpy as np

from beatlake.learn.algorithms import Range, Search, Value
from beatlake.learn.judgement.bootstrap import seed_of

#: Draws for each candidate that is wanted, before a search is taken to have no more.
_TRIES = 100


def candidates(search: Search, estimator: str, seed: int) -> list[dict[str, Value]]:
    """What a search tries, in order, each once; the same for the same seed.

    A grid goes through its combinations in the order of the file, the last parameter fastest. Draws
    are independent for each parameter: its values are equally likely, or its range is even on its
    scale (to six digits). Where there are no more combinations than draws, all are candidates.

    >>> [c["k"] for c in candidates(Search(over={"k": (1, 2)}), "any", 42)]
    [1, 2]
    """
    listed = {name: v for name, v in search.over.items() if not isinstance(v, Range)}
    if len(listed) == len(search.over) and (
        search.draws is None or math.prod(map(len, listed.values())) <= search.draws
    ):
        return [
            dict(zip(listed, values, strict=True)) for values in itertools.product(*listed.values())
        ]
    assert search.draws is not None
    random = np.random.Generator(np.random.Philox(seed_of(str(seed), "search", estimator)))
    found: dict[str, dict[str, Value]] = {}
    for _ in range(_TRIES * search.draws):
        drawn = _drawn(search.over, random)
        found.setdefault(json.dumps(drawn), drawn)
        if len(found) == search.draws:
            break
    return list(found.values())


def _drawn(
    over: Mapping[str, tuple[Value, ...] | Range], random: np.random.Generator
) -> dict[str, Value]:
    return {
        name: _within(values, random.random())
        if isinstance(values, Range)
        else values[int(random.integers(len(values)))]
        for name, values in over.items()
    }


def _within(values: Range, share: float) -> int | float:
    """The number at a share of the way through a range.

    >>> _within(Range(low=1, high=100, scale="log"), 0.5), _within(Range(low=0.0, high=1), 0.25)
    (7, 0.25)
    """
    whole = isinstance(values.low, int) and isinstance(values.high, int)
    # Each whole number has a stretch of its own, the ends too.
    low, high = (values.low - 0.5, values.high + 0.5) if whole else (values.low, values.high)
    if values.scale == "log":
        found = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        found = low + share * (high - low)
    found = min(max(float(f"{found:.6g}"), values.low), values.high)
    return round(found) if whole else found

"""Counting rows in the pass that writes them.

Spark's observations come for free with a write, but they may never arrive (an empty plan is
optimised away, a write is skipped) and may count a retried task twice. So each count has a time
limit and a second way: the same aggregates as a query of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from py4j.protocol import Py4JError
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from beatlake.quality.rules import Rule

#: Observations arrive within milliseconds of the commit; later means never.
TIMEOUT_S = 5.0

Outcome = Literal["kept", "merged", "set_aside", "flagged"]


@dataclass(frozen=True)
class Tally:
    """How many rows of a source went where, for the ledger and the quality report.

    ``outcome`` is ``kept``, ``merged`` (into the row of a key) or ``set_aside``: these sum to the
    source's rows; or ``flagged``, which counts kept rows that break a rule.
    """

    table: str
    source: str
    outcome: Outcome
    rows: int
    rule: str | None = None
    example: str | None = None


@dataclass(frozen=True)
class Count:
    """One tally to take: an aggregate for the number of rows, and one for an example."""

    outcome: Outcome
    rows: Column
    rule: str | None = None
    example: Column | None = None


class Tallied(Protocol):
    """What was counted while a table was written."""

    def tallies(self) -> list[Tally]:
        """The counts."""

    def recount(self) -> None:
        """Count anew, if the first count may be wrong."""


@dataclass
class Told:
    """Counts that came with the rows, each row counted once."""

    given: Sequence[Tally]

    def tallies(self) -> list[Tally]:
        """The counts."""
        return list(self.given)

    def recount(self) -> None:
        """Nothing: there is no second way."""


@dataclass
class Counted:
    """A frame that is counted by whatever action reads it first.

    ``frame`` is to be used in place of the frame given.
    """

    given: DataFrame
    table: str
    source: str
    counts: Sequence[Count]
    frame: DataFrame = field(init=False)

    def __post_init__(self) -> None:
        """Attach the observation."""
        self._observation = Observation()
        self._values: dict[str, Any] = {}
        aggregates = self._aggregates()
        self.frame = (
            self.given.observe(self._observation, *aggregates) if aggregates else self.given
        )

    def _aggregates(self) -> list[Column]:
        columns = []
        for i, count in enumerate(self.counts):
            columns.append(F.coalesce(count.rows, F.lit(0)).cast("bigint").alias(f"rows_{i}"))
            example = F.min(F.lit(None)) if count.example is None else count.example
            columns.append(example.cast("string").alias(f"example_{i}"))
        return columns

    def values(self, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
        """Every aggregate; by a query of its own when the observation has not come in time."""
        if not self._aggregates():
            return {}
        if not self._values:
            waiter = threading.Thread(target=self._wait, daemon=True)
            waiter.start()
            waiter.join(timeout_s)
        if not self._values:
            self.recount()
        return self._values

    def _wait(self) -> None:
        # A plan without rows may answer with a row that pyspark cannot take apart.
        with suppress(Py4JError):
            self._values = dict(self._observation.get)

    def recount(self) -> None:
        """Every aggregate by a query of its own."""
        aggregates = self._aggregates()
        self._values = self.given.agg(*aggregates).collect()[0].asDict() if aggregates else {}

    def tallies(self) -> list[Tally]:
        """The counts as tallies, rules that nothing breaks left out."""
        values = self.values()
        return [
            Tally(self.table, self.source, c.outcome, values[f"rows_{i}"], c.rule, example)
            for i, c in enumerate(self.counts)
            if (example := values[f"example_{i}"]) is not None
            or values[f"rows_{i}"]
            or c.rule is None
        ]


def kept(frame: DataFrame, table: str, source: str, rows: Column) -> Counted:
    """A frame that accounts for ``rows`` rows of its source, all kept."""
    return Counted(frame, table, source, [Count("kept", rows)])


def flag_counts(rules: Sequence[Rule], example: Column) -> list[Count]:
    """Counts of the rows whose ``flags`` name each rule, with the smallest example."""
    counts = []
    for rule in rules:
        flagged = F.array_contains("flags", rule.value)
        counts.append(
            Count("flagged", F.count_if(flagged), rule.value, F.min(F.when(flagged, example)))
        )
    return counts

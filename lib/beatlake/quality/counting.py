"""Counting rows in the pass that makes them, for the ledger and the quality report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from beatlake.quality.rules import Rule
from beatlake.sql import texts

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
    """A tally to take of rows: SQL aggregates for their number and for an example."""

    table: str
    source: str
    outcome: Outcome
    rows: str
    rule: str | None = None
    example: str | None = None

    def tally(self, rows: int, example: str | None) -> Tally:
        """What was counted."""
        return Tally(self.table, self.source, self.outcome, rows, self.rule, example)


@dataclass(frozen=True)
class FlagCount:
    """Tallies to take of the rows whose ``flags`` name rules, with the smallest example of each.

    Args:
        table: the table that the rows are for.
        source: where they come from.
        rules: the rules.
        example: SQL that names a row to people, as text.
    """

    table: str
    source: str
    rules: Sequence[Rule]
    example: str

    def sql(self, rows: str) -> str:
        """A query for each rule that rows break: its name, how many, and an example."""
        rules = texts(rule.value for rule in self.rules)
        # Most rows have no flags: a fifth of the time of asking each row for each rule.
        return f"""
            SELECT flag, count(*), min(example)
            FROM (SELECT unnest(flags) AS flag, {self.example} AS example FROM {rows})
            WHERE flag IN (SELECT unnest({rules})) GROUP BY flag"""

    def tally(self, rule: str, rows: int, example: str) -> Tally:
        """What was counted of a rule."""
        return Tally(self.table, self.source, "flagged", rows, rule, example)


def added_up(tallies: Iterable[Tally]) -> list[Tally]:
    """One for each table, source, outcome and rule, with the smallest example.

    Rules that no row breaks are left out.
    """
    grouped: dict[tuple[str, str, Outcome, str | None], list[Tally]] = {}
    for each in tallies:
        if each.rows or each.rule is None:
            what = (each.table, each.source, each.outcome, each.rule)
            grouped.setdefault(what, []).append(each)
    return [
        Tally(
            table,
            source,
            outcome,
            sum(each.rows for each in same),
            rule,
            min((each.example for each in same if each.example is not None), default=None),
        )
        for (table, source, outcome, rule), same in grouped.items()
    ]

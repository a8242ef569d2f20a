"""What a run tells while it goes and when it is done; how it is shown is up to the caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from beatlake.releases import Release

if TYPE_CHECKING:
    from beatlake.runs.records import StageRecord


@dataclass(frozen=True)
class StageReport:
    """One stage: rows read, kept and merged, set aside by rule, and how long it took.

    ``reused`` means that the stage's outputs were there already, made by the same input, settings
    and code, and that it did not run.
    """

    stage: str
    reused: bool
    seconds: float
    rows_in: int
    kept: int
    merged: int
    set_aside: dict[str, int]
    flagged: dict[str, int]

    @classmethod
    def of(cls, record: StageRecord, *, reused: bool) -> StageReport:
        """The report of a stage from its record."""

        def by_rule(outcome: str) -> dict[str, int]:
            found: dict[str, int] = {}
            for t in record.tallies:
                if t.outcome == outcome and t.rule is not None and t.rows:
                    found[t.rule] = found.get(t.rule, 0) + t.rows
            return found

        def total(*outcomes: str) -> int:
            return sum(t.rows for t in record.tallies if t.outcome in outcomes)

        return cls(
            record.stage,
            reused,
            record.seconds,
            rows_in=total("kept", "merged", "set_aside"),
            kept=total("kept"),
            merged=total("merged"),
            set_aside=by_rule("set_aside"),
            flagged=by_rule("flagged"),
        )


@dataclass
class RunReport:
    """How a run ended: ``done`` with a new release, or ``nothing to do`` beside the newest.

    ``release`` is None where stages ran alone, so that nothing was published.
    """

    run_id: str
    outcome: Literal["done", "nothing to do"]
    release: Release | None
    seconds: float
    stages: list[StageReport] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Reporter(Protocol):
    """Receives events as they happen, from several threads."""

    def run_started(self, run_id: str, stages: int) -> None:
        """The run is known to have this many stages, reused ones included."""

    def stage_started(self, stage: str) -> None:
        """A stage begins."""

    def tasks(self, done: int, total: int) -> None:
        """Spark tasks finished and known of, over all stages that are running."""

    def stage_finished(self, report: StageReport) -> None:
        """A stage is done or was reused."""

    def message(self, text: str) -> None:
        """A sentence for the person who watches."""


class Silent:
    """A reporter that says nothing."""

    def run_started(self, run_id: str, stages: int) -> None:
        """Say nothing."""

    def stage_started(self, stage: str) -> None:
        """Say nothing."""

    def tasks(self, done: int, total: int) -> None:
        """Say nothing."""

    def stage_finished(self, report: StageReport) -> None:
        """Say nothing."""

    def message(self, text: str) -> None:
        """Say nothing."""

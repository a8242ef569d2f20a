"""Stage records: what a stage wrote and counted, kept in `ops.stages` and found again by key."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from beatlake.commits import Committed, Stamp
from beatlake.lake import Lake
from beatlake.quality.rules import Rule
from beatlake.tables import ops

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from beatlake.quality.counting import Tally

STAMPED_AS = "ops"


@dataclass(frozen=True)
class StageRecord:
    """A finished stage."""

    run_id: str
    stage: str
    stage_key: str
    started_at: datetime
    seconds: float
    outputs: tuple[Committed, ...]
    tallies: tuple[Tally, ...]

    def row(self) -> dict[str, object]:
        """The record as a row of `ops.stages`."""
        return {
            **{k: v for k, v in self.__dict__.items() if k not in ("outputs", "tallies")},
            "outputs": [asdict(o) for o in self.outputs],
            "tallies": [asdict(t) for t in self.tallies],
        }


class StageRecords:
    """The stage records of a lake: those of earlier runs by key, and those of this run."""

    def __init__(self, lake: Lake, run_id: str, code_version: str) -> None:
        self._lake = lake
        self._stamp = Stamp(run_id, STAMPED_AS, "", code_version)
        self._earlier = _read(lake)
        self._lock = threading.Lock()
        self._table: DeltaTable | None = None

    def usable(self, stage_key: str) -> StageRecord | None:
        """The newest record of a key whose outputs are all there, made under that key."""
        for record in self._earlier.get(stage_key, []):
            if all(self._verified(output, stage_key) for output in record.outputs):
                return record
        return None

    def _verified(self, output: Committed, stage_key: str) -> bool:
        stamped = self._lake.stamped(output.table, output.version)
        if stamped.get("stage_key") != stage_key:
            return False
        files = self._lake.files(output.table, output.version)
        return not self._lake.missing(output.table, files)

    def add(self, record: StageRecord) -> None:
        """Write a record, so that a run that is killed from now on need not repeat the stage."""
        with self._lock:
            self._table = self._table or self._lake.prepared(ops.STAGES, self._stamp)
            self._lake.record(ops.STAGES, [record.row()], self._stamp, "append", onto=self._table)

    @property
    def committed(self) -> Committed:
        """`ops.stages` as this run left it."""
        table = self._table or self._lake.open(ops.STAGES.name)
        return Committed(ops.STAGES.name, table.version(), table.count())


def ledger_rows(run_id: str, tallies: Iterable[Tally]) -> list[dict[str, object]]:
    """Rows of `ops.ledger`: where the rows of every source went."""
    return [
        {
            "run_id": run_id,
            "table": t.table,
            "source": t.source,
            "outcome": t.outcome,
            "rule": t.rule,
            "rows": t.rows,
        }
        for t in tallies
        if t.outcome != "flagged" and (t.rows or t.outcome == "kept")
    ]


def quality_rows(run_id: str, tallies: Iterable[Tally]) -> list[dict[str, object]]:
    """Rows of `ops.quality`: every rule that something breaks."""
    return [
        {
            "run_id": run_id,
            "table": t.table,
            "rule": t.rule,
            "severity": "warn" if t.outcome == "flagged" else "error",
            "rows": t.rows,
            "example": t.example,
            "meaning": Rule[t.rule.upper()].meaning,
        }
        for t in tallies
        if t.rule is not None and t.rows
    ]


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(timezone.utc)


def _read(lake: Lake) -> dict[str, list[StageRecord]]:
    """Every stage record by stage key, the newest first."""
    from beatlake.quality.counting import Tally

    if not lake.exists(ops.STAGES.name):
        return {}
    rows = lake.rows(ops.STAGES.name).to_pylist()
    found: dict[str, list[StageRecord]] = {}
    for row in sorted(rows, key=lambda r: r["started_at"], reverse=True):
        record = StageRecord(
            **{k: v for k, v in row.items() if k not in ("outputs", "tallies")},
            outputs=tuple(Committed(**o) for o in row["outputs"]),
            tallies=tuple(Tally(**t) for t in row["tallies"]),
        )
        found.setdefault(record.stage_key, []).append(record)
    return found

"""How every run ended: a row of `ops.runs` each, by the run itself or, if it was killed, the next.

What a record needs and only the run knows goes into its lease as it begins, so whoever takes the
lease over can record a run that did not come to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beatlake.commits import Stamp
from beatlake.errors import ConflictError
from beatlake.lake import Lake
from beatlake.redaction import redact
from beatlake.runs import lease as leases
from beatlake.runs import records
from beatlake.runs.lease import Begun, Holder
from beatlake.tables import ops

#: The name, among failpoints, of the commit that records killed runs.
OF_KILLED_RUNS = "ops.runs of killed runs"
_LONGEST_REASON = 2000


@dataclass(frozen=True)
class End:
    """How a run ended, as it knows itself."""

    seconds: float
    stages: int
    spark_version: str | None
    release: int | None
    failure: BaseException | None


def record(lake: Lake, begun: Begun, end: End) -> None:
    """Leave the record of a run that ends, which need not hold the lease any more."""
    code = 0 if end.failure is None else getattr(end.failure, "exit_code", 1)
    row = {
        **begun.model_dump(),
        "seconds": end.seconds,
        "status": "done" if end.failure is None else "refused" if code == 4 else "failed",
        "exit_code": code,
        "reason": None if end.failure is None else redact(str(end.failure))[:_LONGEST_REASON],
        "stages": end.stages,
        "spark_version": end.spark_version,
        "release": end.release,
    }
    stamp = Stamp(begun.run_id, records.STAMPED_AS, begun.identity, begun.code_version)
    if isinstance(end.failure, ConflictError) and _rows(lake, ops.RUNS.name, begun.run_id):
        # Whoever took the lease over took this run for dead, and it was only asleep.
        lake.record(ops.RUNS, [row], stamp, "overwrite", where=f"run_id = '{begun.run_id}'")
    else:
        lake.record(ops.RUNS, [row], stamp, "append")


def record_killed(lake: Lake, stamp: Stamp) -> None:
    """Leave the records of runs that held the lease before and left none themselves.

    Args:
        lake: the lake; the caller holds its lease.
        stamp: the origin of the commit: the run that finds them.
    """
    left = leases.left(lake)
    rows = [
        _of_killed(lake, holder, stamp.run_id)
        for holder in left.values()
        if holder.begun is not None and not _rows(lake, ops.RUNS.name, holder.run_id)
    ]
    if rows:
        lake.record(ops.RUNS, rows, stamp, "append", place=OF_KILLED_RUNS)
    # Only now: whoever finds this run killed in its turn finds the others, too.
    for path in left:
        path.unlink(missing_ok=True)


def _of_killed(lake: Lake, holder: Holder, found_by: str) -> Mapping[str, Any]:
    assert holder.begun is not None
    published = [row["release"] for row in _rows(lake, ops.RELEASES.name, holder.run_id)]
    where = f"on {holder.host} (process {holder.pid})"
    seen = f"{holder.seen:%Y-%m-%d %H:%M:%S} UTC"
    return {
        **holder.begun.model_dump(),
        "seconds": (holder.seen - holder.begun.started_at).total_seconds(),
        "status": "killed",
        "exit_code": None,
        "reason": f"It ended {where} without a record, last seen alive at {seen};"
        f" found by run {found_by}.",
        "stages": len(_rows(lake, ops.STAGES.name, holder.run_id)),
        "spark_version": None,
        "release": published[0] if published else None,
    }


def _rows(lake: Lake, table: str, run_id: str) -> list[dict[str, Any]]:
    """The rows of a run in a table of records; few columns of few rows."""
    import pyarrow.compute as pc

    if not lake.exists(table):
        return []
    columns = ["run_id", "release"] if table == ops.RELEASES.name else ["run_id"]
    rows = lake.rows(table, columns=columns)
    found: list[dict[str, Any]] = rows.filter(pc.field("run_id") == run_id).to_pylist()
    return found

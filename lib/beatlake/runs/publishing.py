"""Making a release: one commit to `ops.releases`, then the files that readers find it by."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from beatlake import releases
from beatlake.commits import LakeError, Stamp
from beatlake.lake import Lake
from beatlake.releases import Release
from beatlake.runs import lease as leases
from beatlake.runs import records
from beatlake.runs.lease import Lease
from beatlake.tables import ops


def new_run_id() -> str:
    """An identifier that sorts by time."""
    return f"{records.now():%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"


def published(lake: Lake) -> list[Release]:
    """Every release that was ever published, oldest first, as `ops.releases` has it."""
    if not lake.exists(ops.RELEASES.name):
        return []
    rows = lake.rows(ops.RELEASES.name, columns=["release", "manifest"])
    ordered = sorted(rows.to_pylist(), key=lambda row: row["release"])
    return [Release.model_validate_json(row["manifest"]) for row in ordered]


def catch_up(lake: Lake) -> None:
    """Write the files of releases whose run was stopped right after their commit.

    Whoever holds the lease calls this before anything else.
    """
    behind = (releases.numbers(lake) or [0])[-1]
    for release in published(lake):
        if release.release > behind:
            releases.save(lake, release)
    if releases.stale(lake):
        releases.point(lake)


def publish(lease: Lease, release: Release, stamp: Stamp) -> None:
    """Make a release, unless the lease was lost.

    Raises:
        ConflictError: another run has taken the lease over; nothing was published.
    """
    row = {
        "release": release.release,
        "kind": release.kind,
        "run_id": release.run_id,
        "identity": release.identity,
        "published_at": datetime.fromisoformat(release.published_at),
        "manifest": release.model_dump_json(),
    }
    lease.publish(row, stamp)
    releases.save(lease.lake, release)


def next_number(lake: Lake) -> int:
    """The number of the release after the newest; the caller holds the lease and caught up."""
    return (releases.numbers(lake) or [0])[-1] + 1


def rollback(lake: Lake, number: int, expires_s: float) -> Release:
    """Publish the tables of an older release as a new one; nothing is copied.

    Raises:
        NoReleaseError: there is no such release.
        LakeError: files of that release are gone.
        ConflictError: another run holds the lake.
    """
    run_id = new_run_id()
    lease = leases.take(lake, run_id, expires_s)
    try:
        catch_up(lake)
        older = releases.load(lake, number)
        gone = releases.incomplete(lake, older)
        if gone:
            raise LakeError(
                f"Release {number} cannot be published again: {len(gone)} of its data files are"
                f" gone or cut short, first {gone[0]}."
            )
        release = older.model_copy(
            update={
                "release": next_number(lake),
                "kind": "rollback",
                "rolled_back_to": number,
                "run_id": run_id,
                "published_at": records.now().isoformat(timespec="seconds"),
            }
        )
        stamp = Stamp(run_id, "rollback", older.identity, older.code_version)
        publish(lease, release, stamp)
        return release
    finally:
        lease.give_back()

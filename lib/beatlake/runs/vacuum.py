"""Removing data files that no kept release names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from beatlake import releases
from beatlake.errors import out_of_room
from beatlake.lake import Lake
from beatlake.runs import lease as leases
from beatlake.runs import publishing, reserve
from beatlake.runs.lease import Lease
from beatlake.tables import ml, ops, sound


@dataclass(frozen=True)
class Vacuumed:
    """What was removed, or would be: releases by number, files, and their size."""

    kept: list[int]
    dropped: list[int]
    files: int
    size: int


def vacuum(lake: Lake, keep: int, *, dry_run: bool, expires_s: float) -> Vacuumed:
    """Keep the newest releases with their files and remove all other data files of the lake.

    Files of runs that did not get as far as a release go too: such a run begins anew. The logs of
    the tables stay as they are, and `ops.releases` goes on naming every release there ever was.

    It works where the disk is full, too (`beatlake.runs.reserve`).

    Args:
        lake: the lake.
        keep: how many of the newest releases stay readable, at least 1.
        dry_run: only say what would be removed.
        expires_s: how long the lease holds.

    Raises:
        NoReleaseError: the lake has no release.
        ConflictError: a run holds the lake.
    """
    lease = _lease(lake, expires_s)
    try:
        publishing.catch_up(lake)
        releases.load(lake)
        numbers = releases.numbers(lake)
        kept, dropped = numbers[-keep:], numbers[:-keep]
        named = {
            lake.data_file(name, file).resolve()
            for number in kept
            for name, table in releases.load(lake, number).tables.items()
            for file in table.files
        }
        unnamed = [path for path in _data_files(lake) if path.resolve() not in named]
        found = Vacuumed(kept, dropped, len(unnamed), sum(p.stat().st_size for p in unnamed))
        if not dry_run:
            # First the releases, so that nobody opens one whose files are going.
            for number in dropped:
                lease.check()
                (releases.directory(lake) / f"{number}.json").unlink()
            for path in unnamed:
                lease.check()
                path.unlink()
        return found
    finally:
        reserve.keep(lake)
        lease.give_back()


def _lease(lake: Lake, expires_s: float) -> Lease:
    """The lease, for which the reserve makes way where there is no room for it."""
    try:
        return leases.take(lake, publishing.new_run_id(), expires_s)
    except Exception as error:
        if out_of_room(error, lake.root) is None or not reserve.free(lake):
            raise
    return leases.take(lake, publishing.new_run_id(), expires_s)


def _data_files(lake: Lake) -> list[Path]:
    """The Parquet files of all tables that runs replace, which no link leads to.

    Records of runs and trainings are added to, even by one that was only asleep and finds the lease
    lost: a file of theirs that no commit names yet may be named at any moment.
    """
    root = lake.root.resolve()
    records = (ops.RELEASES, ops.RUNS, ops.STAGES, *ml.TABLES, *sound.TABLES)
    added_to = {lake.path(table.name).resolve() for table in records}
    return sorted(
        path
        for path in root.glob("*/*/*.parquet")
        if path.is_file() and path.resolve() == path
        if path.parent not in added_to and path.parent.name != "_delta_log"
    )

"""Removing data files that no kept release names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from beatlake import releases
from beatlake.lake import Lake
from beatlake.runs import lease as leases
from beatlake.runs import publishing
from beatlake.tables import ml, ops


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

    Args:
        lake: the lake.
        keep: how many of the newest releases stay readable, at least 1.
        dry_run: only say what would be removed.
        expires_s: how long the lease holds.

    Raises:
        NoReleaseError: the lake has no release.
        ConflictError: a run holds the lake.
    """
    lease = leases.take(lake, publishing.new_run_id(), expires_s)
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
        # What runs and trainings did is added to and never replaced; the next reads it to its end.
        named |= {
            lake.data_file(table.name, file).resolve()
            for table in (ops.RELEASES, ops.RUNS, ops.STAGES, *ml.TABLES)
            if lake.exists(table.name)
            for file in lake.files(table.name, lake.open(table.name).version())
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
        lease.give_back()


def _data_files(lake: Lake) -> list[Path]:
    """The Parquet files of all tables, those of their logs apart, that no link leads to."""
    root = lake.root.resolve()
    return sorted(
        path
        for path in root.glob("*/*/*.parquet")
        if path.is_file() and path.resolve() == path and path.parent.name != "_delta_log"
    )

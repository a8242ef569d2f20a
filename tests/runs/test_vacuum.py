"""A clean-up removes what no kept release names, whatever goes on and however full the disk is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from beatlake import releases
from beatlake.commits import Stamp
from beatlake.lake import Lake
from beatlake.releases import Release
from beatlake.runs import history, publishing, reserve
from beatlake.runs import lease as leases
from beatlake.runs.vacuum import vacuum
from beatlake.tables import ops

STAMP = Stamp("run", "ops", "", "")
LEDGER = {"run_id": "run", "table": "t", "source": "s", "outcome": "kept", "rule": None, "rows": 1}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with a release of no table, and a data file of a table that no commit names."""
    made = Lake(tmp_path / "lake")
    lease = leases.take(made, "run", 60)
    release = Release(
        release=1,
        kind="run",
        run_id="run",
        identity="identity",
        published_at="2026-01-01T00:00:00+00:00",
        code_version="",
        inputs={},
        absent=[],
        settings={},
        tables={},
    )
    publishing.publish(lease, release, STAMP)
    made.record(ops.LEDGER, [LEDGER], STAMP, "overwrite")
    lease.give_back()
    return made


def test_files_of_records_that_somebody_may_be_about_to_commit_stay(lake: Lake) -> None:
    """A run that was taken for dead and was asleep leaves its record when it wakes."""
    begun = leases.Begun(
        run_id="asleep",
        identity="identity",
        started_at=leases._now(),
        input_directory="input",
        absent_files=[],
        settings="{}",
        code_version="",
    )
    history.record(lake, begun, history.End(1.0, 0, None, None, None))
    written = lake.path("ops.runs") / "written-and-not-committed.parquet"
    written.write_bytes(b"rows")
    found = vacuum(lake, 1, dry_run=False, expires_s=60)
    assert found.files == 1, "the ledger, which no release names"
    assert written.exists()
    assert lake.open("ops.runs").to_pyarrow_table().num_rows == 1
    assert [release.release for release in publishing.published(lake)] == [1]


def full_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be replaced while a file is there, as on a disk that it fills."""
    replace = releases.replace

    def replacing(target: Path, text: str) -> None:
        if path.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(target, text)

    monkeypatch.setattr(releases, "replace", replacing)


def test_a_clean_up_of_a_full_disk_begins_with_the_reserve(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve.keep(lake)
    (kept,) = (path for path in releases.directory(lake).iterdir() if path.name == "reserve")
    size = kept.stat().st_size
    with monkeypatch.context() as patched:
        full_while(kept, patched)
        assert vacuum(lake, 1, dry_run=False, expires_s=60).files == 1
    assert kept.stat().st_size == size
    leases.take(lake, "next", 60).give_back()


def test_a_clean_up_that_another_run_keeps_from_working_leaves_the_reserve(lake: Lake) -> None:
    reserve.keep(lake)
    held = leases.take(lake, "other", 60)
    with pytest.raises(leases.ConflictError):
        vacuum(lake, 1, dry_run=False, expires_s=60)
    held.give_back()
    assert reserve.free(lake)
    assert not reserve.free(lake)

"""Readers in other processes see whole releases, whatever goes on in the lake meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from readers import reading

import beatlake
from beatlake import cli, failpoints
from beatlake.commits import Stamp
from beatlake.errors import GateError
from beatlake.lake import Lake
from beatlake.reading import OpenLake
from beatlake.reading.diff import diff
from beatlake.reading.errors import ReadingError
from beatlake.reading.export import export
from beatlake.reading.sql import Answer, answer, explained
from beatlake.releases import Release, ReleasedTable
from beatlake.runs import lease as leases
from beatlake.runs import publishing
from beatlake.tables.spec import Column, Table

#: Written in this order. Every row of a drop holds the drop's number, and there are as many.
TABLES = tuple(
    Table(name, "One drop.", (Column("number", "bigint", "The drop.", False),))
    for name in ("bronze.first", "silver.second", "silver.third", "gold.fourth", "ops.fifth")
)
#: The drop's number, if each row has it and none is missing.
FIGURES = {table.name: "avg(number) + 1000 * (count(*) - avg(number))" for table in TABLES}
REMOVED = "Release 1 was removed by `beatlake vacuum`"


def publish(root: Path, drop: int, *, refused: bool = False) -> None:
    """A run in small: the lease, every table, then one release, or none."""
    run_id = publishing.new_run_id()
    lease = leases.take(Lake(root), run_id, 60)
    try:
        publishing.catch_up(lease.lake)
        stamp = Stamp(run_id, "test", str(drop), "")
        rows = [{"number": drop}] * drop
        versions = {
            table.name: lease.lake.record(table, rows, stamp, "overwrite").version
            for table in TABLES
        }
        if refused:
            raise GateError("Nothing was published.")
        publishing.publish(lease, release(lease.lake, drop, run_id, versions), stamp)
    finally:
        lease.give_back()


def release(lake: Lake, drop: int, run_id: str, versions: dict[str, int]) -> Release:
    """The next release, of these versions."""
    return Release(
        release=publishing.next_number(lake),
        kind="run",
        run_id=run_id,
        identity=str(drop),
        published_at="2026-01-01T00:00:00+00:00",
        code_version="",
        inputs={},
        absent=[],
        settings={},
        tables={
            name: ReleasedTable(
                path=name.replace(".", "/"),
                version=version,
                rows=drop,
                stage="test",
                stage_key=str(drop),
                run_id=run_id,
                files=lake.files(name, version),
            )
            for name, version in versions.items()
        },
    )


def killed(root: Path, drop: int, place: str) -> None:
    """A run in a process of its own that is killed at a commit."""
    code = f"import pathlib, test_readers as t; t.publish(pathlib.Path({str(root)!r}), {drop})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env={**os.environ, failpoints.VARIABLE: place},
        start_new_session=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def command(root: Path, *arguments: str) -> None:
    assert cli.main([*arguments, "--lake", str(root)]) == 0


def test_readers_see_no_two_releases_together_while_ten_runs_go_by(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    publish(root, 1)
    paths = {"open": 0.05, "command": 1, "file": 0.05, "heads": 0.05}
    with reading(root, FIGURES, tmp_path / "readers", paths) as readers:

        def seen_by(path: str) -> None:
            """Wait until a read is over that began after now."""
            readers[path].wait(2, 60)

        for path in paths:
            readers[path].wait(1, 60)
        publish(root, 2)
        seen_by("open")
        with pytest.raises(GateError):
            publish(root, 3, refused=True)
        publish(root, 4)
        seen_by("file")
        killed(root, 5, "during:silver.third")
        seen_by("heads")
        publish(root, 6)
        seen_by("open")
        command(root, "rollback", "1")
        killed(root, 7, "after:ops.releases")
        publish(root, 8)
        seen_by("file")
        command(root, "vacuum", "--keep", "5")
        with pytest.raises(GateError):
            publish(root, 9, refused=True)
        command(root, "rollback", "3")
        publish(root, 10)
        command(root, "vacuum", "--keep", "4")
        seen_by("command")
    published = {r.release: float(r.identity) for r in publishing.published(Lake(root))}
    assert list(published.values()) == [1, 2, 4, 6, 1, 7, 8, 4, 10]
    seen = {path: reader.seen(published) for path, reader in readers.items()}
    print(seen)
    # What would be seen if heads were read shows that the test can tell.
    assert seen.pop("heads").mixes
    for path, found in seen.items():
        assert (found.mixes, found.wrong, found.errors) == ([], [], {}), path
        assert found.drops <= set(published.values()), path
        assert found.reads >= (3 if path == "command" else 10), path
    assert seen["open"].drops >= {1, 2, 6}
    assert seen["file"].drops >= {1, 4, 8}
    assert seen["command"].drops >= {1, 10}


def test_an_opened_release_can_be_read_as_long_as_it_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    publish(root, 1)
    with reading(root, FIGURES, tmp_path / "readers", {"held": 0.05}) as readers:
        readers["held"].wait(1, 60)
        for drop in (2, 3):
            publish(root, drop)
        command(root, "vacuum", "--keep", "3")
        readers["held"].wait(2, 60)
        before = readers["held"].seen({1: 1})
        command(root, "vacuum", "--keep", "2")
        readers["held"].wait(2, 60)
    found = readers["held"].seen({1: 1})
    assert before.reads >= 3 and not before.errors
    assert found.reads >= before.reads and not found.wrong
    assert found.errors and all(REMOVED in error for error in found.errors)


def test_every_way_to_read_says_that_a_release_was_removed(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    for drop in (1, 2):
        publish(root, drop)
    opened = {drop: beatlake.open(root, drop) for drop in (1, 2)}
    asked = answer(opened[1], "select number from gold.fourth")
    command(root, "vacuum", "--keep", "1")
    reads: dict[str, Callable[[], object]] = {
        "a table": opened[1].table("gold.fourth").arrow,
        "a query": lambda: opened[1].sql("select number from gold.fourth"),
        "a difference": lambda: diff(opened[1], opened[2]),
        "an export": lambda: export(opened[1], "gold.fourth", tmp_path / "fourth.csv"),
        "an answer": lambda: fetched(asked, opened[1]),
    }
    for what, read in reads.items():
        with pytest.raises(ReadingError, match=REMOVED):
            read()
            pytest.fail(what)


def fetched(asked: Answer, opened: OpenLake) -> object:
    """The rows of an answer that was asked for before."""
    with explained(opened):
        return asked.relation.fetchall()

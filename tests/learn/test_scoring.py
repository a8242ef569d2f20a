"""A table is scored in pieces, which tasks read by themselves."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import songs

from beatlake.learn import pieces, rows, scoring, source, task_files
from beatlake.learn.engine import database
from beatlake.learn.source import Source

NAMES = ("energy", "tempo", "valence", "mood")


def read(files: list[str]) -> list[list[str]]:
    """The tracks that each task reads."""
    return [
        [
            track
            for piece in share
            for table in piece.tables(["track"])
            for track in table.column("track").to_pylist()
        ]
        for share in pieces.shares(files)
    ]


def test_tasks_read_every_row_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_TASK_ROWS", 50)
    monkeypatch.setattr(pieces, "_BATCH_VALUES", 7)
    tracks = [f"t{i:03d}" for i in range(235)]
    files = []
    for name, start, end, group in (
        ("a", 0, 100, 20),
        ("b", 100, 110, 20),
        ("c", 110, 115, 20),
        ("d", 115, 235, 200),
        ("e", 235, 235, 20),
    ):
        files.append(str(tmp_path / f"{name}.parquet"))
        held = pa.table(
            {"track": pa.array(tracks[start:end], pa.string()), "other": tracks[start:end]}
        )
        pq.write_table(held, files[-1], row_group_size=group)
    found = read(files)
    assert [track for share in found for track in share] == tracks
    # Row groups are not divided, and one too many ends a task: 60, then 40 with b and c and d's.
    assert [len(share) for share in found] == [60, 50, 125]
    assert read(files[-1:]) == []


def in_files(folder: Path) -> list[pa.Table]:
    """Songs in two files whose columns differ in type, name's case and number."""
    made = pa.Table.from_pylist(songs.made(60)).drop_columns(["hit", "plays"])
    first, second = made.slice(0, 35), made.slice(35)
    when = [datetime(2020, 1, 1, 23, 30, tzinfo=timezone.utc)] * second.num_rows
    tables = [
        first.drop_columns(["valence"]),
        second.set_column(5, "tempo", second.column("tempo").cast(pa.int64(), safe=False))
        .set_column(4, "ENERGY", second.column("energy").cast(pa.string()))
        .append_column("added", pa.array(when, pa.timestamp("us", "UTC"))),
    ]
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number}.parquet")
    return tables


@pytest.mark.parametrize("key", [True, False], ids=["with a key", "without one"])
def test_files_that_differ_are_read_as_where_the_model_learnt(key: bool, tmp_path: Path) -> None:
    folder = tmp_path / "songs"
    folder.mkdir()
    in_files(folder)
    text = songs.TASK + ("table: {row_key: [track, title]}\n" if key else "")
    asked = task_files.parse(text, "songs")
    given: Source = source.path(folder, asked.table)
    with database(tmp_path) as connection:
        values = rows.values(connection, asked, given)
        expected = connection.sql(
            f"SELECT {values.row_id} AS row_id, {', '.join(values.features)} FROM source"
        ).fetchall()
    select = ", ".join(f'"f_{name}"' for name in NAMES)
    found = [
        tuple(row.values())
        for share in pieces.shares(given.parquet)
        for piece in share
        for table in piece.tables(tuple(values.types))
        for row in scoring.columns_of(table, values, select).to_pylist()
    ]
    assert found == expected
    assert len({row[0] for row in found}) == 60
    assert [row[3] is None for row in found] == [True] * 35 + [False] * (len(found) - 35)

"""A table is scored in pieces, which tasks read by themselves."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import songs
from deltalake import write_deltalake

from beatlake import releases
from beatlake.lake import Lake
from beatlake.learn import folds, pieces, rows, scoring, scoring_row, source, splits, task_files
from beatlake.learn.engine import database
from beatlake.learn.estimators import points
from beatlake.learn.features import fit
from beatlake.learn.source import Source
from beatlake.learn.task import Task
from beatlake.learn.training_rows import TrainingRows
from beatlake.releases import Release, ReleasedTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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
            f"SELECT {values.row_id} AS row_id, true, {', '.join(values.features)} FROM source"
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
    assert [row[4] is None for row in found] == [True] * 35 + [False] * (len(found) - 35)


HISTORY = (
    "    text:",
    "    history: {features: [{name: songs_before, earlier: {by: main artist}}]}\n    text:",
)
WHERE = (
    "table: {row_key: [track], where: [{column: tempo, above: 100},"
    " {column: plays, at_most: 150}, {column: hit, known: true}]}\n"
)


def save_release(lake: Lake, name: str) -> None:
    """Release the first version of a table, and no other."""
    table = ReleasedTable(
        path=name.replace(".", "/"),
        version=0,
        rows=lake.open(name, 0).to_pyarrow_table().num_rows,
        stage="stage",
        stage_key="key",
        run_id="run",
        files=lake.files(name, 0),
    )
    release = Release(
        release=1,
        kind="run",
        run_id="run",
        identity="identity",
        published_at="2026-01-01T00:00:00Z",
        code_version="0.1.0",
        inputs={},
        absent=[],
        settings={},
        tables={name: table},
    )
    releases.save(lake, release)


def fitted(asked: Task, given: Source, folder: Path) -> Any:
    """A model of nearest neighbours, as a registry gives it."""
    with database(folder) as connection:
        prepared = rows.prepare(connection, asked, given)
        rung = splits.assign(connection, prepared, asked.splits)[0]
        training = TrainingRows.of(connection, rung, watched=False)
        made = fit(asked.features.list, "standard", training)
        table = folds.table(connection, rung, made, folds.sides_of(False))
    path = folder / "fold.parquet"
    fold = folds.write(table, path, columns=made.names, watched=False, classes=True)
    model = points.fit("nearest_neighbours", "classes", fold, {})
    assert isinstance(model, points.Points)
    manifest = SimpleNamespace(
        estimator="nearest_neighbours",
        kind="classes",
        version=1,
        columns=list(made.names),
        classes=list(prepared.classes),
        known_classes=[0, 1],
    )
    return SimpleNamespace(
        task=asked,
        fitted=made,
        manifest=manifest,
        stored=lambda: (points.Points, model.content()),
        load=lambda: model,
    )


@pytest.mark.parametrize("history", [False, True], ids=["without history", "with history"])
def test_every_row_is_predicted_and_says_whether_the_task_is_about_it(
    history: bool, spark: SparkSession, tmp_path: Path
) -> None:
    given = [{**song, "track": f"u{i}"} for i, song in enumerate(songs.made(120))]
    for song in given[::5]:
        song["hit"] = None
    for song in given[::7]:
        song["plays"] = None
    text = songs.altered(songs.TASK + WHERE, *([HISTORY] if history else []))
    asked = task_files.parse(text, "songs")
    lake = Lake(tmp_path / "lake")
    place = lake.root / "silver" / "songs"
    write_deltalake(str(place), pa.Table.from_pylist(given))
    save_release(lake, "silver.songs")
    lacking = [{k: v for k, v in song.items() if k not in ("plays", "hit")} for song in given]
    tables = {
        "lake": source.released(lake, "silver.songs"),
        "Delta": source.path(place, asked.table),
        "CSV": source.path(songs.write(given, tmp_path / "songs.csv"), asked.table),
        "lacking": source.path(songs.write(lacking, tmp_path / "lacking.csv"), asked.table),
    }
    found = fitted(asked, tables["CSV"], tmp_path)
    # A row without a label is one to be predicted; one of unknown plays has not at most 150.
    about = {song["track"]: song["tempo"] > 100 and (song["plays"] or 1e9) <= 150 for song in given}
    said = {}
    for name, table in tables.items():
        done = scoring.score_table(spark, found, table, tmp_path / f"scored {name}")
        scored = pq.read_table(tmp_path / f"scored {name}").to_pylist()
        assert done.rows == len(scored) == len(given)
        said[name] = {row["row_id"]: row for row in scored}
        assert all(0.5 <= row["probability"] <= 1 for row in scored)
        if name == "lacking":
            expected = {song["track"]: None if song["tempo"] > 100 else False for song in given}
        else:
            expected = about
        assert {key: row["in_scope"] for key, row in said[name].items()} == expected
        values = list(expected.values())
        assert (done.outside, done.unknown) == (values.count(False), values.count(None))
    assert 10 < sum(about.values()) < 60
    assert said["lake"] == said["Delta"] == said["CSV"]


@pytest.mark.parametrize(("tempo", "in_scope"), [("90", False), ("120", None)])
def test_a_typed_row_says_what_its_features_tell(
    tempo: str, in_scope: bool | None, tmp_path: Path
) -> None:
    asked = task_files.parse(songs.TASK + WHERE, "songs")
    given = [{**song, "track": f"u{i}"} for i, song in enumerate(songs.made(120))]
    table = source.path(songs.write(given, tmp_path / "songs.csv"), asked.table)
    typed = ("energy=1", f"tempo={tempo}", "valence=0.5", "mood=calm")
    said = scoring_row.score_row(None, fitted(asked, table, tmp_path), typed)
    assert said["in_scope"] is in_scope

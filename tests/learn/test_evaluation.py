"""A stored model judged again, on its own table and on a newer one, and beside another version."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import songs
from deltalake import write_deltalake

from beatlake import cli, releases
from beatlake.lake import Lake
from beatlake.learn import registry, rows, source, splits, task_files
from beatlake.learn.engine import database
from beatlake.learn.labels import Classes
from beatlake.learn.splits import FITTING
from beatlake.releases import Release, ReleasedTable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TASK = songs.altered(
    songs.TASK,
    ("entities:", "table: {name: silver.songs}\nentities:"),
    (
        "splits: {headline: artist}",
        "splits: {headline: artist, rungs: [random, recording, artist, time, artist_time]}",
    ),
    ("slices: {mood: mood}\n", ""),
    (
        "  - {name: logistic_regression}",
        "  - {name: xgboost, parameters: {n_estimators: 40, max_depth: 3}}\n"
        "  - {name: decision_tree, parameters: {max_depth: 1}}",
    ),
)
Songs = list[dict[str, Any]]


@dataclass(frozen=True)
class Trained:
    """A lake with one training of two models, and the songs that it was trained from."""

    lake: Path
    table: Path
    songs: Songs


def command(*words: str | Path) -> int:
    return cli.main([str(word) for word in words])


def shown(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert command(*words, "--format", "json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def trained(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    given = songs.made(900, artists=150)
    table = songs.write(given, folder / "songs.csv")
    (folder / "songs.yaml").write_text(TASK, encoding="utf-8")
    words = ["train", "--task", folder / "songs.yaml", "--table", table, "--lake", folder / "lake"]
    assert command(*words, "--quiet") == 0
    return Trained(folder / "lake", table, given)


def artists(song: dict[str, Any]) -> set[str]:
    return set(re.split(r" feat\. ", song["artist"].lower()))


def main(song: dict[str, Any]) -> str:
    return str(song["artist"].lower().split(" feat. ")[0])


def drawn(artist: str) -> bool:
    """Whether an artist is of the test side: the rule of the split, in Python."""
    digits = hashlib.md5(f"beatlake\x1fartist\x1f{artist}".encode()).hexdigest()[:13]
    return int(digits, 16) / 2**52 < 0.25


def fitted_on(given: Songs, folder: Path) -> Songs:
    """The songs of the training side of the artist rung."""
    by_track = {f"0:{song['track']}": song for song in given}
    with songs.ready(given, folder, TASK) as ready:
        rungs = splits.assign(ready.connection, ready.prepared, ready.task.splits)
        (rung,) = (rung for rung in rungs if rung.name == "artist")
        listed = ", ".join(f"'{side}'" for side in FITTING)
        names = ready.column(
            f"SELECT recording FROM prepared JOIN {rung.table} USING (row_id)"
            f" WHERE side IN ({listed})"
        )
    return [by_track[name] for name in names]


def newer(given: Songs) -> Songs:
    """The same table a while later: songs of a later year are new, the others as they were."""
    more = songs.made(1300, artists=150)[len(given) :]
    return given + [
        {**song, "released": f"2030-{1 + i % 12:02d}-01"} for i, song in enumerate(more)
    ]


def test_on_its_own_table_a_model_scores_what_it_scored(
    trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    before = shown(capsys, "models", "show", "songs", "--version", "1", "--lake", lake)
    words = ["--task", "songs", "--version", "1", "--table", trained.table, "--lake", lake]
    after = shown(capsys, "evaluate", *words)

    def of_artist(lines: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
        return {
            (line["estimator"], line["metric"]): (line["value"], line["interval"], line["n"])
            for line in lines
            if line["rung"] == "artist"
        }

    # Baselines, too: what may train on the rung is what the model was fitted on.
    names = [name for name, _ in of_artist(before)]
    assert names.count("xgboost") > 5
    assert {name for name in names if name.startswith("baseline: ")} == {
        f"baseline: {name}" for name in ("majority", "stratified", "year", "artist", "one feature")
    }
    assert of_artist(after) == of_artist(before)
    told = {
        row["event"]: row["beats_baselines"]
        for row in registry.events(Lake(lake)).rows
        if row["version"] == 1
    }
    assert told["evaluated"] is told["registered"] is not None
    why = {line["rung"]: line["unavailable"] for line in after}
    assert "not dealt anew" in why["random"]
    assert "no row came out after those that trained" in why["time"]
    assert shown(capsys, "models", "show", "songs", "--evaluated", "--lake", lake) == after
    # It is no promotion, and no other registration.
    listed = shown(capsys, "models", "list", "--lake", lake)
    assert [(row["version"], row["champion"]) for row in listed] == [(1, False), (2, False)]


def test_later_rows_are_judged_less_those_that_share_with_the_training(
    trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    later = newer(trained.songs)
    table = songs.write(later, tmp_path / "songs.csv")
    words = ["--task", "songs", "--version", "1", "--table", table, "--lake", lake]
    lines = shown(capsys, "evaluate", *words)
    found = {line["rung"]: line for line in lines if line["headline_metric"]}

    seen = fitted_on(trained.songs, tmp_path)
    known = set().union(*map(artists, seen))
    tracks = {song["track"] for song in seen}
    new = [song for song in later if song["released"] >= "2030"]
    assert len(new) > 300
    # In time every later song is judged, whoever made it.
    assert found["time"]["n"] == len(new)
    # By artist: what main artists of the test side made, less songs that credit one who trained.
    unseen = [song for song in later if not artists(song) & known and song["track"] not in tracks]
    tested = [song for song in unseen if drawn(main(song))]
    assert found["artist"]["n"] == len(tested) > 100
    assert found["artist_time"]["n"] == sum(song["released"] >= "2030" for song in tested)
    assert found["artist"]["purged"] > 0
    assert 0.55 < found["artist"]["value"] < 0.95


def release(lake: Path, number: int, given: Songs) -> None:
    """Publish songs as the table of a release."""
    place = Lake(lake)
    place.path("silver.songs").mkdir(parents=True, exist_ok=True)
    write_deltalake(place.path("silver.songs"), pa.Table.from_pylist(given), mode="overwrite")
    version = place.open("silver.songs").version()
    table = ReleasedTable(
        path="silver/songs",
        version=version,
        rows=len(given),
        stage="",
        stage_key="",
        run_id="",
        files=place.files("silver.songs", version),
    )
    releases.save(
        place,
        Release(
            release=number,
            kind="run",
            run_id="",
            identity="",
            published_at=f"2030-01-{number:02d}T00:00:00+00:00",
            code_version="",
            inputs={},
            absent=[],
            settings={},
            tables={"silver.songs": table},
        ),
    )


def test_a_release_is_judged_by_its_number_and_the_newest_by_default(
    trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    later = newer(trained.songs)
    release(lake, 1, trained.songs)
    release(lake, 2, later)
    words = ["evaluate", "--task", "songs", "--version", "1", "--lake", lake]
    found = [
        {line["rung"]: line for line in shown(capsys, *words, *more) if line["rung"] == "time"}
        for more in (["--release", "1"], ["--release", "2"], [])
    ]
    first, second, newest = (lines["time"] for lines in found)
    assert "no row came out after those that trained" in first["unavailable"]
    assert second["n"] == sum(song["released"] >= "2030" for song in later)
    assert newest == second
    assert command(*words, "--release", "3") == 2
    assert "There is no release 3; there are: 1, 2." in capsys.readouterr().err


def test_two_versions_are_compared_on_the_rows_that_both_predicted(
    trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ladder = shown(capsys, "models", "show", "songs", "--lake", trained.lake)
    value = {
        line["version"]: line
        for line in ladder
        if line["headline"] and line["metric"] == "accuracy" and "baseline" not in line["estimator"]
    }
    lines = shown(capsys, "models", "compare", "songs", "1", "2", "--lake", trained.lake)
    found = {line["metric"]: line for line in lines}
    assert set(found) == {"accuracy", "balanced_accuracy", "macro_f1"}
    accuracy = found["accuracy"]
    assert (accuracy["first"], accuracy["second"]) == (value[1]["value"], value[2]["value"])
    assert (accuracy["n"], accuracy["left_out"]) == (value[1]["n"], 0)
    low, high = accuracy["interval"]
    assert low < accuracy["difference"] < high
    # Paired: far narrower than two intervals side by side.
    assert high - low < 0.75 * sum(v["interval"][1] - v["interval"][0] for v in value.values())
    itself = shown(capsys, "models", "compare", "songs", "1", "1", "--lake", trained.lake)
    assert {line["difference"] for line in itself} == {0.0}
    assert {line["first_is"] for line in itself} == {"not told apart"}
    assert command("models", "compare", "songs", "1", "9", "--lake", trained.lake) == 3
    assert "songs has no version 9" in capsys.readouterr().err


def test_a_table_that_holds_training_rows_only_judges_nothing(
    trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = songs.write(fitted_on(trained.songs, tmp_path), tmp_path / "songs.csv")
    words = ["--task", "songs", "--version", "1", "--table", table, "--lake", trained.lake]
    assert command("evaluate", *words) == 3
    assert "No rung of songs.csv can judge this model" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_what_a_model_was_trained_on_is_part_of_it(
    change: str, trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    kept = registry.folder_of(Lake(lake), "songs", 1) / "trained_on.parquet"
    if change == "gone":
        kept.unlink()
    else:
        kept.write_bytes(kept.read_bytes()[:-1] + b"X")
    words = ["--task", "songs", "--version", "1", "--table", trained.table, "--lake", lake]
    assert command("evaluate", *words) == 3
    assert f"trained_on.parquet {'is gone' if change == 'gone' else 'was changed'}" in (
        capsys.readouterr().err
    )


def test_classes_are_those_of_the_model_and_not_of_the_newer_table(tmp_path: Path) -> None:
    binned = songs.altered(
        songs.TASK,
        ("label: {column: hit}", "label: {column: plays, bins: {how: quantile, names: [a, b, c]}}"),
    )
    asked = task_files.parse(binned, "songs")
    given = songs.made(200)
    louder = [{**song, "plays": 1000 * song["plays"]} for song in given]
    table = songs.write(louder, tmp_path / "songs.csv")
    with database(tmp_path) as connection:
        made = rows.prepare(
            connection,
            asked,
            source.path(table, asked.table),
            Classes(("a", "b", "c"), (50.0, 90.0)),
        )
        assert (made.classes, made.edges) == (("a", "b", "c"), (50.0, 90.0))
        counted = dict(
            connection.execute("SELECT label, count(*) FROM prepared GROUP BY 1").fetchall()
        )
        assert counted == {2: len(given)}
    named = task_files.parse(songs.TASK, "songs")
    other = [{**song, "hit": "perhaps" if i % 5 == 0 else "no"} for i, song in enumerate(given)]
    table = songs.write(other, tmp_path / "songs.csv")
    (tmp_path / "other").mkdir()
    with database(tmp_path / "other") as connection:
        made = rows.prepare(
            connection, named, source.path(table, named.table), Classes(("no", "yes"))
        )
        assert made.classes == ("no", "yes", "perhaps")

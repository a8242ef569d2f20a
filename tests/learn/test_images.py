"""Images of rows: kept apart from what is prepared, byte for byte the same in a fold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import songs
import sounds
from deltalake import write_deltalake

from beatlake import releases
from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.learn import gates, pieces, rows, source, splits, task_files
from beatlake.learn.engine import database
from beatlake.learn.features import fit
from beatlake.learn.sides import Sides
from beatlake.learn.task import with_estimators
from beatlake.learn.task.rows import Join
from beatlake.learn.training_rows import TrainingRows
from beatlake.releases import Release, ReleasedTable


def delta(given: pa.Table, place: Path) -> Path:
    write_deltalake(str(place), given)
    return place


@pytest.mark.parametrize("write", [sounds.write, delta])
def test_images_reach_a_fold_byte_for_byte(
    write: Callable[[pa.Table, Path], Path], tmp_path: Path
) -> None:
    given = sounds.table(*sounds.rhythms(700))
    asked = task_files.parse(sounds.TASK, "sounds")
    found = source.path(write(given, tmp_path / "given.parquet"), asked.table)
    with database(tmp_path) as connection:
        prepared = rows.prepare(connection, asked, found)
        (rung,) = splits.assign(connection, prepared, asked.splits)
        sides = Sides(connection, asked, prepared, tmp_path)
        fitted = sides.fitted(rung, watched=True)
        assert fitted.names == ("log_mel",)
        fold = sides.fold(rung, fitted, True, asked.estimators[0])
        test = sides.test(rung, fitted)
        # What is prepared is as long as a hash, whatever the images are.
        hashes = dict(connection.execute("SELECT row_id, f_log_mel FROM prepared").fetchall())
    made = pq.read_table(fold.path)
    assert fold.image == (sounds.BANDS, sounds.FRAMES)
    assert made.schema.field("log_mel").type == pa.binary(16 * 24)
    assert fold.rows + fold.watching + test.num_rows == 700
    original = dict(zip(given["id"].to_pylist(), given["log_mel"].to_pylist(), strict=True))
    seen = {}
    for part in (made, test):
        seen |= dict(zip(part["row_id"].to_pylist(), part["log_mel"].to_pylist(), strict=True))
    assert seen == original
    assert hashes == {name: hashlib.md5(image).hexdigest() for name, image in original.items()}
    # The file of the test rows has lost its name, and is still there.
    assert not list(tmp_path.glob("*.arrow"))
    order = sorted(original, key=lambda name: hashlib.md5(name.encode()).hexdigest())
    tested = test["row_id"].to_pylist()
    assert tested == [name for name in order if name in set(tested)]


def test_a_fold_of_images_is_read_in_small_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beatlake.learn.images.TOGETHER", 40 * 16 * 24)
    fold = sounds.fold(*sounds.rhythms(100), tmp_path)
    groups = pq.ParquetFile(fold.path).metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [40, 40, 20]


def test_tasks_read_large_rows_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = sounds.write(sounds.table(*sounds.rhythms(1000)), tmp_path / "given.parquet")
    assert len(pieces.shares([str(place)])) == 1
    monkeypatch.setattr(pieces, "_TASK_BYTES", 2 * 200 * 16 * 24)
    monkeypatch.setattr(pieces, "_BATCH_BYTES", 50 * 16 * 24)
    shares = pieces.shares([str(place)])
    assert len(shares) == 3
    read = [table for share in shares for piece in share for table in piece.tables(["log_mel"])]
    assert sum(table.num_rows for table in read) == 1000
    assert max(table.num_rows for table in read) <= 50


IMAGE = "{name: log_mel, form: image, shape: [16, 24]}"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([("torch_pooled, parameters: {epochs: 20}", "xgboost")], "log_mel is an image; what can:"),
        ([(IMAGE, "tempo")], "torch_pooled cannot answer this task, which has no image"),
        ([(IMAGE, f"{IMAGE}, tempo")], "an image is a model's only feature"),
        ([("splits:", "resampling: {how: smote}\nsplits:")], "smote makes or drops rows"),
        ([("table: {row_key: [id]}\n", "")], "log_mel needs table.row_key"),
        ([(", shape: [16, 24]", "")], "an image has a `shape`"),
        ([("[16, 24]", "[16, 0]")], "greater than 0"),
        ([("form: image, ", "")], "nothing else has one"),
        ([("label: {column: style}\n", "")], "nothing can"),
    ],
)
def test_what_cannot_look_at_images_is_refused(changes: list[tuple[str, str]], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        task_files.parse(songs.altered(sounds.TASK, *changes), "sounds")


def test_estimators_of_the_command_line_are_refused_by_the_same_rule() -> None:
    asked = task_files.parse(sounds.TASK, "sounds")
    assert with_estimators(asked, ["torch_cnn"]).estimators[0].name == "torch_cnn"
    with pytest.raises(ConfigError, match="xgboost cannot answer sounds, whose feature log_mel"):
        with_estimators(asked, ["xgboost"])
    with pytest.raises(ConfigError, match="torch_cnn cannot answer songs, which has no image"):
        with_estimators(task_files.parse(songs.TASK, "songs"), ["torch_cnn"])


def odd(how: str) -> pa.Table:
    given = sounds.table(*sounds.rhythms(60))
    images: list[bytes | None] = given["log_mel"].to_pylist()
    if how == "text":
        return given.set_column(3, "log_mel", pa.array(["a"] * 60))
    images[3], images[4] = (None, None) if how == "none" else (b"short", b"")
    changed = given.set_column(3, "log_mel", pa.array(images, pa.binary()))
    return pa.concat_tables([given, given.slice(0, 2)]) if how == "twice" else changed


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("text", "An image is a column of bytes .BLOB.: log_mel is VARCHAR"),
        ("none", "2 rows have none .leave them out: where: .{column: log_mel, known: true}"),
        ("size", "2 rows have one that is not of 16 x 24 = 384 bytes"),
        ("twice", "id does not name one row"),
    ],
)
def test_rows_without_an_image_of_the_shape_are_refused(how: str, why: str, tmp_path: Path) -> None:
    asked = task_files.parse(sounds.TASK, "sounds")
    found = source.path(sounds.write(odd(how), tmp_path / "given.parquet"), asked.table)
    with database(tmp_path) as connection, pytest.raises(InputError, match=why):
        rows.prepare(connection, asked, found)


def test_rows_without_an_image_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    where = "table: {row_key: [id], where: [{column: log_mel, known: true}]}"
    text = songs.altered(sounds.TASK, ("table: {row_key: [id]}", where))
    asked = task_files.parse(text, "sounds")
    found = source.path(sounds.write(odd("none"), tmp_path / "given.parquet"), asked.table)
    with database(tmp_path) as connection:
        prepared = rows.prepare(connection, asked, found)
    assert (prepared.rows, prepared.dropped) == (58, {"log_mel unknown": 2})


def test_a_sound_under_another_name_is_found_and_no_gate_judges_an_image_alone(
    tmp_path: Path,
) -> None:
    images, style = sounds.rhythms(400)
    images[200:] = images[:200]
    style[200:] = style[:200]
    given = sounds.table(images, style, artists=37)
    asked = task_files.parse(sounds.TASK, "sounds")
    found = source.path(sounds.write(given, tmp_path / "given.parquet"), asked.table)
    with database(tmp_path) as connection:
        prepared = rows.prepare(connection, asked, found)
        (rung,) = splits.assign(connection, prepared, asked.splits)
        of_rung = gates.of_rung(connection, rung, asked.features.list)
        said = {v.gate: v for v in of_rung}["same_sound_on_both_sides"]
        assert not said.passed
        side = dict(connection.execute(f"SELECT row_id, side FROM {rung.table}").fetchall())
        tested = [i for i in range(400) if side[f"s{i:04d}"] == "test"]
        fits = ("train", "valid", "between")
        both = sum(side[f"s{(i + 200) % 400:04d}"] in fits for i in tested)
        assert f"{both:,} of {len(tested):,} test rows" in said.found
        assert "repeat the image of a training row" in said.found
        training = TrainingRows.of(connection, rung, watched=False)
        alone = {v.gate: v.found for v in gates.of_features(asked, training)}
        assert "an image says nothing by a single value" in alone["single_feature_auc"]
        assert alone["lineage_of_label"] == "no feature is made of the label's column"
        assert fit(asked.features.list, "standard", training).images == ("log_mel",)


def test_images_that_are_all_alike_say_nothing(tmp_path: Path) -> None:
    images, style = sounds.rhythms(80)
    images[:] = images[0]
    asked = task_files.parse(sounds.TASK, "sounds")
    given = sounds.write(sounds.table(images, style), tmp_path / "given.parquet")
    with database(tmp_path) as connection:
        prepared = rows.prepare(connection, asked, source.path(given, asked.table))
        (rung,) = splits.assign(connection, prepared, asked.splits)
        with pytest.raises(InputError, match="log_mel is constant"):
            Sides(connection, asked, prepared, tmp_path).fitted(rung, watched=False)


def test_a_fold_of_images_is_for_networks_of_images(tmp_path: Path) -> None:
    from beatlake.learn import estimators

    fold = sounds.fold(*sounds.rhythms(40), tmp_path)
    with pytest.raises(InputError, match="xgboost cannot be fitted on an image"):
        estimators.fit(None, "xgboost", "classes", fold, {}, 1)  # type: ignore[arg-type]


def lake_of(folder: Path, spectrograms: pa.Table, songs_: pa.Table) -> Lake:
    """A lake with one release, in which the spectrograms are not."""
    lake = Lake(folder)
    for name, table in (("silver.songs", songs_), ("ml.sounds", spectrograms)):
        place = lake.path(name)
        place.parent.mkdir(parents=True)
        write_deltalake(str(place), table)
    released = ReleasedTable(
        path="silver/songs",
        version=0,
        rows=songs_.num_rows,
        stage="stage",
        stage_key="key",
        run_id="run",
        files=lake.files("silver.songs", 0),
    )
    releases.save(
        lake,
        Release(
            release=1,
            kind="run",
            run_id="run",
            identity="identity",
            published_at="2026-01-01T00:00:00Z",
            code_version="1",
            inputs={},
            absent=[],
            settings={},
            tables={"silver.songs": released},
        ),
    )
    return lake


JOINED = songs.altered(
    sounds.TASK,
    (
        "table: {row_key: [id]}",
        "table: {name: silver.songs, row_key: [id],"
        " join: {name: ml.sounds, by: [id], columns: [log_mel]}}",
    ),
)


def test_a_table_of_a_release_is_joined_with_images_as_they_are_now(tmp_path: Path) -> None:
    given = sounds.table(*sounds.rhythms(90))
    heard = given.select(["id", "log_mel"]).slice(0, 60)
    heard = heard.append_column("style", pa.array(["of another table"] * 60))
    lake = lake_of(tmp_path / "lake", heard, given.drop_columns(["log_mel"]))
    asked = task_files.parse(JOINED, "sounds")
    join = asked.table.join
    found = source.released(lake, "silver.songs", None, join)
    assert found.described == "silver.songs of release 1 with ml.sounds version 0"
    assert found.versions == {"silver.songs": "version 0", "ml.sounds": "version 0"}
    with database(tmp_path) as connection:
        prepared = rows.prepare(connection, asked, found)
        # Those that have a spectrogram, with the style of the first table.
        assert (prepared.rows, set(prepared.classes)) == (60, set(sounds.STYLES))
    write_deltalake(str(lake.path("ml.sounds")), heard.slice(0, 50), mode="overwrite")
    later = source.released(lake, "silver.songs", None, join)
    assert later.versions["ml.sounds"] == "version 1"
    assert later.fingerprint != found.fingerprint
    with pytest.raises(InputError, match=r"has no table ml\.others, which silver\.songs is joined"):
        other = Join(name="ml.others", by=("id",), columns=("log_mel",))
        source.released(lake, "silver.songs", None, other)

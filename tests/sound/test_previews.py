"""`beatlake previews` on a tiny lake: what becomes of good and bad audio, and of a second run."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from file_server import serving, status, whole
from heard_lake import digits, publish, recording, url
from odd_audio import encoded, mp3, odd, tone
from quick_settings import QUICK

import beatlake
import packaged
from beatlake import cli
from beatlake.config import PreviewSettings, SpectrogramSettings
from beatlake.errors import ConflictError, InputError
from beatlake.lake import Lake
from beatlake.sound import previews
from beatlake.sound.previews import shape_of
from beatlake.sound.sampling import Sample
from beatlake.sound.spectrograms import Shape
from beatlake.tables.sound import OUTCOMES, PREVIEWS, SPECTROGRAMS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: What is in the folder, by recording: name of the file, its bytes, and what must become of it.
FILES = {
    "AA0000000001": ("{digits}.mp3", mp3, "ok"),
    "AA0000000002": ("{isrc}.flac", lambda: encoded(tone(12.0), 22_050, "FLAC", "PCM_16"), "ok"),
    "AA0000000003": ("{digits}.mp3", odd("ogg_named.mp3").data, "ok"),
    "AA0000000004": ("{digits}.mp3", odd("empty.mp3").data, "damaged"),
    "AA0000000005": ("{digits}.mp3", odd("text.mp3").data, "damaged"),
    "AA0000000006": ("{digits}.mp3", odd("truncated.mp3").data, "damaged"),
    "AA0000000007": ("{digits}.wav", odd("silent.wav").data, "silent"),
    "AA0000000008": ("{digits}.ogg", odd("a_fifth_of_a_second.ogg").data, "short"),
}
MISSING = "AA0000000009"
NOWHERE = "AA0000000010"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "audio"
    made.mkdir()
    for isrc, (name, data, _) in FILES.items():
        (made / name.format(digits=digits(isrc), isrc=isrc)).write_bytes(data())
    (made / "readme.txt").write_text("not audio")
    return made


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return publish(tmp_path / "lake", _recordings())


def made(
    spark: SparkSession,
    lake: Lake,
    folder: Path | None,
    sample: str = "1.0",
    shape: Shape | None = None,
    replace: bool = False,
    **settings: Any,
) -> previews.Made:
    return previews.make(
        spark,
        lake,
        folder=folder,
        sample=Sample.of(sample),
        settings=PreviewSettings.model_validate(settings),
        shape=shape or Shape(),
        replace=replace,
    )


def rows(lake: Lake, name: str) -> list[dict[str, Any]]:
    """Rows of a table by recording, read by an engine that knows nothing of beatlake."""
    found = duckdb.read_parquet(lake.open(name).file_uris()).to_arrow_table()
    return sorted(found.to_pylist(), key=lambda row: row["isrc"])


def test_every_recording_of_the_sample_has_an_outcome(
    spark: SparkSession, lake: Lake, folder: Path
) -> None:
    done = made(spark, lake, folder)

    told = {row["isrc"]: row for row in rows(lake, PREVIEWS.name)}
    expected = {isrc: outcome for isrc, (_, _, outcome) in FILES.items()}
    assert {isrc: row["outcome"] for isrc, row in told.items()} == {
        **expected, MISSING: "missing", NOWHERE: "missing"
    }  # fmt: skip
    assert {name: n for name, n in done.outcomes.items() if n} == {
        "ok": 3, "silent": 1, "short": 1, "damaged": 3, "missing": 2
    }  # fmt: skip
    assert list(done.outcomes) == list(OUTCOMES)
    assert all((row["reason"] is None) == (row["outcome"] == "ok") for row in told.values())
    assert told["AA0000000003"]["format"] == "OGG", "whatever the file is called"
    assert told["AA0000000002"]["duration_s"] == 12.0
    assert told["AA0000000002"]["start_s"] == 1.0
    pictured = {row["isrc"]: row for row in rows(lake, SPECTROGRAMS.name)}
    assert set(pictured) == {isrc for isrc, outcome in expected.items() if outcome == "ok"}
    for isrc, row in pictured.items():
        assert row["sha256"] == told[isrc]["sha256"]
        assert (row["bands"], row["frames"], row["image_size"]) == (96, 313, 224)
        bands = np.frombuffer(row["log_mel"], np.uint8).reshape(row["bands"], row["frames"])
        assert bands.max() == 255
        # 440 Hz are 6.6 of the 45.2 mel that Slaney's scale has up to 8 kHz: 97 steps, the 14th.
        assert bands[:, 60].argmax() == 13
        assert len(row["stft_image"]) == 224 * 224


def test_a_second_run_does_nothing_again_and_a_third_adds_what_came(
    spark: SparkSession, lake: Lake, folder: Path
) -> None:
    first = made(spark, lake, folder)
    before = {t.name: (rows(lake, t.name), lake.open(t.name).version()) for t in _tables()}
    files = _data_files(lake)

    again = made(spark, lake, folder)
    assert (again.new, again.kept, again.removed) == (0, 3, 0)
    assert again.outcomes == first.outcomes
    assert {t.name: (rows(lake, t.name), lake.open(t.name).version()) for t in _tables()} == before
    assert _data_files(lake) == files, "no data file is left that no table names"

    (folder / f"{digits(MISSING)}.ogg").write_bytes(odd("ogg_named.mp3").data())
    third = made(spark, lake, folder)
    assert (third.new, third.kept, third.removed) == (1, 3, 0)
    assert files < _data_files(lake), "what was there is not written again"
    assert [r for r in rows(lake, SPECTROGRAMS.name) if r["isrc"] != MISSING] == before[
        SPECTROGRAMS.name
    ][0]


def test_changed_audio_and_a_smaller_sample_take_out_what_no_longer_counts(
    spark: SparkSession, lake: Lake, folder: Path, tmp_path: Path
) -> None:
    made(spark, lake, folder)
    (folder / f"{digits('AA0000000001')}.mp3").write_bytes(mp3(6.0))
    (folder / "AA0000000002.flac").unlink()

    versions = {t.name: lake.open(t.name).version() for t in _tables()}
    with pytest.raises(InputError, match=r"1 of 3 spectrograms .* 0 are .* of 1 there is no audio"):
        made(spark, lake, folder)
    assert {t.name: lake.open(t.name).version() for t in _tables()} == versions
    changed = made(spark, lake, folder, replace=True)

    assert (changed.new, changed.kept, changed.replaced, changed.removed) == (1, 1, 1, 1)
    fresh = publish(tmp_path / "fresh", _recordings())
    made(spark, fresh, folder)
    for table in _tables():
        assert rows(lake, table.name) == rows(fresh, table.name), "history leaves no trace"


def test_neither_a_smaller_sample_nor_a_wrong_folder_takes_anything_out_unasked(
    spark: SparkSession, lake: Lake, folder: Path, tmp_path: Path
) -> None:
    made(spark, lake, folder)
    before = {table.name: rows(lake, table.name) for table in _tables()}
    (tmp_path / "empty").mkdir()

    with pytest.raises(InputError, match=r"No file in .*empty is of a recording"):
        made(spark, lake, tmp_path / "empty", replace=True)
    with pytest.raises(InputError, match=r"[123] of 3 spectrograms"):
        made(spark, lake, folder, sample="3")
    assert {table.name: rows(lake, table.name) for table in _tables()} == before


def test_tables_that_are_in_no_release_are_read_beside_those_that_are(
    spark: SparkSession, lake: Lake, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = beatlake.open(lake.root)
    assert opened.unreleased == []
    made(spark, lake, folder)

    assert opened.unreleased == [PREVIEWS.name, SPECTROGRAMS.name]
    assert opened.table(PREVIEWS.name).rows == 10
    found = opened.sql(
        "SELECT outcome, count(*) FROM ml.previews JOIN silver.recordings USING (isrc)"
        " SEMI JOIN ml.spectrograms USING (isrc) GROUP BY 1"
    )
    assert found.fetchall() == [("ok", 3)]
    # The opened lake stays as it was.
    (folder / f"{digits(MISSING)}.ogg").write_bytes(odd("ogg_named.mp3").data())
    made(spark, lake, folder)
    assert opened.table(SPECTROGRAMS.name).arrow().num_rows == 3
    assert beatlake.open(lake.root).table(SPECTROGRAMS.name).rows == 4
    assert cli.main(["describe", PREVIEWS.name, "--lake", str(lake.root)]) == 0
    assert "10 rows; version" in (said := capsys.readouterr().out)
    assert "in no release" in said


def test_other_parameters_replace_all(spark: SparkSession, lake: Lake, folder: Path) -> None:
    made(spark, lake, folder)
    shape = shape_of(SpectrogramSettings(stretch_s=3, bands=32, image_size=64))

    done = made(spark, lake, folder, shape=shape)

    assert (done.new, done.kept, done.replaced, done.removed) == (3, 0, 3, 0)
    found = rows(lake, SPECTROGRAMS.name)
    assert len(found) == 3
    assert {(r["bands"], r["frames"], r["image_size"], r["stretch_s"]) for r in found} == {
        (32, 1 + 3 * 16_000 // 512, 64, 3.0)
    }
    assert {len(r["log_mel"]) for r in found} == {32 * 94}
    assert {r["parameters"] for r in rows(lake, PREVIEWS.name)} == {found[0]["parameters"]}


def test_tables_do_not_depend_on_partitions(
    spark: SparkSession, lake: Lake, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(spark, lake, folder)
    other = publish(tmp_path / "other", list(reversed(_recordings())))
    monkeypatch.setattr(previews, "_MOST_FILES", 1)
    made(spark, other, folder)

    files = [len(lake_.open(SPECTROGRAMS.name).file_uris()) for lake_ in (lake, other)]
    assert files[0] == 1 < files[1]
    for table in _tables():
        assert rows(lake, table.name) == rows(other, table.name)


def test_of_two_runs_at_a_time_one_begins_anew(
    spark: SparkSession, lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(spark, lake, folder, sample="3")
    commit = previews.commit

    def late(*arguments: Any) -> previews.Made:
        monkeypatch.setattr(previews, "commit", commit)
        made(spark, lake, folder)
        return commit(*arguments)

    monkeypatch.setattr(previews, "commit", late)
    with pytest.raises(ConflictError, match="Another run"):
        made(spark, lake, folder, sample="9")
    found = rows(lake, SPECTROGRAMS.name)
    assert len(found) == len({row["isrc"] for row in found}) == 3


def test_a_larger_sample_holds_the_smaller_and_keeps_artists_whole() -> None:
    everything = pa.table(
        {
            "isrc": [f"AA{n:010}" for n in range(2000)],
            "preview_url": [url(str(n)) for n in range(2000)],
            "artist_keys": [[f"artist {n % 500}"] for n in range(2000)],
        }
    )
    with duckdb.connect() as db:
        db.register("recordings", everything)

        def drawn(sample: str) -> list[str]:
            return [r[0] for r in db.execute(Sample.of(sample).sql("recordings")).fetchall()]

        tenth, fifth = drawn("10%"), drawn("0.2")
        assert set(tenth) < set(fifth)
        assert 150 < len(tenth) < 250
        artists = {int(isrc[2:]) % 500 for isrc in tenth}
        assert len(tenth) == 4 * len(artists)
        assert drawn("700")[:60] == drawn("60") == drawn("1.0")[:60]
        assert len(drawn("60")) == 60


def test_a_tenth_is_what_networks_take_as_a_tenth(tmp_path: Path) -> None:
    from beatlake.dealing import share
    from beatlake.learn.folds import BUCKETS

    with duckdb.connect() as db:
        group = "coalesce(artist_keys[1], isrc)"
        db.execute(
            "CREATE TABLE recordings AS SELECT 'AA' || i AS isrc, NULL::VARCHAR AS preview_url,"
            " ['artist ' || i % 300] AS artist_keys FROM range(3000) AS r(i)"
        )
        network = f"floor({share('beatlake', 'sample', group)} * {BUCKETS})::INTEGER < 100"
        theirs = db.execute(f"SELECT isrc FROM recordings WHERE {network} ORDER BY 1").fetchall()
        ours = db.execute(Sample.of("0.1").sql("recordings")).fetchall()
    assert sorted(row[0] for row in ours) == [row[0] for row in theirs] != []


def test_the_command_says_what_became_of_them(
    spark: SparkSession, lake: Lake, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["previews", "--lake", str(lake.root), "--from", str(folder)]
    assert cli.main([*options, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outcomes"]["ok"] == told["new"] == 3
    assert cli.main(options) == 0
    printed = capsys.readouterr().out
    assert "damaged" in printed
    assert "0 made, 0 of them in place of others, 3 there before, 0 removed" in printed


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--from", "nowhere"], 3, "nowhere cannot be read"),
        ([], 2, "--from FOLDER"),
        (["--from", ".", "--sample", "1.5"], 2, "such as 0.1"),
        (["--set", "previews.fetch=true"], 2, "--sample 500"),
        (["--from", ".", "--set", "spectrograms.bands=512"], 2, "mel bands lie between"),
        (
            ["--from", ".", "--set", "spectrograms.hop_samples=2048"],
            2,
            "between windows would be lost",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    spark: SparkSession,
    lake: Lake,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    said: str,
) -> None:
    assert cli.main(["previews", "--lake", str(lake.root), *options]) == code
    assert said in capsys.readouterr().err
    assert not lake.exists(PREVIEWS.name)


def test_previews_are_fetched_once_and_stay_out_of_the_lake(
    spark: SparkSession, tmp_path: Path
) -> None:
    with serving() as server:
        answers = {
            "AA0000000001": whole(mp3()),
            "AA0000000002": status(404),
            "AA0000000003": status(403),
            "AA0000000004": whole(odd("text.mp3").data(), said="audio/mpeg"),
            "AA0000000005": whole(odd("truncated.mp3").data()),
            "AA0000000006": status(500),
        }
        addresses = {
            isrc: server.at(f"/mp3-preview/{digits(isrc)}", answer)
            for isrc, answer in answers.items()
        }
        rows_ = [recording(isrc, "artist", address) for isrc, address in addresses.items()]
        rows_ += [recording(MISSING, "artist", None)]
        rows_ += [recording(NOWHERE, "artist", addresses["AA0000000001"])]
        lake = publish(tmp_path / "lake", rows_)
        settings = {**QUICK, "cache": tmp_path / "cache", "retries": 0}

        done = made(spark, lake, None, **settings)

        told = {row["isrc"]: row["outcome"] for row in rows(lake, PREVIEWS.name)}
        assert told == {
            "AA0000000001": "ok",
            "AA0000000002": "gone",
            "AA0000000003": "refused",
            "AA0000000004": "damaged",
            "AA0000000005": "damaged",
            "AA0000000006": "failed",
            MISSING: "missing",
            NOWHERE: "ok",
        }
        assert done.new == 2
        before = server.counts()
        assert set(before.values()) == {1}, "two recordings share one preview"
        again = made(spark, lake, None, **settings)
        assert (again.new, again.kept) == (0, 2)
        failed = f"/mp3-preview/{digits('AA0000000006')}"
        assert server.counts() - before == {failed: 1}, "only what may succeed is asked for again"
    kept = {path.suffix for path in lake.root.rglob("*") if path.is_file()}
    assert kept == {".parquet", ".json"}, "audio stays in the cache"
    sha256 = hashlib.sha256(mp3()).hexdigest()
    assert (tmp_path / "cache" / sha256[:2] / sha256).read_bytes() == mp3()


def test_links_out_of_the_folder_are_refused(
    spark: SparkSession, lake: Lake, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "private.mp3"
    shutil.move(folder / f"{digits('AA0000000001')}.mp3", outside)
    (folder / f"{digits('AA0000000001')}.mp3").symlink_to(outside)
    (folder / f"{digits(MISSING)}.ogg").symlink_to(folder / "AA0000000002.flac")

    made(spark, lake, folder)

    told = {row["isrc"]: row for row in rows(lake, PREVIEWS.name)}
    assert told["AA0000000001"]["outcome"] == "refused"
    assert told["AA0000000001"]["sha256"] is None
    assert told[MISSING]["outcome"] == "ok"


def test_a_release_without_recordings_is_an_error(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no recordings"):
        made(spark, publish(tmp_path / "lake", []), tmp_path)


def _recordings() -> list[dict[str, Any]]:
    listed = [recording(isrc, f"artist {isrc[-1]}", url(isrc)) for isrc in (*FILES, MISSING)]
    return [*listed, recording(NOWHERE, "artist", None)]


def _tables() -> tuple[Any, ...]:
    return PREVIEWS, SPECTROGRAMS


def _data_files(lake: Lake) -> set[Path]:
    return {path for table in _tables() for path in lake.path(table.name).glob("*.parquet")}


@pytest.mark.full
def test_the_job_hears_previews_from_the_archive(folder: Path, tmp_path: Path) -> None:
    place = packaged.job(tmp_path, "previews.py")
    publish(place / "lake", _recordings())
    submitted = packaged.submit(
        "local[2]", "previews.py", "--lake", "lake", "--from", folder.name, "--sample", "100%"
    )
    done = subprocess.run(
        submitted,
        cwd=place,
        env=packaged.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = {row["isrc"]: row["outcome"] for row in rows(Lake(place / "lake"), PREVIEWS.name)}
    assert outcomes == {
        **{isrc: outcome for isrc, (_, _, outcome) in FILES.items()},
        MISSING: "missing",
        NOWHERE: "missing",
    }

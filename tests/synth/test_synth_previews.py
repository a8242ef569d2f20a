"""Clips: which, in what form, and that what truth.json says is planted can be heard in them.

What is heard is worked out here from the decoded files, by means that have no part in making them.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from beatlake.cli.options import app
from beatlake.synth import generate
from beatlake.synth.genres import genres
from beatlake.synth.previews.rendering import render
from beatlake.synth.previews.sounds import draw

SCALE, SEED, NUMBER, FEW = 0.0005, 3, 80, 8
RATE, SECONDS = 22_050, 10

Truth = dict[str, Any]
Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips") / "many"
    generate(out, scale=SCALE, seed=SEED, clean=True, previews=NUMBER, processes=2, progress=False)
    return out


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips") / "few"
    options = f"--clean --scale {SCALE} --seed {SEED} --previews {FEW} --processes 1"
    said = CliRunner().invoke(app, ["generate", *options.split(), "--out", str(out)])
    assert said.exit_code == 0, said.output
    assert f"previews: {FEW}." in said.output.replace("\n", "")
    return out


def _truth(folder: Path) -> Truth:
    return dict(json.loads((folder / "truth.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def clips(folder: Path) -> list[Truth]:
    return list(_truth(folder)["previews"]["clips"])


@pytest.fixture(scope="module")
def heard(folder: Path, clips: list[Truth]) -> Array:
    """The samples of every clip, decoded."""
    files = [folder / "previews" / clip["file"] for clip in clips]
    return np.stack([soundfile.read(file, dtype="float32")[0] for file in files])


def _power(samples: Array, width: int, step: int) -> Array:
    """The power by time and frequency."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, width)[::step]
    return np.abs(np.fft.rfft(windows * np.hanning(width).astype(np.float32), axis=1)) ** 2


def _pooled(samples: Array) -> Array:
    """Mean and spread over time of the level in decibels, in bands that get wider upwards."""
    edges = np.unique(np.geomspace(2, 512, 25).round().astype(int))[:-1]
    level = 10 * np.log10(np.add.reduceat(_power(samples, 1024, 512), edges, axis=1) + 1e-9)
    return np.concatenate([level.mean(axis=0), level.std(axis=0)])


def test_every_clip_has_the_form_that_is_told(folder: Path, clips: list[Truth]) -> None:
    told = _truth(folder)["previews"]
    assert (told["number"], told["seconds"], told["sample_rate"]) == (NUMBER, SECONDS, RATE)
    assert {path.name for path in (folder / "previews").iterdir()} == {c["file"] for c in clips}
    kinds = []
    for clip in clips:
        with soundfile.SoundFile(folder / "previews" / clip["file"]) as file:
            assert (file.samplerate, file.channels) == (RATE, 1)
            assert len(file.read()) == SECONDS * RATE
            kinds.append(file.format.lower())
        assert clip["file"].endswith("." + kinds[-1])
    assert set(kinds) == {"mp3", "ogg"}
    assert 0.35 < kinds.count("mp3") / NUMBER < 0.65


def test_a_clip_is_of_the_recording_in_the_files(folder: Path, clips: list[Truth]) -> None:
    """One Spotify track names the file, and tempo, key and genre are those of the recording."""
    with duckdb.connect() as connection:
        for name in ("sp_track", "bp_track", "audio_features", "sp_artist_track"):
            connection.execute(
                f"CREATE TABLE {name} AS FROM read_csv('{folder / name}.csv', header = true,"
                " delim = ',', quote = '\"', escape = '\"', all_varchar = true, parallel = false)"
            )
        rows = connection.execute(
            """
            SELECT isrc, any_value(preview_url), count(DISTINCT sp_track.track_id),
                list(DISTINCT genre_id), list(DISTINCT bpm::INT), any_value(key::INT),
                any_value(mode::INT), list(DISTINCT artist_id)
            FROM sp_track JOIN bp_track USING (isrc) JOIN audio_features USING (isrc)
            JOIN sp_artist_track ON sp_artist_track.track_id = sp_track.track_id
            GROUP BY isrc
            """
        ).fetchall()
    found = {row[0]: row[1:] for row in rows}
    assert len({clip["isrc"] for clip in clips}) == NUMBER
    for clip in clips:
        url, tracks, named, bpm, key, mode, artists = found[clip["isrc"]]
        assert url.startswith(f"https://p.scdn.co/mp3-preview/{clip['file'][:40]}?")
        assert tracks == 1
        assert str(clip["genre_id"]) in named
        assert {clip["tempo"], clip["tempo"] // 2, (clip["tempo"] + 1) // 2, 0} & set(bpm)
        assert (clip["key"], clip["mode"]) == (key, mode)
        assert clip["artist_id"] in artists


def test_a_number_of_clips_is_part_of_a_larger_one(
    folder: Path, few: Path, clips: list[Truth]
) -> None:
    """Also on another number of processes; an Ogg file has a serial number by chance."""
    told = _truth(few)["previews"]["clips"]
    assert told == clips[:FEW]
    assert len({clip["samples_sha256"] for clip in clips}) == NUMBER
    for clip in told:
        one, other = (place / "previews" / clip["file"] for place in (few, folder))
        assert np.array_equal(soundfile.read(one)[0], soundfile.read(other)[0])
        assert clip["file"].endswith(".ogg") or one.read_bytes() == other.read_bytes()


def test_nothing_else_changes_with_clips(few: Path, tmp_path: Path) -> None:
    generate(tmp_path, scale=SCALE, seed=SEED, clean=True, processes=1, progress=False)
    plain = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    told = _truth(few)
    told.pop("previews")
    assert told == json.loads(plain.pop("truth.json"))
    assert plain == {path.name: path.read_bytes() for path in few.glob("*.csv")}


def test_genres_and_artists_are_as_common_as_in_the_set(folder: Path, clips: list[Truth]) -> None:
    told = _truth(folder)
    of_all = told["recordings"]["clean"]["by_genre"]
    common = sorted(of_all, key=of_all.__getitem__)[-4:]
    count = told["previews"]["by_genre"]
    assert sum(count.values()) == NUMBER
    share = sum(of_all[genre] for genre in common) / sum(of_all.values())
    assert sum(count[genre] for genre in common) / NUMBER == pytest.approx(share, abs=0.15)
    assert len({clip["artist_id"] for clip in clips}) > NUMBER / 4


def test_the_tempo_is_heard(clips: list[Truth], heard: Array) -> None:
    """As the lag at which onsets repeat best; whole multiples of a beat are told apart by nobody.

    Tempos of house and techno are so alike that a guess would do: only others are judged.
    """
    right = []
    for clip, samples in zip(clips, heard, strict=True):
        if 110 < clip["tempo"] < 136:
            continue
        level = np.log(_power(samples, 512, 128)[:, 1:] + 1e-6)
        onset = np.maximum(np.diff(level, axis=0), 0).mean(axis=1)
        onset -= onset.mean()
        again = np.correlate(onset, onset, "full")[len(onset) :]
        per_beat = 60 * RATE / 128 / clip["tempo"]
        lag = 1 + np.argmax(np.where(np.arange(1, len(again) + 1) > 40, again, -np.inf)[:400])
        beats = lag / per_beat
        right.append(min(abs(beats - whole) / whole for whole in (0.5, 1, 2, 3, 4)) < 0.03)
    assert len(right) > 15
    assert np.mean(right) > 0.7


def test_the_key_is_heard(clips: list[Truth], heard: Array) -> None:
    """The strongest of twelve pitch classes is the tonic, and the third is that of the mode."""
    hz = np.fft.rfftfreq(SECONDS * RATE, 1 / RATE)
    inside = (hz > 60) & (hz < 1500)
    pitch = 12 * np.log2(hz[inside] / 440) + 9
    near = np.abs(pitch - np.rint(pitch)) < 0.2
    tonic, third = [], []
    for clip, samples in zip(clips, heard, strict=True):
        power = np.abs(np.fft.rfft(samples))[inside][near]
        classes = np.rint(pitch[near]).astype(int) % 12
        strength = np.bincount(classes, power, minlength=12) / np.bincount(classes, minlength=12)
        tonic.append(np.argmax(strength) == clip["key"])
        minor, major = (strength[(clip["key"] + above) % 12] for above in (3, 4))
        third.append((major > minor) == (clip["mode"] == 1))
    assert np.mean(tonic) > 0.6
    assert np.mean(third) > 0.8


def test_genres_can_be_learnt_of_other_artists_but_not_perfectly() -> None:
    """Of spectra without time; every clip has an artist of its own, so that no fold shares one."""
    wanted, artists = (1, 3, 5, 6, 7, 12), 12
    known = genres()
    spectra, label = [], []
    for artist in range(artists * len(wanted)):
        place = known.ids.tolist().index(wanted[artist % len(wanted)])
        tempo = int(known.bpm_mean[place])
        sound = draw(place, tempo, artist * 5 % 12, artist % 2, artist, artist, SEED)
        samples = render(sound, np.random.default_rng(artist))
        assert samples.dtype == np.int16
        spectra.append(_pooled(samples.astype(np.float32) / 32768))
        label.append(sound.genre_id)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500))
    folds = KFold(6, shuffle=True, random_state=0)
    guess = cross_val_predict(model, np.array(spectra), np.array(label), cv=folds)
    # By chance 1 in 6, in 72 draws at most 0.3 but for one in a thousand.
    assert 0.35 < np.mean(guess == np.array(label)) < 0.9


def test_an_artist_has_a_sound(clips: list[Truth], heard: Array) -> None:
    """A clip's nearest neighbour is the same artist's more often than another's of the genre."""
    genre = np.array([clip["genre_id"] for clip in clips])
    artist = np.array([clip["artist_id"] for clip in clips])
    place = StandardScaler().fit_transform([_pooled(samples) for samples in heard])
    distance = ((place[:, None] - place[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    same, by_chance = [], []
    for one in range(NUMBER):
        alike = np.flatnonzero((genre == genre[one]) & (np.arange(NUMBER) != one))
        own = artist[alike] == artist[one]
        if 0 < own.sum() < len(alike):
            same.append(own[np.argmin(distance[one, alike])])
            by_chance.append(own.mean())
    assert len(same) > 20
    assert np.mean(same) > np.mean(by_chance) + 0.2


@pytest.mark.parametrize(("number", "message"), [(-1, "not be negative"), (100_000, "at most")])
def test_an_impossible_number_is_refused(number: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"previews must {message}|previews must be {message}"):
        generate(tmp_path, scale=0.0002, previews=number, processes=1, progress=False)
    assert not list(tmp_path.rglob("*.mp3"))


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "soundfile" else find_spec(name)
    )
    monkeypatch.setattr("beatlake.resources.checkout", lambda: None)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["generate", "--previews", "1", "--out", str(out)])
    assert "Previews need packages that are not installed: soundfile." in str(done.exception)
    assert "pip install 'beatlake[sound]'" in str(done.exception)
    assert not out.exists()

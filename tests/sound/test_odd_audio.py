"""The odd files are what they are said to be, for libsndfile and for Python's own wave reader."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from odd_audio import LONG_S, ODD_FILES, OddFile, odd, write_all

READABLE = [file for file in ODD_FILES if file.sound]
UNREADABLE = [file for file in ODD_FILES if file.sound is False]
NAMES = {file: file.name for file in ODD_FILES}


@pytest.mark.parametrize("file", READABLE, ids=NAMES.get)
def test_what_is_a_sound_file_has_the_form_that_is_said(file: OddFile) -> None:
    with soundfile.SoundFile(io.BytesIO(file.data())) as opened:
        assert (opened.samplerate, opened.channels) == (file.rate, file.channels)
        # The mp3 of three hours lacks the last minute.
        assert len(opened) / opened.samplerate == pytest.approx(file.seconds, rel=0.01, abs=1e-6)
        assert len(opened.read(1)) == 1


@pytest.mark.parametrize("file", UNREADABLE, ids=NAMES.get)
def test_what_is_none_gives_no_sample(file: OddFile) -> None:
    try:
        samples, _ = soundfile.read(io.BytesIO(file.data()))
    except soundfile.LibsndfileError:
        return
    assert len(samples) == 0


@pytest.mark.parametrize(
    "name", ["flipped.mp3", "flipped.ogg", "truncated.mp3", "truncated.ogg", "truncated.wav"]
)
def test_what_is_damaged_gives_less_than_it_had(name: str) -> None:
    file = odd(name)
    try:
        samples, rate = soundfile.read(io.BytesIO(file.data()))
    except soundfile.LibsndfileError:
        return
    assert len(samples) < file.seconds * rate


def test_the_wavs_are_what_the_names_say() -> None:
    for name, width, frames in (("24_bits.wav", 3, 88_200), ("one_sample.wav", 2, 1)):
        with wave.open(io.BytesIO(odd(name).data())) as opened:
            assert (opened.getsampwidth(), opened.getnframes()) == (width, frames)
    with wave.open(io.BytesIO(odd("claims_more.wav").data())) as opened:
        assert opened.getnframes() == 10 * 88_200
        assert len(opened.readframes(882_000)) == 2 * 88_200
    for name, what in (("nan.wav", np.isnan), ("infinite.wav", np.isinf)):
        samples, _ = soundfile.read(io.BytesIO(odd(name).data()))
        assert 0 < what(samples).sum() < 20
    assert odd("ogg_named.mp3").data().startswith(b"OggS")
    assert b"<html>" in odd("text.mp3").data()


def test_all_are_written_under_their_names_and_the_same_each_time(tmp_path: Path) -> None:
    paths = list(write_all(tmp_path / "odd", long=False))
    short = [file for file in ODD_FILES if file.seconds < LONG_S]
    assert {path.name for path in paths} == {file.name for file in short}
    assert len(paths) == len(short) == len(ODD_FILES) - 3
    wavs = [file for file in short if file.name.endswith(".wav")]
    assert all((tmp_path / "odd" / file.name).read_bytes() == file.data() for file in wavs)

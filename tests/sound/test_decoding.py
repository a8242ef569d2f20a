"""Decoding audio files: the stretch that is heard, and what becomes of odd and hostile ones."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from odd_audio import LONG_S, ODD_FILES, RATE, TONE_HZ, OddFile, encoded, odd, tone, wav

from beatlake.sound.decoding import MOST_CHANNELS, Heard, OpenedFile
from beatlake.tables.sound import OUTCOMES

RATE_HZ = 16_000
#: What must become of a file, where it is not ``ok`` or anything that a decoder may make of it.
EXPECTED = {
    "header_only.wav": "short",
    "one_sample.wav": "short",
    "a_fifth_of_a_second.ogg": "short",
    "silent.mp3": "silent",
    "silent.wav": "silent",
    "three_hours.flac": "silent",
    "three_hours.mp3": "silent",
    "nan.wav": "damaged",
    "infinite.wav": "damaged",
    "truncated.mp3": "damaged",
    "truncated.ogg": "damaged",
    "truncated.wav": "damaged",
    "claims_more.wav": "damaged",
}


def heard(path: Path, stretch_s: float = 10.0) -> Heard:
    with OpenedFile(str(path)) as file:
        return file.hear(stretch_s, RATE_HZ)


@pytest.mark.parametrize("file", ODD_FILES, ids=lambda file: file.name)
def test_odd_files_have_an_outcome(file: OddFile, tmp_path: Path) -> None:
    found = heard(file.write(tmp_path))

    assert found.outcome in OUTCOMES
    if file.name in EXPECTED:
        assert found.outcome == EXPECTED[file.name]
    elif file.sound is not None:
        assert found.outcome == ("ok" if file.sound else "damaged")
    assert (found.reason is None) == (found.outcome == "ok") == (found.sound is not None)
    if found.sound is not None:
        assert found.sound.shape == (160_000,)
        assert np.abs(found.sound).max() == pytest.approx(1, abs=0.2)
        assert not found.sound[round(file.seconds * RATE_HZ) + 1 :].any(), "silence where it ends"
    if file.sound and file.rate:
        assert (found.audio_rate_hz, found.channels) == (file.rate, file.channels)
        # An mp3 without a count of its frames is as long as its last whole one.
        assert found.duration_s == pytest.approx(file.seconds, rel=0.003)


@pytest.mark.parametrize("name", ["ogg_named.mp3", "8_kHz.wav", "96_kHz.flac", "six_channels.ogg"])
def test_a_tone_keeps_its_pitch_at_any_rate(name: str, tmp_path: Path) -> None:
    found = heard(odd(name).write(tmp_path), 4.0)

    assert found.sound is not None
    spectrum = np.abs(np.fft.rfft(found.sound * np.hanning(len(found.sound))))
    assert spectrum.argmax() / 4.0 == pytest.approx(TONE_HZ, abs=0.5)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("FLAC", "PCM_16"), ("WAV", "PCM_24")],
)
def test_the_middle_is_what_a_whole_reading_has_there(
    kind: str, subtype: str, tmp_path: Path
) -> None:
    """Decoders that are sent to a place give other sound there, unless they begin before it."""
    random = np.random.default_rng(1)
    swelling = random.normal(size=(30 * RATE_HZ, 2)) * np.linspace(0.01, 0.2, 30 * RATE_HZ)[:, None]
    path = tmp_path / "noise"
    path.write_bytes(encoded(swelling.astype(np.float32), RATE_HZ, kind, subtype))

    found = heard(path)

    whole, _ = soundfile.read(path.open("rb"))
    middle = whole.mean(axis=1)[10 * RATE_HZ : 20 * RATE_HZ]
    assert found.sound is not None
    assert (found.start_s, found.duration_s) == (10.0, 30.0)
    np.testing.assert_allclose(found.sound, middle / np.abs(middle).max(), atol=1e-6)


def test_of_three_hours_no_more_is_held_than_of_a_preview(tmp_path: Path) -> None:
    """Three hours are 86 million samples, which are 690 MB as they are decoded."""
    path = odd("three_hours.flac").write(tmp_path)
    tracemalloc.start()
    try:
        found = heard(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.duration_s, found.start_s) == (LONG_S, LONG_S / 2 - 5)
    assert peak < 8e6


def _header(channels: int, rate: int) -> bytes:
    sound = np.zeros(4 * RATE, np.int16).tobytes()
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * 2 & 0xFFFFFFFF, 2, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + form
    chunks += b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(
    ("channels", "rate"),
    [(0, RATE), (MOST_CHANNELS + 1, RATE), (65_535, RATE), (1, 0), (1, 1), (1, 2**31 - 1)],
)
def test_shapes_that_no_preview_has_are_not_decoded(
    channels: int, rate: int, tmp_path: Path
) -> None:
    path = tmp_path / "hostile.wav"
    path.write_bytes(_header(channels, rate))
    found = heard(path)
    assert found.outcome in ("refused", "damaged")
    assert found.reason


def test_a_length_that_the_size_cannot_hold_is_a_lie(tmp_path: Path) -> None:
    data = bytearray(encoded(tone(4.0), RATE, "FLAC", "PCM_16"))
    # Of the 36 bits of the number of samples in STREAMINFO (RFC 9639) the lower 32.
    data[22:26] = b"\xff\xff\xff\xff"
    path = tmp_path / "long.flac"
    path.write_bytes(data)
    assert heard(path).outcome == "damaged"


#: Of each kind four seconds, which are heard in part only.
WHOLE = {
    "ogg": lambda: encoded(tone(4.0), RATE, "OGG", "VORBIS"),
    "opus": lambda: encoded(tone(4.0, 48_000), 48_000, "OGG", "OPUS"),
    "flac": lambda: encoded(tone(4.0), RATE, "FLAC", "PCM_16"),
    "wav": lambda: wav(tone(4.0)),
    "wavex": lambda: encoded(tone(4.0, RATE, 2), RATE, "WAVEX", "PCM_24"),
    "rf64": lambda: encoded(tone(4.0), RATE, "RF64", "PCM_16"),
    "adpcm": lambda: wav(tone(4.0), subtype="IMA_ADPCM"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_cut_short_is_damaged(kind: str, tmp_path: Path) -> None:
    whole = WHOLE[kind]()
    path = tmp_path / "cut"
    path.write_bytes(whole)
    assert heard(path, 1.0).outcome == "ok"
    for share in (0.3, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        found = heard(path, 1.0)
        assert found.outcome == "damaged", share
        if kind in ("wav", "wavex", "rf64"):
            assert found.reason == f"It ends {4 * (1 - share):.2f} s before it should."
        elif kind == "flac":
            assert found.reason == "It cannot be decoded as far as it says."


def test_an_ogg_file_ends_with_the_end_of_its_stream(tmp_path: Path) -> None:
    whole = WHOLE["ogg"]()
    path = tmp_path / "cut.ogg"
    last = whole.rindex(b"OggS")
    assert last > len(whole) / 2, "the page before it has sound"
    # In the page, in its head, in its first letters, and before it.
    for length in (len(whole) - 1, last + 30, last + 20, last + 2, last):
        path.write_bytes(whole[:length])
        found = heard(path, 1.0)
        assert (found.outcome, found.reason) == ("damaged", "It ends before its stream does.")
    for more in (b"TAG" + bytes(125), whole):
        path.write_bytes(whole + more)
        assert heard(path, 1.0).outcome == "ok", "after its end anything may follow"


@pytest.mark.parametrize(
    ("said", "length", "reason"),
    [
        pytest.param(0xFFFFFFFF, None, None, id="streamed"),
        pytest.param(0x7FFFF000, None, None, id="streamed by sox"),
        pytest.param(4 * 2 * RATE + 2, None, None, id="a sample more"),
        pytest.param(8 * 2 * RATE, None, "It ends 4.00 s before it should.", id="twice as much"),
        pytest.param(8 * 2 * RATE, 44, "It ends before its stream does.", id="no sound at all"),
        pytest.param(0, 44, "It lasts 0.000 s.", id="none is said"),
    ],
)
def test_a_wav_goes_as_far_as_it_says(
    said: int, length: int | None, reason: str | None, tmp_path: Path
) -> None:
    data = bytearray(WHOLE["wav"]())
    assert data[36:40] == b"data"
    data[40:44] = struct.pack("<I", said)
    path = tmp_path / "said.wav"
    path.write_bytes(data[:length])
    found = heard(path)
    assert found.reason == reason
    assert (found.outcome == "damaged") == (reason is not None and said > 0)


def test_what_begins_like_mp3_and_is_none_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "text.mp3"
    whole = encoded(tone(4.0), RATE, "MP3", "MPEG_LAYER_III")
    for data in ("hello there ".encode("utf-16") * 20, whole[:200]):
        path.write_bytes(data)
        found = heard(path)
        assert found.outcome == "damaged"
        assert found.reason == "It cannot be decoded: it holds no MP3 audio."


def test_what_is_no_file_of_audio_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "folder.mp3").mkdir()
    aiff = tmp_path / "other.wav"
    aiff.write_bytes(encoded(tone(2.0), RATE, "AIFF", "PCM_16"))
    for path in (tmp_path / "pipe.mp3", tmp_path / "folder.mp3", aiff):
        assert heard(path).outcome == "refused", path
    assert heard(tmp_path / "gone.mp3").outcome == "missing"


def test_channels_that_cancel_each_other_are_silent(tmp_path: Path) -> None:
    left = tone(2.0)
    path = tmp_path / "cancelled.wav"
    path.write_bytes(wav(np.hstack([left, -left])))
    assert heard(path).outcome == "silent"


@pytest.mark.parametrize("name", ["ogg", "mp3", "flac", "wav"])
def test_no_damage_stops_the_worker(name: str, tmp_path: Path) -> None:
    kinds = {"ogg": "VORBIS", "mp3": "MPEG_LAYER_III", "flac": "PCM_16", "wav": "PCM_16"}
    whole = np.frombuffer(encoded(tone(2.0, 8_000, 2), 8_000, name.upper(), kinds[name]), np.uint8)
    random = np.random.default_rng(7)
    path = tmp_path / "damaged"
    found = set()
    for _ in range(60):
        damaged = whole[: random.integers(1, len(whole) + 1)].copy()
        # Half of them in the header, which is what decoders go by.
        reach = len(damaged) if random.random() < 0.5 else min(200, len(damaged))
        places = random.integers(0, reach, random.integers(1, 20))
        damaged[places] = random.integers(0, 256, len(places))
        path.write_bytes(damaged.tobytes())
        found.add(heard(path, 1.0).outcome)
    assert found <= set(OUTCOMES)
    assert "damaged" in found

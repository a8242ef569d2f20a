"""Damaged and odd audio files, each with what can be known of it, for tests and demonstrations.

`python tests/sound/odd_audio.py DIR` writes them all. They are made anew each time, within seconds,
and hold a tone of 440 Hz unless it is said.
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

TONE_HZ = 440
RATE = 22_050
LONG_S = 3 * 3600

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OddFile:
    """One file: its name, how it is made, and what must be true of what can be heard in it.

    ``sound`` says whether there is anything to hear: False for what is no audio or none that can be
    read, True for a sound file, however odd, and None where it may be either, depending on how much
    of a damaged file a decoder gives. ``seconds``, ``rate`` and ``channels`` are those of the file
    as it was made; a damaged one gives no more.
    """

    name: str
    data: Callable[[], bytes]
    sound: bool | None
    seconds: float = 0.0
    rate: int = 0
    channels: int = 0

    def write(self, folder: Path) -> Path:
        """Write it into a folder; gives its path."""
        path = folder / self.name
        path.write_bytes(self.data())
        return path


def tone(seconds: float, rate: int = RATE, channels: int = 1) -> Samples:
    """A tone that is softer by half in each further channel; (frames, channels)."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * TONE_HZ * time)
    return (wave[:, None] * 0.5 ** np.arange(channels)).astype(np.float32)


def encoded(samples: Samples, rate: int, kind: str, subtype: str) -> bytes:
    """The bytes of a file of samples, of a format and encoding of libsndfile."""
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format=kind, subtype=subtype)
    return target.getvalue()


def mp3(seconds: float = 4.0) -> bytes:
    """A sound mp3."""
    return encoded(tone(seconds), RATE, "MP3", "MPEG_LAYER_III")


def ogg(seconds: float = 4.0) -> bytes:
    """A sound Ogg Vorbis file."""
    return encoded(tone(seconds), RATE, "OGG", "VORBIS")


def wav(samples: Samples, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    """A sound wav."""
    return encoded(samples, rate, "WAV", subtype)


def flipped(data: bytes, share: float) -> bytes:
    """The bytes with a share of them inverted, always the same ones."""
    spoilt = np.frombuffer(data, np.uint8).copy()
    places = np.random.default_rng(0).random(len(spoilt)) < share
    spoilt[places] ^= 0xFF
    return spoilt.tobytes()


def with_value(value: float) -> bytes:
    """A wav of floats of which a few are one that is not finite."""
    samples = tone(4.0)
    samples[1000:60_000:5000] = value
    return wav(samples, subtype="FLOAT")


def claiming_more(data: bytes) -> bytes:
    """A wav whose header speaks of ten times the data that there is."""
    size = data.index(b"data") + 4
    (real,) = struct.unpack_from("<I", data, size)
    changed = bytearray(data)
    struct.pack_into("<I", changed, size, real * 10)
    return bytes(changed)


def tagged(data: bytes) -> bytes:
    """An mp3 after an ID3v2 tag of 200 kB, which is where covers are."""
    length = 200_000
    digits = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + digits + bytes(length) + data


def long_flac() -> bytes:
    """Three hours of silence at 8 kHz, a minute at a time."""
    target = io.BytesIO()
    minute = np.zeros(60 * 8000, np.int16)
    with soundfile.SoundFile(
        target, "w", 8000, 1, format="FLAC", subtype="PCM_16", compression_level=0.0
    ) as file:
        for _ in range(LONG_S // 60):
            file.write(minute)
    return target.getvalue()


def minute_of_mp3() -> bytes:
    """A minute of silence at 8 kHz, in frames of one size; the first says how many there are."""
    target = io.BytesIO()
    with soundfile.SoundFile(
        target, "w", 8000, 1, format="MP3", subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT", compression_level=0.99,
    ) as file:  # fmt: skip
        file.write(np.zeros(60 * 8000, np.float32))
    return target.getvalue()


def long_mp3() -> bytes:
    """Three hours of silence, less a minute: the frames of one again and again, without the first.

    Without it nothing says how long the file is, and a decoder goes by its size.
    """
    minute = minute_of_mp3()
    return minute[minute.index(minute[:4], 4) :] * (LONG_S // 60)


_TEXT = b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>\n" * 40

ODD_FILES = (
    OddFile("empty.mp3", lambda: b"", False),
    OddFile("text.mp3", lambda: _TEXT, False),
    OddFile("noise.ogg", lambda: flipped(bytes(50_000), 0.5), False),
    OddFile("header_only.ogg", lambda: ogg()[:60], False),
    OddFile("header_only.wav", lambda: wav(tone(0.0)), False, 0.0, RATE, 1),
    OddFile("flipped.mp3", lambda: flipped(mp3(), 0.02), None, 4.0, RATE, 1),
    OddFile("little_flipped.mp3", lambda: flipped(mp3(), 0.001), None, 4.0, RATE, 1),
    OddFile("flipped.ogg", lambda: flipped(ogg(), 0.02), None, 4.0, RATE, 1),
    OddFile("truncated.mp3", lambda: mp3()[: len(mp3()) // 3], None, 4.0, RATE, 1),
    OddFile("truncated.ogg", lambda: ogg()[: len(ogg()) // 3], None, 4.0, RATE, 1),
    OddFile("truncated.wav", lambda: wav(tone(4.0))[:60_000], None, 4.0, RATE, 1),
    OddFile("claims_more.wav", lambda: claiming_more(wav(tone(4.0))), None, 4.0, RATE, 1),
    OddFile("tagged.mp3", lambda: tagged(mp3()), True, 4.0, RATE, 1),
    OddFile("silent.mp3", lambda: encoded(tone(4.0) * 0, RATE, "MP3", "MPEG_LAYER_III"), True,
            4.0, RATE, 1),
    OddFile("silent.wav", lambda: wav(tone(4.0) * 0), True, 4.0, RATE, 1),
    OddFile("three_hours.flac", long_flac, True, LONG_S, 8000, 1),
    OddFile("three_hours.mp3", long_mp3, True, LONG_S, 8000, 1),
    OddFile("three_hours_said_to_be_a_minute.mp3", lambda: minute_of_mp3() * (LONG_S // 60), None,
            LONG_S, 8000, 1),
    OddFile("ogg_named.mp3", ogg, True, 4.0, RATE, 1),
    OddFile("mp3_named.ogg", mp3, True, 4.0, RATE, 1),
    OddFile("8_kHz.wav", lambda: wav(tone(4.0, 8000), 8000), True, 4.0, 8000, 1),
    OddFile("96_kHz.flac", lambda: encoded(tone(4.0, 96_000), 96_000, "FLAC", "PCM_16"), True,
            4.0, 96_000, 1),
    OddFile("stereo.mp3", lambda: encoded(tone(4.0, RATE, 2), RATE, "MP3", "MPEG_LAYER_III"), True,
            4.0, RATE, 2),
    OddFile("six_channels.ogg", lambda: encoded(tone(4.0, RATE, 6), RATE, "OGG", "VORBIS"), True,
            4.0, RATE, 6),
    OddFile("one_sample.wav", lambda: wav(tone(1 / RATE) + 0.5), True, 1 / RATE, RATE, 1),
    OddFile("a_fifth_of_a_second.ogg", lambda: ogg(0.2), True, 0.2, RATE, 1),
    OddFile("nan.wav", lambda: with_value(np.nan), None, 4.0, RATE, 1),
    OddFile("infinite.wav", lambda: with_value(np.inf), None, 4.0, RATE, 1),
    OddFile("beyond_full_scale.wav", lambda: wav(tone(4.0) * 100, subtype="FLOAT"), True,
            4.0, RATE, 1),
    OddFile("24_bits.wav", lambda: wav(tone(4.0), subtype="PCM_24"), True, 4.0, RATE, 1),
)  # fmt: skip


def odd(name: str) -> OddFile:
    """The file of a name."""
    (found,) = (file for file in ODD_FILES if file.name == name)
    return found


def write_all(folder: Path, *, long: bool = True) -> Iterator[Path]:
    """Write every file into a folder, which is made if absent; gives their paths.

    Args:
        folder: where to.
        long: the files of three hours, too, which take most of the time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file in ODD_FILES:
        if long or file.seconds < LONG_S:
            yield file.write(folder)


if __name__ == "__main__":
    for path in write_all(Path(sys.argv[1])):
        print(path)

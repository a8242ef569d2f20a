"""Spectrograms a second and core beside librosa's, of the same clips in one run.

    python benchmarks/spectrograms.py [--clips 60] [--rounds 5] [--json FILE]

Clips are 30 s of stereo at 44.1 kHz, as previews are: chords, noise and a beat, half MP3 and half
Ogg Vorbis. Both sides take the middle ten seconds of each, decoded by libsndfile, mixed to mono,
resampled by libsoxr to 16 kHz, and make 96 mel bands of it in dB: librosa by `get_duration`,
`load`, `melspectrogram` and `power_to_db`, beatlake by what its tasks call. They take turns clip by
clip, in one process with one thread, and seconds are those of the CPU. Said are the medians of
spectrograms a second over the rounds, their ratio, what the picture of 224 x 224 costs on top, and
how far the two spectrograms are apart.

librosa is not among the locked packages: `.venv/bin/pip install librosa==0.11.0` brings it, and
without it only beatlake is measured.
"""

from __future__ import annotations

import os

# Before anything loads a library that would start threads.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import baseline
import numpy as np
import numpy.typing as npt
import soundfile

from beatlake.sound import spectrograms
from beatlake.sound.decoding import OpenedFile, Sound
from beatlake.sound.spectrograms import Shape

SHAPE = Shape()
_RATE, _SECONDS = 44_100, 30
Bytes = npt.NDArray[np.uint8]


def clip(seed: int) -> npt.NDArray[np.float32]:
    """Two channels of a chord, noise and a beat."""
    random = np.random.default_rng(seed)
    moment = np.arange(_RATE * _SECONDS) / _RATE
    chord = sum(np.sin(2 * np.pi * f * moment) for f in random.uniform(60, 3000, 6))
    beat = np.exp(-8 * (moment * random.uniform(1.5, 2.5) % 1))
    wave = 0.05 * chord + 0.1 * beat * random.normal(size=len(moment))
    return np.stack([wave, 0.8 * np.roll(wave, 300)], axis=1).astype(np.float32)


def written(folder: Path, clips: int) -> list[Path]:
    """The clips, half of each format."""
    paths = []
    for number in range(clips):
        kind, subtype = (("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"))[number % 2]
        path = folder / f"{number}.{kind.lower()}"
        soundfile.write(path, clip(number), _RATE, format=kind, subtype=subtype)
        paths.append(path)
    return paths


def heard(path: Path) -> Sound:
    """The sound of a clip, as a task of beatlake hears it, its hash too."""
    with OpenedFile(str(path)) as file:
        file.sha256()
        found = file.hear(SHAPE.stretch_s, SHAPE.sample_rate_hz)
    assert found.sound is not None, found
    return found.sound


def by_beatlake(path: Path) -> Bytes:
    """The spectrogram that beatlake stores."""
    return spectrograms.log_mel(heard(path), SHAPE)


def both_by_beatlake(path: Path) -> Bytes:
    """The spectrogram, made with the picture of 224 x 224."""
    return spectrograms.pictures(heard(path), SHAPE)[0]


def by_librosa(path: Path) -> Bytes:
    """The same by librosa."""
    import librosa

    begin = (librosa.get_duration(path=path) - SHAPE.stretch_s) / 2
    sound, rate = librosa.load(
        path, sr=SHAPE.sample_rate_hz, offset=begin, duration=SHAPE.stretch_s
    )
    mel = librosa.feature.melspectrogram(
        y=sound,
        sr=rate,
        n_fft=SHAPE.window_samples,
        hop_length=SHAPE.hop_samples,
        n_mels=SHAPE.bands,
    )
    return np.rint((librosa.power_to_db(mel, ref=np.max) + 80) / 80 * 255).astype(np.uint8)


def apart(paths: list[Path]) -> float:
    """The mean distance of the two spectrograms in dB."""
    step = -SHAPE.floor_db / 255
    return statistics.fmean(
        step * float(np.abs(by_beatlake(path).astype(float) - by_librosa(path)).mean())
        for path in paths
    )


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    baseline.add_options(parser)
    given = parser.parse_args()
    ways: dict[str, Callable[[Path], Bytes]] = {
        "beatlake": by_beatlake,
        "beatlake, both pictures": both_by_beatlake,
    }
    if importlib.util.find_spec("librosa") is None:
        print(
            "librosa is not installed, and only beatlake is measured: pip install librosa==0.11.0"
        )
    else:
        ways["librosa"] = by_librosa
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder), given.clips)
        for way in ways.values():
            way(paths[0])
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(given.rounds):
            seconds = dict.fromkeys(ways, 0.0)
            for path in paths:
                for name, way in ways.items():
                    began = time.process_time()
                    way(path)
                    seconds[name] += time.process_time() - began
            for name, took in seconds.items():
                rates[name].append(len(paths) / took)
        found: dict[str, Any] = {"clips": given.clips, "per_second_and_core": rates}
        found["median"] = {name: statistics.median(each) for name, each in rates.items()}
        median = found["median"]
        ratios = {
            "seconds_of_both_pictures_to_one": median["beatlake"]
            / median["beatlake, both pictures"]
        }
        if "librosa" in ways:
            ratios["seconds_to_librosa"] = median["librosa"] / median["beatlake"]
            found["apart_db"] = apart(paths)
            print(f"{found['apart_db']:.5f} dB apart from librosa's on average")
    for name, rate in median.items():
        print(f"{name}: {rate:.1f} spectrograms a second and core")
    return baseline.finish("spectrograms", f"{given.clips} clips", ratios, found, given)


if __name__ == "__main__":
    sys.exit(main())

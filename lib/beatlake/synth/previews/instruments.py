"""Single sounds: drums, and tones read from a table of one period."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, sosfilt

from beatlake.synth.randomness import Array

RATE = 22_050
_TABLE_BITS = 11
_HARMONICS = 24


def frames(seconds: float) -> int:
    """The number of samples."""
    return round(seconds * RATE)


def decay(length: int, seconds: float) -> Array:
    """An envelope that falls to 1/e in so many seconds."""
    result: Array = np.exp(np.arange(length, dtype=np.float32) * np.float32(-1 / (seconds * RATE)))
    return result


def table(edge: float, highest_hz: float) -> Array:
    """One period between a sine (edge 0) and a saw (1), without harmonics that would alias.

    The power of all is the same. `highest_hz` is the highest fundamental that it is read at.
    """
    number = int(np.clip(0.45 * RATE / highest_hz, 1, _HARMONICS))
    harmonic = np.arange(1, number + 1)
    strength = harmonic ** (-(3.0 - 2.0 * edge))
    strength /= np.sqrt((strength**2).sum())
    phase = 2 * np.pi * np.arange(1 << _TABLE_BITS) / (1 << _TABLE_BITS)
    result: Array = (strength @ np.sin(np.outer(harmonic, phase))).astype(np.float32)
    return result


def steps_of(hz: Array | float) -> Array:
    """How far the phase goes in a sample, in parts of 2**32 of a period."""
    return np.asarray(np.asarray(hz) * (2.0**32 / RATE)).astype(np.uint32)


def read(wave: Array, phase: Array) -> Array:
    """The table's values at phases of 32 bits."""
    values: Array = wave[phase >> np.uint32(32 - _TABLE_BITS)]
    return values


def tone(wave: Array, hz: float, length: int, start: int = 0) -> Array:
    """A tone of one frequency; phases wrap around by themselves."""
    return read(wave, np.arange(start, start + length, dtype=np.uint32) * steps_of(hz))


def pitch_hz(semitone: float) -> float:
    """The frequency of a semitone above C of octave 0, at A4 = 440 Hz.

    >>> pitch_hz(57)
    440.0
    """
    return float(440.0 * 2 ** ((semitone - 57) / 12))


def kick(hz: float) -> Array:
    """A falling sine."""
    length = frames(0.3)
    falling = hz * (1 + 4 * decay(length, 0.02))
    phase = np.cumsum(falling) * (2 * np.pi / RATE)
    return (np.sin(phase) * decay(length, 0.11)).astype(np.float32)


def snare(hz: float, rng: np.random.Generator) -> Array:
    """A burst of noise around a frequency."""
    length = frames(0.22)
    noise = rng.standard_normal(length, dtype=np.float32) * decay(length, 0.05)
    return _loud(sosfilt(butter(1, [hz * 0.5, hz * 2.0], "bandpass", fs=RATE, output="sos"), noise))


def hat(hz: float, rng: np.random.Generator) -> Array:
    """A burst of noise above a frequency."""
    length = frames(0.12)
    noise = rng.standard_normal(length, dtype=np.float32) * decay(length, 0.03)
    return _loud(sosfilt(butter(2, hz, "highpass", fs=RATE, output="sos"), noise))


def place(out: Array, at: Array, force: Array, shot: Array) -> None:
    """Add a sound at some samples, each with its own force; what is past the end is cut."""
    for start, strength in zip(at.tolist(), force.tolist(), strict=True):
        part = out[start : start + len(shot)]
        part += np.float32(strength) * shot[: len(part)]


def since(at: Array, length: int) -> Array:
    """For every sample, the seconds since the last of the ascending places; long where none was.

    >>> since(np.array([2, 5]), 7)[[2, 4, 5]] * RATE
    array([0., 2., 0.], dtype=float32)
    """
    starts = np.concatenate([[-100 * RATE], at])
    lengths = np.diff(starts, append=length)
    lengths[0] = at[0]
    elapsed = np.arange(length, dtype=np.float32) - np.repeat(starts.astype(np.float32), lengths)
    elapsed *= np.float32(1 / RATE)
    return elapsed


def _loud(shot: Array) -> Array:
    loudest: Array = shot / np.abs(shot).max()
    return loudest.astype(np.float32)

"""From a sound to samples: a bar of steps, its instruments, and the artist's colour on all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from beatlake.synth.previews.instruments import (
    RATE,
    decay,
    frames,
    hat,
    kick,
    pitch_hz,
    place,
    read,
    since,
    snare,
    steps_of,
    table,
    tone,
)
from beatlake.synth.previews.rhythms import RHYTHMS, STEPS, STEPS_OF_A_BEAT, hats
from beatlake.synth.previews.sounds import Sound
from beatlake.synth.randomness import Array

SECONDS = 10
LENGTH = SECONDS * RATE
_PEAK = 0.9
_BASS_OCTAVE, _PAD_OCTAVE, _LEAD_OCTAVE = 12 * 2, 12 * 4, 12 * 5
_HUMAN_S = 0.003
#: Semitones above the tonic of the roots of four bars where the chords move, and the kind of each
#: chord; the tonic has every second bar, so that it stays the centre. By mode: minor, major.
_ROOTS = ((0, -4, 0, -2), (0, 5, 0, 7))
_CHORDS = ({0: (0, 3, 7), -4: (0, 4, 7), -2: (0, 4, 7)}, dict.fromkeys((0, 5, 7), (0, 4, 7)))


@dataclass(frozen=True)
class Grid:
    """The steps that begin within a clip: the sample of each, its place in the bar, its bar."""

    at: Array
    step: Array
    bar: Array
    step_s: float

    @classmethod
    def of(cls, sound: Sound) -> Grid:
        """Of a sound's tempo and swing, from its first step on."""
        step_s = 60 / sound.tempo / STEPS_OF_A_BEAT
        number = np.arange(int(SECONDS / step_s) + 1)
        at = np.rint((number + sound.properties["swing"] * (number % 2)) * step_s * RATE)
        inside = at < LENGTH
        place = number[inside] + sound.first_step
        return cls(at[inside].astype(np.int64), place % STEPS, place // STEPS, step_s)

    def hits(self, force: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Where the steps of a bar that are hit are heard, and how hard: as a player would."""
        strength = force[self.step]
        hit = strength > 0
        late = np.rint(rng.uniform(0, 2 * _HUMAN_S, hit.sum()) * RATE).astype(np.int64)
        at = np.minimum(self.at[hit] + late, LENGTH - 1)
        return at, strength[hit] * rng.uniform(0.85, 1.0, len(at))


def render(sound: Sound, rng: np.random.Generator) -> Array:
    """The samples of a clip, 16 bits, mono; `rng` gives noise and what differs from hit to hit."""
    grid, own = Grid.of(sound), sound.artist
    level = {
        name.removesuffix("_db"): 10 ** (value / 20)
        for name, value in sound.properties.items()
        if name.endswith("_db")
    }
    drums, kicks = _drums(sound, grid, level, rng)
    duck = 1 - np.float32(sound.properties["pump"]) * np.exp(since(kicks, LENGTH) / -0.12)
    bass = level["bass"] * duck * _bass(sound, grid, rng)
    tones = level["pad"] * duck * _pad(sound, grid, rng) + level["lead"] * _lead(sound, grid, rng)
    cutoff = min(2 ** sound.properties["cutoff_oct"], 0.45 * RATE)
    tones = sosfilt(butter(2, cutoff, fs=RATE, output="sos"), tones)
    delay = round(own.echo_steps * grid.step_s * RATE)
    tones[delay:] += own.echo * tones[:-delay]
    noise = level["noise"] * rng.standard_normal(LENGTH, dtype=np.float32)
    mixed = np.tanh(0.5 * sound.properties["drive"] * (drums + bass + tones)) + noise
    mixed = _coloured(mixed, own.tilt_db, own.resonance_hz, own.resonance_db)
    scaled: Array = np.rint(mixed * (_PEAK * 32767 / np.abs(mixed).max()))
    return scaled.astype(np.int16)


def _drums(
    sound: Sound, grid: Grid, level: dict[str, float], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Kick, snare and hats, and where the kicks are."""
    rhythm, own = RHYTHMS[sound.rhythm], sound.artist
    out = np.zeros(LENGTH, np.float32)
    kicks, force = grid.hits(rhythm.force("kick"), rng)
    place(out, kicks, force * level["kick"], kick(own.kick_hz))
    at, force = grid.hits(rhythm.force("snare"), rng)
    place(out, at, force * level["snare"], snare(own.snare_hz, rng))
    at, force = grid.hits(hats(sound.properties["hats"]), rng)
    place(out, at, force * level["hats"], hat(own.hats_hz, rng))
    return out, kicks


def _roots(sound: Sound, bar: Array) -> Array:
    """The root of each bar's chord, in semitones above the tonic."""
    return np.array(_ROOTS[sound.mode])[bar % 4] if sound.moves else np.zeros_like(bar)


def _bass(sound: Sound, grid: Grid, rng: np.random.Generator) -> Array:
    """The root, decaying; the wobble moves it between a dull and a bright wave."""
    force = RHYTHMS[sound.rhythm].force("bass")[grid.step]
    hit = force > 0
    at, strength = grid.at[hit], force[hit]
    roots = _roots(sound, grid.bar[hit])
    hz = np.array([pitch_hz(_BASS_OCTAVE + sound.key + root) for root in roots.tolist()])
    lengths = np.diff(at, append=LENGTH)
    phase = np.cumsum(np.repeat(steps_of(hz), lengths), dtype=np.uint32)
    dull, bright = (
        table(edge, hz.max())
        for edge in (0.5 * sound.properties["bass_edge"], sound.properties["bass_edge"])
    )
    beat = np.arange(at[0], LENGTH, dtype=np.float32) * np.float32(
        2 * np.pi / (grid.step_s * STEPS_OF_A_BEAT * RATE)
    )
    swing = 0.5 * (1 - np.cos(beat * int(rng.integers(1, 4))))
    depth = np.float32(sound.properties["wobble"])
    bright_part = 1 - depth + depth * swing
    wave = (1 - bright_part) * read(dull, phase) * (1 - 0.7 * depth)
    wave += bright_part * read(bright, phase)
    elapsed = since(at, LENGTH)[at[0] :]
    envelope = np.exp(elapsed / -np.float32(sound.properties["length_s"]))
    envelope *= np.minimum(elapsed * 200, 1) * np.repeat(strength, lengths)
    out = np.zeros(LENGTH, np.float32)
    out[at[0] :] = wave * envelope
    return out


def _pad(sound: Sound, grid: Grid, rng: np.random.Generator) -> Array:
    """The chord of each bar, twice and out of tune with itself, held or in stabs."""
    wave = table(sound.properties["tone_edge"], pitch_hz(_PAD_OCTAVE + 24))
    out = np.zeros(LENGTH, np.float32)
    first = np.flatnonzero(np.diff(grid.bar, prepend=-1))
    ends = np.append(grid.at[first[1:]], LENGTH)
    for start, end, root in zip(
        grid.at[first].tolist(), ends.tolist(), _roots(sound, grid.bar[first]).tolist(), strict=True
    ):
        for above in _CHORDS[sound.mode][root]:
            hz = pitch_hz(_PAD_OCTAVE + sound.key + root + above)
            for off in (1 - sound.artist.detune, 1 + sound.artist.detune):
                out[start:end] += tone(wave, hz * off, end - start, start)
    at, _ = grid.hits(RHYTHMS[sound.rhythm].force("stab"), rng)
    stab = np.float32(sound.properties["stab"])
    out *= np.float32(0.4) * (1 - stab + 2 * stab * np.exp(since(at, LENGTH) / -0.1))
    return out


def _lead(sound: Sound, grid: Grid, rng: np.random.Generator) -> Array:
    """Short notes of the chord, the root most of all, on steps by chance; the bar repeats."""
    wave = table(sound.properties["tone_edge"], pitch_hz(_LEAD_OCTAVE + 24))
    played = rng.random(STEPS) < sound.properties["density"]
    degree = rng.choice(3, STEPS, p=[0.5, 0.2, 0.3])
    octave = 12 * rng.integers(0, 2, STEPS)
    roots = _roots(sound, grid.bar)
    envelope = decay(frames(0.35), 0.09)
    shots: dict[float, Array] = {}
    out = np.zeros(LENGTH, np.float32)
    for at, step, root in zip(grid.at.tolist(), grid.step.tolist(), roots.tolist(), strict=True):
        if not played[step]:
            continue
        above = _CHORDS[sound.mode][root][degree[step]]
        pitch = _LEAD_OCTAVE + sound.key + root + above + int(octave[step])
        if pitch not in shots:
            shots[pitch] = tone(wave, pitch_hz(pitch), len(envelope)) * envelope
        part = out[at : at + len(envelope)]
        part += shots[pitch][: len(part)]
    return out


def _coloured(mixed: Array, tilt_db: float, hz: float, resonance_db: float) -> Array:
    """The mix with more or less above 1 kHz than below, and around a frequency."""
    pole = np.exp(-2 * np.pi * 1000 / RATE)
    low = lfilter([1 - pole], [1, -pole], mixed)
    gain = 10 ** (tilt_db / 40)
    tilted = low / gain + (mixed - low) * gain
    band = sosfilt(
        butter(1, [hz / 1.4, min(hz * 1.4, 0.45 * RATE)], "bandpass", fs=RATE, output="sos"), tilted
    )
    result: Array = tilted + (10 ** (resonance_db / 20) - 1) * band
    return result

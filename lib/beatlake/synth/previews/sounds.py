"""What a clip is planted with: a recording's own tempo and key, and its genre's and artist's sound.

`data/genre_sounds.csv` holds, per genre, how often each rhythm occurs and the middle of each
property of its sound. An artist's own sound shifts them all, and so does chance in each clip
(`SPREADS`); genres overlap widely in what an average spectrum shows, less in what happens in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from beatlake.synth.genres import genres, records
from beatlake.synth.previews.rhythms import RHYTHMS, STEPS, STEPS_OF_A_BEAT
from beatlake.synth.randomness import Array, stream


@dataclass(frozen=True)
class Spread:
    """How far a property lies from its genre's: standard deviations, and the limits.

    Where `ratio`, the deviations are of its natural logarithm.
    """

    artist: float
    clip: float
    low: float
    high: float
    ratio: bool = False


SPREADS = {
    "swing": Spread(0.015, 0.01, 0.0, 0.33),  # of a step, by which every second one is late
    "movement": Spread(0.15, 0.1, 0.0, 1.0),  # probability that the chords change
    "pump": Spread(0.08, 0.06, 0.0, 0.9),  # by how much a kick ducks bass and chords
    "stab": Spread(0.12, 0.08, 0.0, 1.0),  # from chords that are held to short ones
    "wobble": Spread(0.08, 0.06, 0.0, 1.0),  # how much the bass's brightness swings
    "length_s": Spread(0.2, 0.15, 0.04, 1.2, ratio=True),  # decay of a bass note
    "density": Spread(0.1, 0.08, 0.05, 1.0),  # probability of a lead note on a step
    "hats": Spread(0.1, 0.08, 0.0, 1.0),  # see `rhythms.hats`
    "kick_db": Spread(2.0, 1.5, -12.0, 6.0),
    "snare_db": Spread(3.0, 2.0, -18.0, 3.0),
    "hats_db": Spread(4.0, 2.5, -30.0, -4.0),
    "bass_db": Spread(3.0, 2.5, -18.0, 3.0),
    "pad_db": Spread(3.5, 3.0, -30.0, -3.0),
    "lead_db": Spread(3.5, 3.0, -30.0, -3.0),
    "noise_db": Spread(5.0, 4.0, -55.0, -22.0),
    "bass_edge": Spread(0.2, 0.12, 0.0, 1.0),  # from near a sine to a saw
    "tone_edge": Spread(0.2, 0.12, 0.0, 1.0),  # the same of chords and lead
    "cutoff_oct": Spread(0.6, 0.4, 9.0, 13.2),  # log2 of the low-pass filter's frequency
    "drive": Spread(0.25, 0.15, 1.0, 6.0, ratio=True),  # before saturation
}


@dataclass(frozen=True)
class ArtistSound:
    """What all clips of an artist share: the shift of each property, and a colour of its own."""

    shift: dict[str, float]
    tilt_db: float
    resonance_hz: float
    resonance_db: float
    echo: float
    echo_steps: int
    kick_hz: float
    snare_hz: float
    hats_hz: float
    detune: float


@dataclass(frozen=True)
class Sound:
    """Everything that decides a clip but its noise; `properties` are those of `SPREADS`."""

    genre_id: int
    tempo: int
    key: int
    mode: int
    rhythm: str
    first_step: int
    moves: bool
    properties: dict[str, float]
    artist: ArtistSound


@cache
def _table() -> dict[int, dict[str, float]]:
    return {
        int(row["genre_id"]): {name: float(value) for name, value in row.items()}
        for row in records("genre_sounds.csv")
    }


def artist_sound(artist: int, seed: int) -> ArtistSound:
    """The sound of an artist; any process finds the same."""
    rng = stream(seed, "artist sound", artist)
    shift = {
        name: spread.artist * z
        for (name, spread), z in zip(SPREADS.items(), _normal(rng, len(SPREADS)), strict=True)
    }
    tilt, resonance = _normal(rng, 2)
    return ArtistSound(
        shift={name: round(float(value), 4) for name, value in shift.items()},
        tilt_db=round(3.0 * float(tilt), 3),
        resonance_hz=round(float(200 * 25 ** rng.random()), 1),
        resonance_db=round(5.0 * float(resonance), 3),
        echo=round(float(0.5 * rng.random() ** 2), 4),
        echo_steps=int(rng.choice([2, 3, 4, 6])),
        kick_hz=round(float(rng.uniform(44, 62)), 2),
        snare_hz=round(float(rng.uniform(900, 2600)), 1),
        hats_hz=round(float(rng.uniform(4500, 8000)), 1),
        detune=round(float(rng.uniform(0.001, 0.006)), 5),
    )


def draw(
    genre: int, tempo: int, key: int, mode: int, artist: int, recording: int, seed: int
) -> Sound:
    """The sound of one recording.

    Args:
        genre: the genre's place in `genres()`.
        tempo: beats per minute.
        key: pitch class of the tonic, 0 is C.
        mode: 1 is major, 0 minor.
        artist: whose sound it has.
        recording: what the rest is drawn by.
        seed: the generator's.
    """
    genre_id = int(genres().ids[genre])
    middle, own = _table()[genre_id], artist_sound(artist, seed)
    rng = stream(seed, "clip sound", recording)
    properties = {}
    for (name, spread), z in zip(SPREADS.items(), _normal(rng, len(SPREADS)), strict=True):
        step = own.shift[name] + spread.clip * float(z)
        value = middle[name] * float(np.exp(step)) if spread.ratio else middle[name] + step
        properties[name] = round(min(max(value, spread.low), spread.high), 4)
    shares = np.array([middle[name] for name in RHYTHMS])
    place = int(np.searchsorted(np.cumsum(shares)[:-1], rng.random(), side="right"))
    return Sound(
        genre_id=genre_id,
        tempo=tempo,
        key=key,
        mode=mode,
        rhythm=list(RHYTHMS)[place],
        first_step=int(rng.integers(STEPS // STEPS_OF_A_BEAT)) * STEPS_OF_A_BEAT,
        moves=bool(rng.random() < properties["movement"]),
        properties=properties,
        artist=own,
    )


def _normal(rng: np.random.Generator, number: int) -> Array:
    """Normal draws without far tails."""
    return np.clip(rng.standard_normal(number), -2.5, 2.5)

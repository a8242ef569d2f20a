"""Rhythms as bars of sixteen steps: which drum or bass note falls on which step, and how hard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beatlake.synth.randomness import Array

STEPS = 16
STEPS_OF_A_BEAT = 4

#: How hard a step is hit: not at all, ghost notes, full.
_FORCE = {".": 0.0, "o": 0.45, "x": 1.0}
#: The steps between the eighths.
_OFF = np.arange(STEPS) % 2 == 1


@dataclass(frozen=True)
class Rhythm:
    """One bar of a rhythm, a character for each step."""

    kick: str
    snare: str
    bass: str
    stab: str

    def force(self, part: str) -> Array:
        """How hard each step of a part is hit.

        >>> RHYTHMS["half_time"].force("snare").nonzero()[0].tolist()
        [8]
        """
        return np.array([_FORCE[step] for step in getattr(self, part)])


RHYTHMS = {
    "four_on_the_floor": Rhythm(
        kick="x...x...x...x...",
        snare="....x.......x...",
        bass="..x...x...x...xo",
        stab="..x..x....x..x..",
    ),
    "rolling": Rhythm(
        kick="x...x...x...x...",
        snare="....o.......o...",
        bass=".xxx.xxx.xxx.xxx",
        stab="..x...x...x...x.",
    ),
    "broken_beat": Rhythm(
        kick="x.....x...x.....",
        snare="....x.......x..o",
        bass="x.....x...x..x..",
        stab="...x......x.....",
    ),
    "breakbeat": Rhythm(
        kick="x.x.......x.....",
        snare="....x..o.o..x..o",
        bass="x.....x.......x.",
        stab="x.......x.......",
    ),
    "two_step": Rhythm(
        kick="x.........x....o",
        snare="....x.......x...",
        bass="x..x......x..x..",
        stab="..x...x...x...x.",
    ),
    "half_time": Rhythm(
        kick="x.............o.",
        snare="........x.......",
        bass="x.......x.......",
        stab="x...............",
    ),
    "syncopated": Rhythm(
        kick="x...o...x...o...",
        snare="...x..x....x..o.",
        bass="x..x..x.x..x..x.",
        stab="....x.....x.....",
    ),
    "electro": Rhythm(
        kick="x.....x...x.x...",
        snare="....x.......x...",
        bass="x.x.x.xxx.x.x.xx",
        stab="x......x..x.....",
    ),
    "sparse": Rhythm(
        kick="x.......o.......",
        snare="............o...",
        bass="x...............",
        stab="x.......x.......",
    ),
}


def hats(density: float) -> Array:
    """How hard each step of the hats is hit: off beats always, beats and sixteenths by density.

    >>> hats(0.5)[:4].tolist()
    [0.5, 0.25, 1.0, 0.25]
    """
    force = np.where(np.arange(STEPS) % STEPS_OF_A_BEAT == 2, 1.0, density)
    return np.where(_OFF, density**2, force)

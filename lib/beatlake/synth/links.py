"""Links between artists and tracks, releases and labels, without repeated pairs."""

from __future__ import annotations

import numpy as np

from beatlake.synth.people import guests, known_to_beatport
from beatlake.synth.randomness import Array
from beatlake.synth.world import People

_SLICE = 1 << 20


def guest_links(
    rec: Array, rel: Array, artist: Array, people: People, seed: int, *, beatport: bool
) -> tuple[Array, Array, Array]:
    """Tracks with guests, the ends of "at least one, two, three guests", and release pairs.

    The pairs are distinct keys `release * people.total + artist`, sorted, of the main artists and
    guests of all tracks.
    """
    tracks: list[list[Array]] = [[], [], []]
    keys: list[Array] = []
    for start in range(0, len(rec), _SLICE):
        part = slice(start, start + _SLICE)
        own = rec[part].astype(np.int64)
        release = rel[part].astype(np.int64) * people.total
        found = guests(own, artist[own], people, seed)
        if beatport:
            found = known_to_beatport(found, people)
        pairs = [release + artist[own]]
        for k in range(3):
            rows = np.flatnonzero(found[:, k] >= 0)
            tracks[k].append((rows + start).astype(np.int32))
            pairs.append(release[rows] + found[rows, k])
        keys.append(np.unique(np.concatenate(pairs)))
    per_k = [np.concatenate(parts) for parts in tracks]
    edges = np.cumsum([len(rows) for rows in per_k])
    return np.concatenate(per_k), edges, np.unique(np.concatenate(keys))


def exactly(
    keys: Array, wanted: int, releases: int, people: People, rng: np.random.Generator
) -> Array:
    """The keys, completed by artists without a track there, or thinned out, to `wanted` keys."""
    if len(keys) > wanted:
        return np.sort(rng.permutation(keys)[:wanted])
    while (gap := wanted - len(keys)) > 0:
        release = rng.integers(0, releases, gap)
        artist = people.sp_artist(rng.integers(0, people.sp_main + people.sp_guests, gap))
        keys = np.union1d(keys, release * people.total + artist)
    return keys

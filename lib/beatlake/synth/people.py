"""Artists: who made which recording, who appears on it as a guest, who remixed it."""

from __future__ import annotations

import numpy as np

from beatlake.synth.randomness import Array, below, partition, stream, uniform
from beatlake.synth.shape import Counts
from beatlake.synth.world import People

# Shares of recordings with at least one, two, three guests.
GUEST_SHARES = (0.31, 0.07, 0.02)
REMIX_SHARE = 0.7
_SKEW = 2.0


def people_of(counts: Counts) -> People:
    """How the artist numbers are laid out at these counts."""
    new_on_bp = counts.bp_main_artist // 2
    return People(
        sp_main=counts.sp_main_artist,
        guests_from=counts.sp_main_artist + new_on_bp,
        sp_guests=counts.sp_artist - counts.sp_main_artist,
        bp_guests=counts.bp_guest_artist,
    )


def main_artists(counts: Counts, people: People, seed: int) -> tuple[Array, Array]:
    """The main artist of every recording, ascending within each of the two regions.

    Half of the artists of the Beatport region are also those of the Spotify region.
    """
    rng = stream(seed, "artists")
    on_sp = partition(counts.sp_recordings, people.sp_main, 1.5, rng)
    new = people.guests_from - people.sp_main
    shared = np.sort(rng.permutation(people.sp_main)[: counts.bp_main_artist - new])
    on_bp = np.concatenate([shared, people.sp_main + np.arange(new)])
    sizes = partition(counts.bp_recordings, len(on_bp), 1.3, rng)
    sp_region = np.repeat(np.arange(people.sp_main, dtype=np.int32), on_sp)
    return sp_region, np.repeat(on_bp.astype(np.int32), sizes)


def guests(recording: Array, artist: Array, people: People, seed: int) -> Array:
    """Up to three guests per recording as a matrix (n, 3) of artist numbers, -1 where none.

    A guest differs from the main artist and from the other guests.
    """
    number = uniform(recording, seed, "guests")
    found = np.full((len(recording), 3), -1, np.int64)
    for k, share in enumerate(GUEST_SHARES):
        rows = np.flatnonzero(number < share)
        own = recording[rows]
        kind = uniform(own, seed, f"guest kind {k}")
        start = np.where(kind < 0.20, 0, people.guests_from)
        size = np.where(kind < 0.20, people.sp_main, people.bp_guests)
        only_sp = kind >= 0.75
        start = np.where(only_sp, people.guests_from + people.bp_guests, start)
        size = np.where(only_sp, people.sp_guests - people.bp_guests, size)
        place = (uniform(own, seed, f"guest {k}") ** _SKEW * size).astype(np.int64)
        for _ in range(3):
            taken = start + place == artist[rows]
            for earlier in range(k):
                taken |= start + place == found[rows, earlier]
            place = np.where(taken, (place + 1) % size, place)
        found[rows, k] = start + place
    return found


def known_to_beatport(found: Array, people: People) -> Array:
    """The guests that Beatport lists, moved to the front; -1 where none."""
    kept = np.where(found < people.guests_from + people.bp_guests, found, -1)
    order = np.argsort(kept < 0, axis=1, kind="stable")
    return np.take_along_axis(kept, order, axis=1)


def remixers(recording: Array, found: Array, people: People, seed: int) -> Array:
    """The remixer of each recording, -1 where it is no remix; `found` as `guests` gives it.

    The remixer is the first guest, if Beatport knows that artist.
    """
    known = (found[:, 0] >= 0) & (found[:, 0] < people.guests_from + people.bp_guests)
    remix = known & (uniform(recording, seed, "remix") < REMIX_SHARE)
    return np.where(remix, found[:, 0], -1)


def home_label(artist: Array, labels: int, seed: int) -> Array:
    """The label that releases most of an artist's music; few labels have many artists."""
    return (uniform(artist, seed, "home label") ** 2.5 * labels).astype(np.int32)


def release_labels(release_artist: Array, labels: int, seed: int, side: str) -> Array:
    """The label of each release: mostly its artist's own, else any."""
    index = np.arange(len(release_artist))
    other = (uniform(index, seed, "label " + side) ** 2 * labels).astype(np.int32)
    own = home_label(release_artist, labels, seed)
    foreign = (release_artist < 0) | (below(index, 100, seed, "foreign label " + side) < 35)
    return np.where(foreign, other, own).astype(np.int32)

"""The catalogue as arrays: everything that two files must agree on.

Recordings come in two regions: first those on Spotify (`counts.sp_recordings`), then those that
only Beatport has; within each region the recordings of an artist, and of a release, are
neighbours. Files are rows of arrays below in a shuffled order. What one file alone shows (titles,
ids, addresses) is computed when its rows are written.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from beatlake.synth.randomness import Array, uniform
from beatlake.synth.shape import Counts

# Popularity is missing for some tracks, whatever it is: a fetch that failed says nothing.
FETCHED_SHARE = 0.97


@dataclass(frozen=True)
class Rec:
    """One entry per recording; the audio columns end with the Spotify region."""

    n_sp: Array
    n_bp: Array
    has_isrc: Array
    has_audio: Array
    artist: Array
    genre: Array
    year: Array
    bpm: Array
    acousticness: Array
    danceability: Array
    duration_ms: Array
    energy: Array
    instrumentalness: Array
    liveness: Array
    loudness: Array
    speechiness: Array
    tempo: Array
    valence: Array
    key: Array
    mode: Array
    time_signature: Array


@dataclass(frozen=True)
class Spotify:
    """Tracks (`rec`, `rel`, `popularity`), releases (`rel_*`) and links of the Spotify side.

    A release's tracks are the `rel_size` rows from `rel_start`. `guest_track` lists the tracks with
    at least one, two, three guests one after another; `guest_edges` are the ends of the three.
    `rel_artist` is -1 for compilations.
    """

    rec: Array
    rel: Array
    popularity: Array
    rel_day: Array
    rel_precision: Array
    rel_artist: Array
    rel_label: Array
    rel_genre: Array
    rel_start: Array
    rel_size: Array
    rel_popularity: Array
    rel_type: Array
    guest_track: Array
    guest_edges: Array
    link_release: Array
    link_artist: Array


@dataclass(frozen=True)
class Beatport:
    """Rows (`rec`, `rel`, `genre`, `subgenre`), releases (`rel_*`) and links of the Beatport side.

    The first row of each recording comes before all repeated ones; `guest_row` is to rows what
    `guest_track` is to Spotify's tracks, with the guests that Beatport knows. `rel_artist` is -1
    for compilations.
    """

    rec: Array
    rel: Array
    genre: Array
    subgenre: Array
    rel_day: Array
    rel_artist: Array
    rel_label: Array
    guest_row: Array
    guest_edges: Array
    link_release: Array
    link_artist: Array
    label_label: Array
    label_artist: Array


@dataclass(frozen=True)
class People:
    """Who is known where: artist numbers run over main artists, then guests.

    Spotify knows the first `sp_main` numbers and `sp_guests` from `guests_from`; Beatport knows all
    below `guests_from` and `bp_guests` from there.
    """

    sp_main: int
    guests_from: int
    sp_guests: int
    bp_guests: int

    @property
    def total(self) -> int:
        """All artists of either side."""
        return self.guests_from + self.sp_guests

    def sp_artist(self, place: Array) -> Array:
        """The artist at a place of Spotify's list."""
        return np.where(place < self.sp_main, place, place - self.sp_main + self.guests_from)


@dataclass(frozen=True)
class World:
    """The whole catalogue at one scale and seed."""

    counts: Counts
    seed: int
    people: People
    rec: Rec
    sp: Spotify
    bp: Beatport

    @cached_property
    def audio_recordings(self) -> Array:
        """The recordings with audio features."""
        return np.flatnonzero(self.rec.has_audio).astype(np.int32)

    @cached_property
    def fetched_tracks(self) -> Array:
        """The Spotify tracks whose popularity was fetched."""
        index = np.arange(len(self.sp.rec))
        fetched = uniform(index, self.seed, "fetched") < FETCHED_SHARE
        return np.flatnonzero(fetched).astype(np.int32)

    def save(self, folder: Path) -> None:
        """Write every array to a file of its own, for other processes to map."""
        for part in ("rec", "sp", "bp"):
            group = getattr(self, part)
            for field in fields(group):
                np.save(folder / f"{part}.{field.name}.npy", getattr(group, field.name))

    @classmethod
    def load(cls, folder: Path, counts: Counts, seed: int, people: People) -> World:
        """The world whose arrays `save` wrote, mapped rather than read."""

        def mapped(part: str, kind: type) -> dict[str, Array]:
            return {
                field.name: np.asarray(np.load(folder / f"{part}.{field.name}.npy", mmap_mode="r"))
                for field in fields(kind)
            }

        return cls(
            counts,
            seed,
            people,
            Rec(**mapped("rec", Rec)),
            Spotify(**mapped("sp", Spotify)),
            Beatport(**mapped("bp", Beatport)),
        )

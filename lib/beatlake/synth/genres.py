"""Beatport's genres: the real genre and subgenre files, and a profile of the sound of each genre.

`data/bp_genre.csv` and `data/bp_subgenre.csv` are the real files. `data/genre_profiles.csv` holds,
per genre, the number of matched ISRC at scale 1 (the ten largest are published, the others follow
`song_count`), the tempo that producers write (mean, spread, share written at half time), and the
shift of each audio feature in units of its latent normal variable (fitted to the published means of
energy, danceability and loudness by genre).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from beatlake.synth.randomness import Array

DRUM_AND_BASS = 1
# Subgenre ids that occur under two genres, which makes a join on subgenre_id alone repeat rows.
REPEATED_SUBGENRES = (210, 233)

FEATURES = (
    "acousticness",
    "danceability",
    "duration_ms",
    "energy",
    "instrumentalness",
    "liveness",
    "loudness",
    "speechiness",
    "tempo",
    "valence",
)


def data_bytes(name: str) -> bytes:
    """The bytes of one of the package's data files."""
    return (resources.files("beatlake.synth") / "data" / name).read_bytes()


def records(name: str) -> list[dict[str, str]]:
    """The rows of one of the package's data files."""
    return list(csv.DictReader(io.StringIO(data_bytes(name).decode(), newline="")))


@dataclass(frozen=True)
class Genres:
    """All genres in ascending id; "genre index" elsewhere means the place in these arrays."""

    ids: Array
    names: list[str]
    song_count: Array
    matched: Array
    bpm_mean: Array
    bpm_sd: Array
    half_time: Array
    shift: Array


@dataclass(frozen=True)
class Subgenres:
    """The 74 (subgenre, genre) pairs; index 0 stands for "no subgenre"."""

    ids: Array
    genre_index: Array
    share_of_genre: Array
    repeated: Array


@cache
def genres() -> Genres:
    """The genres with their profiles."""
    profiles = {int(row["genre_id"]): row for row in records("genre_profiles.csv")}
    rows = sorted(records("bp_genre.csv"), key=lambda row: int(row["genre_id"]))
    ids = [int(row["genre_id"]) for row in rows]

    def column(name: str) -> Array:
        return np.array([float(profiles[i][name]) for i in ids])

    return Genres(
        ids=np.array(ids, np.int64),
        names=[row["genre_name"] for row in rows],
        song_count=np.array([float(row["song_count"]) for row in rows]),
        matched=column("matched_isrc"),
        bpm_mean=column("bpm_mean"),
        bpm_sd=column("bpm_sd"),
        half_time=column("half_time_share"),
        shift=np.stack([column(name) for name in FEATURES], axis=1),
    )


@cache
def subgenres() -> Subgenres:
    """The subgenre pairs with the share of their genre's tracks that carry them."""
    known = genres()
    place = {int(g): i for i, g in enumerate(known.ids)}
    rows = records("bp_subgenre.csv")
    ids = [0] + [int(row["subgenre_id"]) for row in rows]
    index = [0] + [place[int(row["genre_id"])] for row in rows]
    share = [0.0] + [
        float(row["song_count"]) / float(known.song_count[place[int(row["genre_id"])]])
        for row in rows
    ]
    return Subgenres(
        ids=np.array(ids, np.int64),
        genre_index=np.array(index, np.int64),
        share_of_genre=np.array(share),
        repeated=np.isin(ids, REPEATED_SUBGENRES),
    )


def draw_subgenres(genre: Array, u: Array) -> Array:
    """A subgenre index (0 = none) per row from its genre index and a uniform number."""
    pairs = subgenres()
    drawn = np.zeros(len(genre), np.uint8)
    for index in range(len(genres().ids)):
        own = np.flatnonzero(pairs.genre_index[1:] == index) + 1
        if len(own) == 0:
            continue
        edges = np.cumsum(pairs.share_of_genre[own])
        edges *= min(1.0, 1.0 / edges[-1])
        choice = np.append(own, 0).astype(np.uint8)
        rows = np.flatnonzero(genre == index)
        drawn[rows] = choice[np.searchsorted(edges, u[rows], side="right")]
    return drawn


def systematic(sizes: Array, shares: Array, order: Array) -> Array:
    """A class per unit so that the classes' total sizes follow `shares` almost exactly.

    The units, taken in `order`, lie end to end on a line that is cut by the cumulated shares; the
    error of a class is at most one unit at each end.
    """
    laid = sizes[order].astype(np.float64)
    middle = (np.cumsum(laid) - laid / 2) / laid.sum()
    edges = np.cumsum(shares) / np.sum(shares)
    drawn = np.empty(len(sizes), np.uint8)
    drawn[order] = np.minimum(np.searchsorted(edges, middle, side="right"), len(shares) - 1)
    return drawn

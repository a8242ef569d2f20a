"""Releases: own releases hold neighbouring recordings, compilations hold the repeated ones.

The first track of a recording sits on a release of its artist; every further track of the same ISRC
sits on a compilation. So the number of extra tracks of the shape is the size of the compilations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beatlake.synth import dates
from beatlake.synth.genres import genres, systematic
from beatlake.synth.people import release_labels
from beatlake.synth.randomness import Array, partition, stream, uniform
from beatlake.synth.shape import Counts

SINGLE, ALBUM, COMPILATION = 0, 1, 2
_OTHER_GENRE_SHARE = 0.15
_YEAR_ONLY, _YEAR_ONLY_OLD, _MONTH_ONLY, _PLACEHOLDER = 0.03, 0.25, 0.004, 0.02


def own_releases(artist: Array, releases: int, rng: np.random.Generator) -> Array:
    """The release number of each recording; a release holds neighbours of one artist."""
    starts = np.empty(len(artist), bool)
    starts[0] = True
    starts[1:] = artist[1:] != artist[:-1]
    open_places = np.flatnonzero(~starts)
    cuts = releases - int(starts.sum())
    starts[rng.permutation(open_places)[:cuts]] = True
    result: Array = np.cumsum(starts, dtype=np.int32) - np.int32(1)
    return result


@dataclass(frozen=True)
class OwnReleases:
    """Own releases of both regions: those with Spotify tracks first; `of` maps recordings."""

    of: Array
    artist: Array
    genre: Array
    day: Array
    on_spotify: int


def make_own_releases(
    artist: Array, n_bp: Array, counts: Counts, seed: int
) -> tuple[OwnReleases, Array]:
    """The own releases, and the genre of every recording.

    Genres follow artists, and the published shares of matched ISRC in the Spotify region; in the
    Beatport region they make up what is missing to the real `song_count` shares.
    """
    rng = stream(seed, "own releases")
    n_s = counts.sp_recordings
    on_sp = own_releases(artist[:n_s], counts.sp_own_release, rng)
    on_bp = own_releases(artist[n_s:], counts.bp_own_release, rng)
    of = np.concatenate([on_sp, on_bp + np.int32(counts.sp_own_release)])
    first = np.flatnonzero(np.diff(of, prepend=-1))
    owner = artist[first]
    split = counts.sp_own_release

    share = genres().matched / genres().matched.sum()
    tracks = np.bincount(of, minlength=len(first))
    names, place = np.unique(owner[:split], return_inverse=True)
    sizes = np.bincount(place, weights=tracks[:split])
    artist_genre = systematic(sizes, share, rng.permutation(len(names)))
    genre = np.empty(len(first), np.uint8)
    genre[:split] = artist_genre[place]
    # A genre that got too much by a large artist gives more of its releases away.
    got = np.bincount(genre[:split], tracks[:split], minlength=len(share))
    due = (1 - _OTHER_GENRE_SHARE) * share * counts.sp_recordings
    moved = rng.random(split) < (1 - due / np.maximum(got, 1))[genre[:split]]
    other = np.flatnonzero(moved)
    settled = np.bincount(genre[:split][~moved], tracks[:split][~moved], minlength=len(share))
    lacking = np.maximum(share * counts.sp_recordings - settled, 0)
    genre[other] = systematic(tracks[other], lacking, rng.permutation(len(other)))

    wanted = genres().song_count / genres().song_count.sum() * counts.bp_track
    have = np.bincount(genre[of[:n_s]], weights=n_bp[:n_s], minlength=len(wanted))
    missing = np.maximum(wanted - have, 0.02 * wanted)
    bp_names, bp_place = np.unique(owner[split:], return_inverse=True)
    rows = np.bincount(of[n_s:] - split, weights=n_bp[n_s:], minlength=len(first) - split)
    bp_sizes = np.bincount(bp_place, weights=rows)
    likely = rng.choice(len(wanted), len(bp_names), p=missing / missing.sum()).astype(np.uint8)
    shared = np.isin(bp_names, names)
    likely[shared] = artist_genre[np.searchsorted(names, bp_names[shared])]
    order = np.lexsort((rng.random(len(bp_names)), likely))
    genre[split:] = systematic(bp_sizes, missing, order)[bp_place]
    return (
        OwnReleases(of, owner, genre, dates.release_days(len(first), rng), split),
        genre[of],
    )


def spotify_dates(day: Array, seed: int) -> tuple[Array, Array]:
    """Spotify's date and precision of releases whose Beatport date is `day`.

    Some come up to four weeks later, some only name a year or month, some put 1 January for "some
    day of that year".
    """
    index = np.arange(len(day))
    delay = 28 * uniform(index, seed, "spotify delay")
    late = uniform(index, seed, "spotify late") < 0.3
    day = np.minimum(day + np.where(late, delay, 0).astype(np.int32), dates.LAST_DAY)
    old = dates.year_of(day) < 1995
    kind = uniform(index, seed, "precision")
    year_only = kind < np.where(old, _YEAR_ONLY_OLD, _YEAR_ONLY)
    month_only = kind > 1 - _MONTH_ONLY
    placeholder = uniform(index, seed, "placeholder") < _PLACEHOLDER
    day = np.where(placeholder, dates.first_of_year(day), day).astype(np.int32)
    precision = np.where(year_only, dates.YEAR, np.where(month_only, dates.MONTH, dates.FULL))
    return day, precision.astype(np.uint8)


@dataclass(frozen=True)
class Tracks:
    """Tracks in the order of their releases' numbers, own releases before compilations."""

    rec: Array
    rel: Array
    start: Array
    size: Array


def place_tracks(
    home: Array, release: Array, times: Array, compilations: int, name: str, seed: int
) -> Tracks:
    """First tracks on own releases, the further `times - 1` of a recording on compilations.

    `home` lists the recordings with a track and `release` their own releases, numbered from 0
    without gaps.
    """
    rng = stream(seed, "compilations " + name)
    further = np.repeat(home, times[home].astype(np.int64) - 1)
    sizes = partition(len(further), compilations, 1.0, rng)
    own = int(release[-1]) + 1
    on = np.repeat(np.arange(own, own + compilations, dtype=np.int32), sizes)
    size = np.concatenate([np.bincount(release, minlength=own), sizes])
    start = np.cumsum(size) - size
    return Tracks(
        np.concatenate([home, rng.permutation(further)]).astype(np.int32),
        np.concatenate([release, on]).astype(np.int32),
        start.astype(np.int32),
        size.astype(np.int32),
    )


def release_types(size: Array, own: int, seed: int) -> Array:
    """SINGLE, ALBUM or COMPILATION by size; the first `own` releases are not compilations."""
    index = np.arange(len(size))
    u = uniform(index, seed, "album type")
    single = (size <= 7) | ((size <= 12) & (u < 0.5))
    kind = np.where(single, SINGLE, ALBUM)
    kind[own:] = np.where(u[own:] < 0.9, COMPILATION, ALBUM)
    return kind.astype(np.uint8)


def labels_of(artist: Array, counts: Counts, seed: int, side: str) -> Array:
    """The label of each release of one side."""
    return release_labels(artist, counts.label, seed, side)

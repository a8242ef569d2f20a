"""The planted signal: what makes a track or a release popular, with known coefficients.

Track popularity follows a Tobit model on the square-root scale:

    eta = intercept + artist + genre + season + season:genre + year + audio + release + noise
    popularity = min(100, floor(max(0, eta) ** 2 + 1/2))

* artist: Student t with 4 degrees of freedom per main artist (heavy tails), centred and scaled over
  the tracks;
* genre: the recording's own genre (that of its first Beatport row);
* season: meteorological, northern, of the track's release date as written; no effect where the
  date names no month; season:genre is the deviation of a genre in a season;
* year: of the same date, linear from 1990 to 2023;
* audio: features centred and divided by their published standard deviations; none without audio;
* release: normal, one per release; noise: normal, one per track.

Release popularity is `min(100, floor(max(0, xi) ** 2 + 1/2))` with xi from the release's artist,
genre, year and noise; compilations have no artist effect. It is another target, never mixed with
track popularity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beatlake.synth import dates
from beatlake.synth.features import normal_cdf
from beatlake.synth.genres import genres
from beatlake.synth.randomness import Array, stream

INTERCEPT = 1.45
ARTIST_SD = 1.25
RELEASE_SD = 0.45
NOISE_SD = 1.25
YEAR_PER_DECADE = 0.30
YEAR_CENTRE = 2016
SEASONS = ("winter", "spring", "summer", "autumn")
SEASON = (-0.02, 0.0, 0.045, -0.01)
SEASON_GENRE_SD = 0.12
GENRE_SD = 0.35
AUDIO = {
    "energy": 0.10,
    "danceability": 0.14,
    "loudness": 0.10,
    "instrumentalness": -0.16,
    "acousticness": -0.05,
    "valence": 0.04,
}
AUDIO_CENTRE = {
    "energy": (0.71490, 0.20974),
    "danceability": (0.67628, 0.15736),
    "loudness": (-9.2155, 4.1689),
    "instrumentalness": (0.63361, 0.34324),
    "acousticness": (0.11152, 0.22410),
    "valence": (0.39578, 0.25555),
}

RELEASE_INTERCEPT = -1.05
RELEASE_ARTIST = 1.2
RELEASE_GENRE = 0.8
RELEASE_NOISE_SD = 2.2
COMPILATION_LIFT = 0.4

BINS = (0.0, 83 / 3, 2 * 83 / 3)


@dataclass(frozen=True)
class Effects:
    """The drawn effects: one per artist, per genre, and per season and genre."""

    artist: Array
    genre: Array
    season_genre: Array


def draw_effects(artists: int, weight: Array, seed: int) -> Effects:
    """Effects for `artists` artists; `weight` is the number of tracks of each (0 where none).

    The genre effects are the same for every seed and scale, so that coefficients can be compared
    between runs; the artist effects depend on the seed.
    """
    known = len(genres().ids)
    fixed = stream(0, "genre effects")
    genre = GENRE_SD * fixed.standard_normal(known)
    share = genres().matched / genres().matched.sum()
    genre -= (genre * share).sum()
    season_genre = SEASON_GENRE_SD * fixed.standard_normal((len(SEASONS), known))
    season_genre -= season_genre.mean(axis=0)
    season_genre -= (season_genre * share).sum(axis=1, keepdims=True)
    artist = np.clip(stream(seed, "artist effects").standard_t(4, artists), -5, 5)
    total = weight.sum()
    artist -= (artist * weight).sum() / total
    artist *= ARTIST_SD / np.sqrt((artist**2 * weight).sum() / total)
    return Effects(artist, np.round(genre, 4), np.round(season_genre, 4))


def season_of(month: Array) -> Array:
    """0 winter (December to February) .. 3 autumn.

    >>> season_of(np.array([12, 1, 3, 8, 11])).tolist()
    [0, 0, 1, 2, 3]
    """
    return month % 12 // 3


def year_effect(year: Array) -> Array:
    """The planted effect of a release year."""
    return YEAR_PER_DECADE * (np.clip(year, 1990, 2023) - YEAR_CENTRE) / 10


def date_effect(day: Array, precision: Array, genre: Array, effects: Effects) -> Array:
    """Season, season by genre and year of releases, from the date as written."""
    season = season_of(dates.month_of(day))
    seasonal = np.array(SEASON)[season] + effects.season_genre[season, genre]
    return np.where(precision == dates.YEAR, 0.0, seasonal) + year_effect(dates.year_of(day))


def audio_effect(values: dict[str, Array]) -> Array:
    """The planted effect of the audio features."""
    effect = np.zeros(len(values["energy"]))
    for name, coefficient in AUDIO.items():
        centre, spread = AUDIO_CENTRE[name]
        effect += coefficient * (values[name] - centre) / spread
    return effect


def popularity_of(eta: Array) -> Array:
    """The link from the latent scale to 0..100.

    >>> popularity_of(np.array([-1.0, 0.5, 2.0, 30.0])).tolist()
    [0, 0, 4, 100]
    """
    return np.minimum(np.floor(np.maximum(eta, 0) ** 2 + 0.5), 100).astype(np.uint8)


def quantiles(values: Array, weight: Array, number: int) -> Array:
    """So many of the values, ascending, that stand for all of them as often as they occur.

    >>> quantiles(np.array([2.0, 1.0, 3.0]), np.array([2, 1, 1]), 4).tolist()
    [1.0, 2.0, 2.0, 3.0]
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    wanted = (np.arange(number) + 0.5) / number * reached[-1]
    found: Array = values[order[np.searchsorted(reached, wanted)]]
    return found


class Expected:
    """What the best possible prediction is, given the part `mu` of eta that a model could know."""

    def __init__(self, unknown: Array) -> None:
        """Tabulate over a grid of `mu`; `unknown` is a sample of the rest without the noise."""
        self.grid = np.linspace(-8, 14, 221)
        edges = np.sqrt(np.arange(1, 101) - 0.5)
        cuts = np.sqrt(np.ceil(np.array(BINS[1:])) - 0.5)
        fine = np.linspace(-20, 25, 9001)
        reach = self.grid[:, None] + unknown[None, :]
        mean = sum(normal_cdf((fine - edge) / NOISE_SD) for edge in edges)
        over = [
            np.interp(reach, fine, normal_cdf((fine - cut) / NOISE_SD)).mean(axis=1) for cut in cuts
        ]
        self.mean = np.interp(reach, fine, mean).mean(axis=1)
        self.best_bin = np.stack([1 - over[0], over[0] - over[1], over[1]]).max(axis=0)

    def at(self, mu: Array) -> tuple[Array, Array]:
        """Expected popularity, and the probability of the likeliest of three equal-width bins."""
        return np.interp(mu, self.grid, self.mean), np.interp(mu, self.grid, self.best_bin)


def coefficients(effects: Effects) -> dict[str, object]:
    """All planted constants, for truth.json."""
    ids = [str(i) for i in genres().ids]
    return {
        "model": "popularity = min(100, floor(max(0, eta)^2 + 0.5))",
        "intercept": INTERCEPT,
        "artist_sd": ARTIST_SD,
        "artist_distribution": "Student t, 4 degrees of freedom, clipped to -5..5, standardised",
        "release_sd": RELEASE_SD,
        "noise_sd": NOISE_SD,
        "year_per_decade": YEAR_PER_DECADE,
        "year_centre": YEAR_CENTRE,
        "year_clipped_to": [1990, 2023],
        "season": dict(zip(SEASONS, SEASON, strict=True)),
        "genre": dict(zip(ids, effects.genre.tolist(), strict=True)),
        "season_genre": {
            season: dict(zip(ids, effects.season_genre[i].tolist(), strict=True))
            for i, season in enumerate(SEASONS)
        },
        "audio": AUDIO,
        "audio_standardised_by": {k: list(v) for k, v in AUDIO_CENTRE.items()},
        "release_popularity": {
            "model": "popularity = min(100, floor(max(0, xi)^2 + 0.5))",
            "intercept": RELEASE_INTERCEPT,
            "times_artist_effect": RELEASE_ARTIST,
            "times_genre_effect": RELEASE_GENRE,
            "noise_sd": RELEASE_NOISE_SD,
            "compilation": COMPILATION_LIFT,
            "year_effect": "as for tracks",
        },
    }

"""Audio features with the published margins and correlations.

A Gaussian copula: ten correlated normal variables, shifted by genre, are turned into uniform ones
by the exact mixture distribution over the genres and then into features by quantile functions. The
quantile functions pass through the published minimum, quartiles and maximum (some through one or
two more points); the power that bends each piece was fitted so that mean and standard deviation
are the published ones. `WITHIN` is the covariance within a genre, fitted so that the correlations
of the features over all genres are the published ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from beatlake.synth.genres import FEATURES, genres
from beatlake.synth.randomness import Array, stream, uniform

CHUNK = 1 << 17
_REACH = 7.0
_STEPS = 8192

WITHIN = np.array(
    [
        [0.913, -0.426, -0.120, -0.521, -0.103, 0.001, -0.495, -0.008, -0.143, -0.106],
        [-0.426, 0.706, 0.003, 0.158, -0.004, -0.002, 0.277, 0.012, 0.011, 0.257],
        [-0.120, 0.003, 0.826, -0.018, 0.151, 0.001, 0.055, 0.060, 0.004, 0.004],
        [-0.521, 0.158, -0.018, 0.791, 0.035, 0.131, 0.555, 0.128, 0.123, 0.200],
        [-0.103, -0.004, 0.151, 0.035, 0.896, -0.001, -0.081, -0.393, -0.007, -0.190],
        [0.001, -0.002, 0.001, 0.131, -0.001, 1.000, -0.001, -0.005, -0.000, -0.000],
        [-0.495, 0.277, 0.055, 0.555, -0.081, -0.001, 0.766, 0.092, 0.020, 0.161],
        [-0.008, 0.012, 0.060, 0.128, -0.393, -0.005, 0.092, 0.957, -0.042, -0.028],
        [-0.143, 0.011, 0.004, 0.123, -0.007, -0.000, 0.020, -0.042, 0.578, 0.047],
        [-0.106, 0.257, 0.004, 0.200, -0.190, -0.000, 0.161, -0.028, 0.047, 0.879],
    ]
)


@dataclass(frozen=True)
class Quantiles:
    """A quantile function: values at probabilities, and the bend of each piece between them."""

    at: tuple[float, ...]
    values: tuple[float, ...]
    bends: tuple[float, ...]

    def __call__(self, u: Array) -> Array:
        """The value at each probability; pieces below the median bend up, others down."""
        at, values, bends = np.array(self.at), np.array(self.values), np.array(self.bends)
        piece = np.clip(np.searchsorted(at, u, side="right") - 1, 0, len(bends) - 1)
        part = np.clip((u - at[piece]) / (at[piece + 1] - at[piece]), 0.0, 1.0)
        low, high = values[piece], values[piece + 1]
        upward = high - (high - low) * (1 - part) ** bends[piece]
        downward = low + (high - low) * part ** bends[piece]
        result: Array = np.where(at[piece] < 0.5, upward, downward)
        return result


_FOUR = (0.0, 0.25, 0.5, 0.75, 1.0)
_FIVE = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)
QUANTILES: dict[str, Quantiles] = {
    "acousticness": Quantiles(
        _FIVE, (0, 0.000982, 0.00917, 0.0850, 0.6195, 0.996), (1, 1.5, 2.2, 1.6, 0.368)
    ),
    "danceability": Quantiles(
        _FIVE, (0, 0.598, 0.713, 0.797, 0.8331, 1), (3.899, 0.8, 1.2, 1.1, 2)
    ),
    "duration_ms": Quantiles(
        (*_FIVE[:-1], 0.995, 1.0),
        (1000, 245_333, 341_160, 413_542, 540_000, 1_000_000, 6_074_945),
        (2.2, 1, 1, 1.8, 4, 5),
    ),
    "energy": Quantiles(_FIVE, (0, 0.584, 0.750, 0.886, 0.9779, 1), (2.878, 1, 1, 1.1, 1.5)),
    "instrumentalness": Quantiles(
        (0.0, 0.15, *_FOUR[1:]), (0, 0.03, 0.384, 0.818, 0.889, 1), (0.3, 1, 2.2, 1, 2)
    ),
    "liveness": Quantiles(_FIVE, (0, 0.0839, 0.110, 0.191, 0.4085, 1), (6, 1.1, 1.4, 1.2, 0.65)),
    "loudness": Quantiles(
        (0.0, 0.02, 0.25, 0.5, 0.75, 0.97, 1.0),
        (-60, -21, -11.059, -8.640, -6.590, -4, 5.485),
        (12, 3, 1, 1, 1, 6),
    ),
    "speechiness": Quantiles(
        _FIVE, (0, 0.0444, 0.0581, 0.0877, 0.2424, 0.969), (8, 1, 1.3, 1.6, 5.25)
    ),
    "tempo": Quantiles(_FOUR, (0, 120, 126, 133, 250), (10.679, 1.3, 1.3, 8.685)),
    "valence": Quantiles(_FOUR, (0, 0.176, 0.366, 0.586, 1), (1.087, 1, 1, 1.613)),
}

# Shares of key 0..11 with the published mean 5.557, standard deviation 3.691 and quartiles 2, 6, 9.
KEY_SHARES = (0.106, 0.126, 0.070, 0.030, 0.062, 0.067, 0.085, 0.108, 0.069, 0.090, 0.070, 0.117)
# Published mean 3.959 and standard deviation 0.318.
TIME_SIGNATURES = {0: 0.00025, 1: 0.005, 3: 0.029, 4: 0.95675, 5: 0.009}
MAJOR_SHARE = 0.5423
FAILED_ANALYSIS_SHARE = 0.001

# Stored as whole numbers; what one step is worth, per feature.
STEPS = {
    "danceability": 1000,
    "energy": 1000,
    "valence": 1000,
    "loudness": 1000,
    "liveness": 10_000,
    "speechiness": 10_000,
}


def normal_cdf(x: Array) -> Array:
    """The standard normal distribution function (Abramowitz and Stegun 7.1.26, error < 1e-7)."""
    z = np.abs(x) / np.sqrt(2.0)
    t = 1 / (1 + 0.3275911 * z)
    poly = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    half = 0.5 * poly * np.exp(-z * z)
    result: Array = np.where(x >= 0, 1 - half, half)
    return result


def significant(x: Array) -> Array:
    """The code of the nearest number with three significant digits (see `text_of_significant`).

    >>> codes = significant(np.array([0.0, 0.0000233, 0.00917, 0.9961]))
    >>> [text_of_significant()[code] for code in codes]
    ['0', '2.33e-5', '0.00917', '0.996']
    """
    x = np.where(x < 1e-6, 0.0, x)
    exponent = np.floor(np.log10(np.where(x > 0, x, 1.0)) + 1e-12).astype(np.int64)
    digits = np.rint(x / 10.0 ** (exponent - 2)).astype(np.int64)
    code = (exponent + 6) * 900 + digits - 99
    return np.where(x > 0, code, 0).astype(np.uint16)


@cache
def text_of_significant() -> tuple[str, ...]:
    """The text of every code of `significant`: `0`, `1e-6` .. `9.99e-5`, `0.0001` .. `1`."""
    texts = ["0"]
    for exponent in range(-6, 1):
        for digits in range(100, 1000):
            if exponent < -4:
                mantissa = f"{digits / 100:.2f}".rstrip("0").rstrip(".")
                texts.append(f"{mantissa}e{exponent}")
            else:
                value = f"{digits / 100 * 10.0**exponent:.6f}"
                texts.append(value.rstrip("0").rstrip("."))
    return tuple(texts)


class Sampler:
    """Draws the features of recordings of given genres."""

    def __init__(self, seed: int) -> None:
        """Tabulate, per feature, the way from its latent normal variable to its value."""
        self.seed = seed
        profile = genres()
        share = profile.matched / profile.matched.sum()
        spread = np.sqrt(np.diag(WITHIN))
        grid = np.linspace(-_REACH, _REACH, _STEPS + 1)
        self.cholesky = np.linalg.cholesky(WITHIN)
        self.shift = profile.shift
        self.tables = {}
        for j, name in enumerate(FEATURES):
            cdf = np.zeros_like(grid)
            for i, weight in enumerate(share):
                cdf += weight * normal_cdf((grid - profile.shift[i, j]) / spread[j])
            self.tables[name] = QUANTILES[name](np.clip(cdf, 0, 1))

    def draw(self, genre: Array, chunk: int) -> dict[str, Array]:
        """All features of one chunk; `bpm_z` is the tempo's latent residual within the genre."""
        rng = stream(self.seed, "features", chunk)
        n = len(genre)
        latent = rng.standard_normal((n, len(FEATURES))) @ self.cholesky.T
        values: dict[str, Array] = {"bpm_z": latent[:, FEATURES.index("tempo")].copy()}
        latent += self.shift[genre]
        for j, name in enumerate(FEATURES):
            place = np.clip((latent[:, j] + _REACH) * (_STEPS / (2 * _REACH)), 0, _STEPS - 1e-6)
            cell = place.astype(np.int64)
            table = self.tables[name]
            values[name] = table[cell] + (place - cell) * (table[cell + 1] - table[cell])
        values["key"] = np.searchsorted(np.cumsum(KEY_SHARES[:-1]), rng.random(n), side="right")
        values["mode"] = rng.random(n) < MAJOR_SHARE
        signature, share = np.array(list(TIME_SIGNATURES)), np.array(list(TIME_SIGNATURES.values()))
        drawn = np.searchsorted(np.cumsum(share[:-1]), rng.random(n), side="right")
        values["time_signature"] = signature[drawn]
        failed = rng.random(n) < FAILED_ANALYSIS_SHARE
        for name in ("tempo", "time_signature", "danceability", "valence", "speechiness"):
            values[name] = np.where(failed, 0, values[name])
        values["energy"] = np.where(failed, 1.0, values["energy"])
        return values


def as_stored(values: dict[str, Array]) -> dict[str, Array]:
    """The features as whole numbers: codes of three significant digits, thousandths, counts."""
    stored = {
        "acousticness": significant(values["acousticness"]),
        "instrumentalness": significant(values["instrumentalness"]),
        "duration_ms": np.rint(values["duration_ms"]).astype(np.int32),
        "loudness": np.rint(values["loudness"] * 1000).astype(np.int32),
        "tempo": np.rint(values["tempo"]).astype(np.uint8),
        "key": values["key"].astype(np.uint8),
        "mode": values["mode"].astype(np.uint8),
        "time_signature": values["time_signature"].astype(np.uint8),
    }
    for name in ("danceability", "energy", "valence", "liveness", "speechiness"):
        stored[name] = np.rint(values[name] * STEPS[name]).astype(np.uint16)
    return stored


def written_bpm(genre: Array, z: Array, index: Array, seed: int) -> Array:
    """The tempo that Beatport shows before halving: the genre's mean and spread at residual `z`.

    A tenth of Drum & Bass is written at some house tempo, as in the real data, where the mean is
    167.7 after doubling what lies below 110.
    """
    profile = genres()
    bpm = profile.bpm_mean[genre] + profile.bpm_sd[genre] * z
    other = (profile.ids[genre] == 1) & (uniform(index, seed, "bpm other") < 0.1)
    bpm = np.where(other, 112 + 18 * uniform(index, seed, "bpm house"), bpm)
    return np.clip(np.rint(bpm), 50, 230).astype(np.uint8)

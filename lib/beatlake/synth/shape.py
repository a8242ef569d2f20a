"""How many rows there are, and how often an ISRC repeats on each side.

`Counts` scales the published counts of the dataset; `multiplicities` gives every recording its
number of Spotify and of Beatport tracks, such that all join counts hold exactly:

1.  The number of extra rows of an ISRC follows a power law, P(extra >= k) = p0 * k ** -1.6, drawn
    by quantiles; p0 follows from the wanted total. Single steps on random ISRC close what rounding
    left.
2.  Which ISRC gets which extra is a Gaussian copula between the two sides. Its correlation is
    found by bisection, so that the three-way join comes out just below the wanted count.
3.  The rest is closed by exchanging Beatport counts between two ISRC: where one has (s, b) tracks
    and the other (t, c), the exchange adds (s - t) * (c - b) to the join and changes no total.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beatlake.synth.randomness import Array, stream

SMALLEST_SCALE = 0.0002
LARGEST_SCALE = 3.0
_TAIL = 1.6
_LARGEST_EXTRA = 90
_EXCHANGED = 30


@dataclass(frozen=True)
class Counts:
    """Rows and distinct ISRC at one scale; the published figures are those of scale 1.

    The upper block is published, the lower block (`*_planned`) fills what no source states.
    """

    audio: int
    audio_not_in_bp: int
    isrc_without_audio: int
    tracks_without_audio: int
    sp_null_isrc: int
    audio_x_sp: int
    three_way: int
    left_subgenre: int
    bp_isrc: int
    bp_null_isrc: int
    bp_track: int
    sp_release: int
    sp_artist: int
    sp_artist_release: int

    unheard_in_bp: int
    sp_own_release: int
    sp_main_artist: int
    bp_rows_of_audio: int
    bp_main_artist: int
    bp_own_release: int
    bp_compilation: int
    bp_guest_artist: int
    label: int

    @property
    def sp_isrc(self) -> int:
        """Distinct ISRC on Spotify."""
        return self.audio + self.isrc_without_audio

    @property
    def sp_track(self) -> int:
        """Spotify tracks, those without ISRC included."""
        return self.audio_x_sp + self.tracks_without_audio + self.sp_null_isrc

    @property
    def audio_in_bp(self) -> int:
        """ISRC with audio features that Beatport has."""
        return self.audio - self.audio_not_in_bp

    @property
    def sp_recordings(self) -> int:
        """Recordings on Spotify; a track without ISRC is a recording of its own."""
        return self.sp_isrc + self.sp_null_isrc

    @property
    def bp_only_isrc(self) -> int:
        """ISRC that only Beatport has."""
        return self.bp_isrc - self.audio_in_bp - self.unheard_in_bp

    @property
    def bp_recordings(self) -> int:
        """Recordings that only Beatport has; a track without ISRC is a recording of its own."""
        return self.bp_only_isrc + self.bp_null_isrc

    @property
    def isrc(self) -> int:
        """Distinct ISRC anywhere."""
        return self.sp_isrc + self.bp_only_isrc


def counts_at(scale: float) -> Counts:
    """The counts at a scale.

    Raises:
        ValueError: the scale is outside what the generator's proportions allow.
    """
    if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:
        raise ValueError(
            f"scale must lie between {SMALLEST_SCALE} and {LARGEST_SCALE} "
            f"(1 = the real size), got {scale}"
        )

    def at(published: int) -> int:
        return round(published * scale)

    return Counts(
        audio=at(4_687_104),
        audio_not_in_bp=max(1, at(19_293)),
        isrc_without_audio=at(129_448),
        tracks_without_audio=at(142_650),
        sp_null_isrc=max(1, at(46)),
        audio_x_sp=at(5_635_011),
        three_way=at(14_460_217),
        left_subgenre=at(14_511_864),
        bp_isrc=at(7_656_648),
        bp_null_isrc=at(295_778),
        bp_track=at(10_685_331),
        sp_release=at(713_563),
        sp_artist=at(676_911),
        sp_artist_release=at(3_969_489),
        unheard_in_bp=at(58_000),
        sp_own_release=at(651_563),
        sp_main_artist=at(330_000),
        bp_rows_of_audio=at(7_010_000),
        bp_main_artist=at(420_000),
        bp_own_release=at(1_050_000),
        bp_compilation=at(170_000),
        bp_guest_artist=at(80_000),
        label=at(98_000),
    )


def skewed_counts(n: int, total: int, rng: np.random.Generator) -> Array:
    """`n` counts of at least 1 with a power-law tail that sum to `total` exactly."""
    k = np.arange(1, _LARGEST_EXTRA + 1)
    p0 = (total / n - 1) / (k**-_TAIL).sum()
    u = (rng.permutation(n) + 0.5) / n
    extra = np.minimum((p0 / u) ** (1 / _TAIL), _LARGEST_EXTRA).astype(np.int64)
    while gap := total - n - int(extra.sum()):
        open_to_change = np.flatnonzero(extra >= (1 if gap > 0 else 2))
        if len(open_to_change) == 0:
            open_to_change = np.flatnonzero(extra >= (0 if gap > 0 else 1))
        chosen = rng.permutation(open_to_change)[: abs(gap)]
        extra[chosen] += 1 if gap > 0 else -1
    result: Array = extra + 1
    return result


@dataclass(frozen=True)
class Multiplicities:
    """Tracks per recording and side; the first `sp_recordings` recordings are on Spotify."""

    n_sp: Array
    n_bp: Array
    has_isrc: Array
    has_audio: Array


def multiplicities(counts: Counts, seed: int) -> Multiplicities:
    """Every recording's number of tracks on each side, exact in every total and join."""
    rng = stream(seed, "multiplicities")
    n_s = counts.sp_recordings
    n = n_s + counts.bp_recordings
    n_sp, n_bp = np.zeros(n, np.int64), np.zeros(n, np.int64)
    has_isrc, has_audio = np.ones(n, bool), np.zeros(n, bool)

    order = rng.permutation(n_s)
    bounds = np.cumsum([counts.audio_in_bp, counts.audio_not_in_bp, counts.isrc_without_audio])
    both, lonely, unheard, nameless = np.split(order, bounds)
    has_audio[both] = has_audio[lonely] = True
    has_isrc[nameless] = False
    n_sp[nameless] = 1

    lonely_tracks = round(1.2 * len(lonely))
    n_sp[lonely] = skewed_counts(len(lonely), lonely_tracks, rng)
    n_sp[unheard] = skewed_counts(len(unheard), counts.tracks_without_audio, rng)
    n_sp[both], n_bp[both] = _coupled(counts, counts.audio_x_sp - lonely_tracks, rng)

    unheard_bp = unheard[: counts.unheard_in_bp]
    unheard_rows = round(1.3 * len(unheard_bp))
    n_bp[unheard_bp] = skewed_counts(len(unheard_bp), unheard_rows, rng)
    only_bp = n_s + rng.permutation(counts.bp_recordings)
    named, unnamed = np.split(only_bp, [counts.bp_only_isrc])
    has_isrc[unnamed] = False
    n_bp[unnamed] = 1
    rows_left = counts.bp_track - counts.bp_null_isrc - counts.bp_rows_of_audio - unheard_rows
    n_bp[named] = skewed_counts(len(named), rows_left, rng)
    return Multiplicities(n_sp.astype(np.uint16), n_bp.astype(np.uint16), has_isrc, has_audio)


def _coupled(counts: Counts, sp_tracks: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Track counts of the ISRC on both sides, whose product sums to the three-way join."""
    n = counts.audio_in_bp
    sp_sorted = np.sort(skewed_counts(n, sp_tracks, rng))[::-1]
    bp_sorted = np.sort(skewed_counts(n, counts.bp_rows_of_audio, rng))[::-1]
    repeated = int((sp_sorted > 1).sum())
    heat, noise = rng.standard_normal(n), rng.standard_normal(n)
    n_bp = np.empty(n, np.int64)
    n_bp[np.argsort(-heat, kind="stable")] = bp_sorted

    def n_sp_at(correlation: float) -> Array:
        score = -(correlation * heat + np.sqrt(1 - correlation**2) * noise)
        top = np.argpartition(score, repeated)[:repeated]
        n_sp = np.ones(n, np.int64)
        n_sp[top[np.argsort(score[top], kind="stable")]] = sp_sorted[:repeated]
        return n_sp

    low, high = 0.0, 1.0
    for _ in range(18):
        middle = (low + high) / 2
        if int((n_sp_at(middle) * n_bp).sum()) > counts.three_way:
            high = middle
        else:
            low = middle
    n_sp = n_sp_at(low)
    _raise_join(n_sp, n_bp, counts.three_way)
    return n_sp, n_bp


def _raise_join(n_sp: Array, n_bp: Array, wanted: int) -> None:
    """Exchange Beatport counts between pairs until the products sum to `wanted`."""
    kind = np.where((n_sp <= _EXCHANGED) & (n_bp <= _EXCHANGED), n_sp * 100 + n_bp, 0)
    while gap := wanted - int((n_sp * n_bp).sum()):
        kinds = np.unique(kind[kind > 0])
        sp, bp = kinds // 100, kinds % 100
        gain = (sp[:, None] - sp[None, :]) * (bp[None, :] - bp[:, None])
        gain[gain > gap] = 0
        receiver, giver = np.unravel_index(int(gain.argmax()), gain.shape)
        if gain[receiver, giver] <= 0:
            raise RuntimeError(f"the three-way join misses its count by {gap}; no exchange is left")
        i = int((kind == kinds[receiver]).argmax())
        j = int((kind == kinds[giver]).argmax())
        n_bp[i], n_bp[j] = n_bp[j], n_bp[i]
        kind[[i, j]] = n_sp[[i, j]] * 100 + n_bp[[i, j]]

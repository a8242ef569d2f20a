"""Puts the world together: shape, people, releases, features, popularity, links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from beatlake.synth import dates, signal
from beatlake.synth.features import (
    CHUNK,
    QUANTILES,
    STEPS,
    Sampler,
    as_stored,
    significant,
    written_bpm,
)
from beatlake.synth.genres import draw_subgenres, genres, subgenres
from beatlake.synth.links import exactly, guest_links
from beatlake.synth.people import main_artists, people_of
from beatlake.synth.randomness import Array, stream, uniform
from beatlake.synth.releases import (
    OwnReleases,
    labels_of,
    make_own_releases,
    place_tracks,
    release_types,
    spotify_dates,
)
from beatlake.synth.shape import Counts, Multiplicities, multiplicities
from beatlake.synth.world import Beatport, People, Rec, Spotify, World

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
_OTHER_ROW_GENRE = 0.04
_CEILING_DRAWS = 3000


@dataclass(frozen=True)
class Planted:
    """What truth.json says about the signal."""

    effects: signal.Effects
    ceilings: dict[str, float]
    variance: dict[str, float]
    artists: dict[str, float]


def build(
    counts: Counts, seed: int, run: Map, told: Callable[[str], None]
) -> tuple[World, Planted]:
    """The world at the given counts; `run` maps a function over jobs, in order."""
    told("recordings")
    shape = multiplicities(counts, seed)
    people = people_of(counts)
    artist = np.concatenate(main_artists(counts, people, seed))
    own, genre = make_own_releases(artist, shape.n_bp, counts, seed)
    told("audio features")
    features = _features(genre[: counts.sp_recordings], shape, seed, run)
    bpm_z = features.pop("bpm_z")
    told("releases")
    rel_day, rel_precision = spotify_dates(own.day[: own.on_spotify], seed)
    year = np.concatenate([rel_day, own.day[own.on_spotify :]])[own.of]
    indexes = np.arange(len(artist))
    rest = stream(seed, "bpm").standard_normal(counts.bp_recordings).astype(np.float32)
    rec = Rec(
        n_sp=shape.n_sp,
        n_bp=shape.n_bp,
        has_isrc=shape.has_isrc,
        has_audio=shape.has_audio,
        artist=artist,
        genre=genre,
        year=(dates.year_of(year) - 1900).astype(np.uint8),
        bpm=written_bpm(genre, np.concatenate([bpm_z, rest]), indexes, seed),
        **features,
    )
    del indexes, year
    sp, planted = _spotify(rec, own, rel_day, rel_precision, counts, people, seed)
    told("Beatport rows")
    bp = _beatport(rec, own, counts, people, seed)
    return World(counts, seed, people, rec, sp, bp), planted


def _draw(job: tuple[int, int, Array]) -> dict[str, Array]:
    seed, chunk, genre = job
    values = Sampler(seed).draw(genre, chunk)
    return as_stored(values) | {"bpm_z": values["bpm_z"].astype(np.float32)}


def _features(genre: Array, shape: Multiplicities, seed: int, run: Map) -> dict[str, Array]:
    """Features of the Spotify region; the first two recordings with audio hold the extremes."""
    starts = range(0, len(genre), CHUNK)
    jobs = ((seed, i, genre[start : start + CHUNK]) for i, start in enumerate(starts))
    merged: dict[str, Array] = {}
    for start, part in zip(starts, run(_draw, jobs), strict=True):
        for name, values in part.items():
            column = merged.setdefault(name, np.empty(len(genre), values.dtype))
            column[start : start + len(values)] = values
    lowest, highest = np.flatnonzero(shape.has_audio)[:2]
    for name, quantiles in QUANTILES.items():
        for place, value in ((lowest, quantiles.values[0]), (highest, quantiles.values[-1])):
            if name in ("acousticness", "instrumentalness"):
                merged[name][place] = significant(np.array([float(value)]))[0]
            else:
                merged[name][place] = round(value * STEPS.get(name, 1))
    return merged


def _spotify(
    rec: Rec,
    own: OwnReleases,
    day: Array,
    precision: Array,
    counts: Counts,
    people: People,
    seed: int,
) -> tuple[Spotify, Planted]:
    n_s = counts.sp_recordings
    rng = stream(seed, "spotify")
    compilations = counts.sp_release - own.on_spotify
    home = np.arange(n_s, dtype=np.int32)
    tracks = place_tracks(home, own.of[:n_s], rec.n_sp, compilations, "spotify", seed)
    comp_day = dates.later_days(dates.release_days(compilations, rng), rng)
    rel_day = np.concatenate([day, comp_day]).astype(np.int32)
    rel_precision = np.concatenate([precision, np.zeros(compilations, np.uint8)])
    rel_artist = np.concatenate(
        [own.artist[: own.on_spotify], np.full(compilations, -1, np.int32)]
    ).astype(np.int32)
    first = tracks.rec[tracks.start]
    rel_genre = rec.genre[first]

    weight = np.bincount(rec.artist[tracks.rec], minlength=people.sp_main)
    effects = signal.draw_effects(people.sp_main, weight[: people.sp_main], seed)
    popularity, ceilings, variance = _track_popularity(
        rec, tracks.rec, tracks.rel, rel_day, rel_precision, effects, weight, seed
    )
    xi = signal.RELEASE_INTERCEPT + signal.RELEASE_GENRE * effects.genre[rel_genre]
    xi = xi + signal.year_effect(dates.year_of(rel_day))
    by_artist = effects.artist[np.maximum(rel_artist, 0)]
    xi += np.where(rel_artist >= 0, signal.RELEASE_ARTIST * by_artist, signal.COMPILATION_LIFT)
    xi += signal.RELEASE_NOISE_SD * rng.standard_normal(len(xi))

    guest_track, guest_edges, keys = guest_links(
        tracks.rec, tracks.rel, rec.artist, people, seed, beatport=False
    )
    keys = exactly(keys, counts.sp_artist_release, counts.sp_release, people, rng)
    sp = Spotify(
        rec=tracks.rec,
        rel=tracks.rel,
        popularity=popularity,
        rel_day=rel_day,
        rel_precision=rel_precision,
        rel_artist=rel_artist,
        rel_label=labels_of(rel_artist, counts, seed, "spotify"),
        rel_genre=rel_genre,
        rel_start=tracks.start,
        rel_size=tracks.size,
        rel_popularity=signal.popularity_of(xi),
        rel_type=release_types(tracks.size, own.on_spotify, seed),
        guest_track=guest_track,
        guest_edges=guest_edges,
        link_release=(keys // people.total).astype(np.int32),
        link_artist=(keys % people.total).astype(np.int32),
    )
    once = effects.artist[weight > 0]
    artists = {"number": len(once), "mean": float(once.mean()), "sd": float(once.std())}
    return sp, Planted(effects, ceilings, variance, _rounded(artists))


def _track_popularity(
    rec: Rec,
    track_rec: Array,
    track_rel: Array,
    rel_day: Array,
    rel_precision: Array,
    effects: signal.Effects,
    weight: Array,
    seed: int,
) -> tuple[Array, dict[str, float], dict[str, float]]:
    """Popularity per track, how well the best predictions of it can be, and variances of eta."""
    release_effect = signal.RELEASE_SD * stream(seed, "release effects").standard_normal(
        len(rel_day)
    )
    sample = stream(seed, "ceiling")
    drawn_releases = signal.RELEASE_SD * sample.standard_normal(_CEILING_DRAWS)
    drawn_artists = sample.permutation(signal.quantiles(effects.artist, weight, _CEILING_DRAWS))
    knows_all = signal.Expected(np.zeros(1))
    knows_artist = signal.Expected(drawn_releases)
    knows_sound = signal.Expected(drawn_releases + drawn_artists)
    popularity = np.empty(len(track_rec), np.uint8)
    sums: dict[str, float] = {}
    for chunk, start in enumerate(range(0, len(track_rec), CHUNK)):
        part = slice(start, start + CHUNK)
        own, release = track_rec[part], track_rel[part]
        genre = rec.genre[own]
        parts = {
            "genre": effects.genre[genre],
            "date": signal.date_effect(rel_day[release], rel_precision[release], genre, effects),
            "audio": np.where(rec.has_audio[own], signal.audio_effect(_sound(rec, own)), 0),
            "artist": effects.artist[rec.artist[own]],
            "release": release_effect[release],
            "noise": signal.NOISE_SD * stream(seed, "noise", chunk).standard_normal(len(own)),
        }
        mu = signal.INTERCEPT + parts["genre"] + parts["date"] + parts["audio"]
        artist = parts["artist"]
        eta = mu + artist + parts["release"] + parts["noise"]
        drawn = signal.popularity_of(eta)
        popularity[part] = drawn
        y = drawn.astype(np.float64)
        level = np.digitize(y, signal.BINS[1:])
        found = {"n": len(y), "y": y.sum(), "yy": (y * y).sum()}
        found |= {f"bin{b}": float((level == b).sum()) for b in range(3)}
        for name, expected, known in (
            ("everything_but_noise", knows_all, mu + artist + parts["release"]),
            ("artist_genre_date_audio", knows_artist, mu + artist),
            ("genre_date_audio", knows_sound, mu),
        ):
            mean, hit = expected.at(known)
            found[name] = ((y - mean) ** 2).sum()
            found[name + "/bins"] = hit.sum()
        for name, values in (parts | {"eta": eta}).items():
            found |= {f"{name}/sum": values.sum(), f"{name}/squares": (values**2).sum()}
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + float(value)
    n = sums["n"]
    total = sums["yy"] - sums["y"] ** 2 / n
    ceilings = {"mean": sums["y"] / n, "sd": (total / n) ** 0.5}
    ceilings["majority_bin_accuracy"] = max(sums[f"bin{b}"] for b in range(3)) / n
    for name in ("everything_but_noise", "artist_genre_date_audio", "genre_date_audio"):
        ceilings[f"r2_{name}"] = 1 - sums[name] / total
        ceilings[f"three_bin_accuracy_{name}"] = sums[name + "/bins"] / n
    variance = {
        name: sums[f"{name}/squares"] / n - (sums[f"{name}/sum"] / n) ** 2
        for name in (*parts, "eta")
    }
    return popularity, _rounded(ceilings), _rounded(variance)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}


def _sound(rec: Rec, own: Array) -> dict[str, Array]:
    """Feature values as written to the file, in their natural units."""
    values = {
        name: getattr(rec, name)[own] / STEPS[name]
        for name in ("energy", "danceability", "loudness", "valence")
    }
    table = _significant_values()
    for name in ("acousticness", "instrumentalness"):
        values[name] = table[getattr(rec, name)[own]]
    return values


def _significant_values() -> Array:
    exponent, digits = np.divmod(np.arange(6300), 900)
    return np.concatenate([[0.0], (digits + 100) * 10.0 ** (exponent - 8)])


def _beatport(rec: Rec, own: OwnReleases, counts: Counts, people: People, seed: int) -> Beatport:
    rng = stream(seed, "beatport")
    home = np.flatnonzero(rec.n_bp > 0).astype(np.int32)
    kept, release = np.unique(own.of[home], return_inverse=True)
    tracks = place_tracks(home, release, rec.n_bp, counts.bp_compilation, "beatport", seed)
    comps = counts.bp_compilation
    comp_day = dates.later_days(dates.release_days(comps, rng), rng)
    rel_day = np.concatenate([own.day[kept], comp_day]).astype(np.int32)
    rel_artist = np.concatenate([own.artist[kept], np.full(comps, -1)]).astype(np.int32)
    rel_label = labels_of(rel_artist, counts, seed, "beatport")

    genre = rec.genre[tracks.rec].copy()
    repeated = np.arange(len(home), len(genre))
    other = repeated[rng.random(len(repeated)) < _OTHER_ROW_GENRE]
    share = genres().song_count / genres().song_count.sum()
    genre[other] = rng.choice(len(share), len(other), p=share)
    subgenre = draw_subgenres(genre, rng.random(len(genre)))
    _repeat_subgenres(subgenre, genre, tracks.rec, rec, counts, rng)

    guest_row, guest_edges, keys = guest_links(
        tracks.rec, tracks.rel, rec.artist, people, seed, beatport=True
    )
    named = rel_artist >= 0
    pairs = np.unique(rel_label[named].astype(np.int64) * people.total + rel_artist[named])
    return Beatport(
        rec=tracks.rec,
        rel=tracks.rel,
        genre=genre,
        subgenre=subgenre,
        rel_day=rel_day,
        rel_artist=rel_artist,
        rel_label=rel_label,
        guest_row=guest_row,
        guest_edges=guest_edges,
        link_release=(keys // people.total).astype(np.int32),
        link_artist=(keys % people.total).astype(np.int32),
        label_label=(pairs // people.total).astype(np.int32),
        label_artist=(pairs % people.total).astype(np.int32),
    )


def _repeat_subgenres(
    subgenre: Array,
    genre: Array,
    row_rec: Array,
    rec: Rec,
    counts: Counts,
    rng: np.random.Generator,
) -> None:
    """Make the join on subgenre_id alone repeat exactly as many rows as published.

    Each row with a repeated subgenre id adds its ISRC's Spotify tracks once more. Too many such
    rows lose their subgenre; rows of ISRC with one Spotify track then close the gap exactly.
    """
    pairs = subgenres()
    wanted = counts.left_subgenre - counts.three_way
    counted = rec.has_audio[row_rec]
    repeating = rng.permutation(np.flatnonzero(counted & pairs.repeated[subgenre]))
    weight = np.cumsum(rec.n_sp[row_rec[repeating]].astype(np.int64))
    kept = int(np.searchsorted(weight, wanted, side="right"))
    subgenre[repeating[kept:]] = 0
    gap = wanted - (int(weight[kept - 1]) if kept else 0)
    single = counted & (subgenre == 0) & (rec.n_sp[row_rec] == 1)
    for index in np.flatnonzero(pairs.repeated)[np.argsort(-pairs.share_of_genre[pairs.repeated])]:
        rows = np.flatnonzero(single & (genre == pairs.genre_index[index]) & (subgenre == 0))
        chosen = rng.permutation(rows)[:gap]
        subgenre[chosen] = index
        gap -= len(chosen)
    if gap:
        raise RuntimeError(f"too few rows to repeat {gap} more rows by subgenre")


def expected_duration(index: Array, seed: int) -> Array:
    """Durations in milliseconds of recordings that only Beatport has."""
    u = uniform(index, seed, "duration")
    return np.rint(QUANTILES["duration_ms"](u)).astype(np.int64)

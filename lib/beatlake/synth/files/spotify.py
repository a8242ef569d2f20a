"""The seven files of the Spotify side, the optional track popularity included."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.synth import dates
from beatlake.synth.features import text_of_significant
from beatlake.synth.files.base import (
    File,
    Rows,
    has_preview,
    isrc_texts,
    preview_digits,
    remix_of,
    spotify_texts,
    whole_sums,
    with_line_breaks,
)
from beatlake.synth.names import artist_names, label_names, titles
from beatlake.synth.people import guests
from beatlake.synth.randomness import Array, Shuffle, below, uniform
from beatlake.synth.texts import (
    Text,
    fixed_table,
    flags,
    from_bytes,
    hexadecimal,
    joined,
    looked_up,
    numerals,
    of_integers,
    quoted,
    where_null,
)
from beatlake.synth.world import World

_VERSIONS = ("Radio Edit", "Extended Mix", "Live", "Original Mix", "Instrumental")
_ALBUM_TYPES = ("single", "album", "compilation")


@cache
def _significant() -> Text:
    return pa.array(text_of_significant())


def _audio_features(world: World, at: Array) -> Rows:
    recordings = world.audio_recordings
    own = recordings[Shuffle.of(len(recordings), world.seed, "audio file")(at)]
    rec = world.rec
    value = {
        name: getattr(rec, name)[own]
        for name in (
            "acousticness", "danceability", "duration_ms", "energy", "instrumentalness", "key",
            "liveness", "loudness", "mode", "speechiness", "tempo", "time_signature", "valence",
        )
    }  # fmt: skip
    significant = _significant()
    thousandths = fixed_table(0, 1000, 1000, 3)
    fourth = fixed_table(0, 10_000, 10_000, 4)
    loudness = fixed_table(-60_000, 6_000, 1000, 3)
    failed = (value["tempo"] == 0) & (value["time_signature"] == 0)
    failed &= (value["danceability"] == 0) & (value["valence"] == 0)
    return Rows(
        [
            isrc_texts(world, own),
            looked_up(significant, value["acousticness"]),
            looked_up(thousandths, value["danceability"]),
            of_integers(value["duration_ms"]),
            looked_up(thousandths, value["energy"]),
            looked_up(significant, value["instrumentalness"]),
            of_integers(value["key"]),
            looked_up(fourth, value["liveness"]),
            looked_up(loudness, value["loudness"] + 60_000),
            of_integers(value["mode"]),
            looked_up(fourth, value["speechiness"]),
            of_integers(value["tempo"]),
            of_integers(value["time_signature"]),
            looked_up(thousandths, value["valence"]),
            dates.batch_times(at, "2023-08-24 09:27:00", 5000, 3),
        ],
        whole_sums(
            danceability_e3=value["danceability"],
            duration_ms=value["duration_ms"],
            energy_e3=value["energy"],
            key=value["key"],
            loudness_e3=value["loudness"],
            mode=value["mode"],
            speechiness_e4=value["speechiness"],
            tempo=value["tempo"],
            time_signature=value["time_signature"],
            valence_e3=value["valence"],
        ),
        whole_sums(
            all_zero_features=failed,
            loudness_above_zero=value["loudness"] > 0,
            very_short_duration=value["duration_ms"] < 30_000,
            very_long_duration=value["duration_ms"] > 3_600_000,
        ),
    )


def _track_titles(world: World, track: Array, recording: Array) -> Text:
    base = titles(recording, world.counts.sp_recordings, world.seed)
    remix, credit = remix_of(world, recording)
    version = np.full(len(track), -1)
    versioned = uniform(track, world.seed, "versioned") < 0.08
    version[versioned] = below(track[versioned], len(_VERSIONS), world.seed, "version")
    ending = where_null(
        looked_up(pa.array(_VERSIONS), np.maximum(version, 0)), (version < 0) | remix
    )
    ending = pc.replace_with_mask(ending, pa.array(remix), credit)
    return pc.binary_join_element_wise(base, ending, " - ", null_handling="skip")


def _sp_track(world: World, at: Array) -> Rows:
    total = len(world.sp.rec)
    track = Shuffle.of(total, world.seed, "sp_track file")(at)
    own = world.sp.rec[track].astype(np.int64)
    release = world.sp.rel[track]
    text = _track_titles(world, track, own)
    text = with_line_breaks(text, at, total, 5_777_707)
    change = below(track, 10, world.seed, "track duration")
    duration = world.rec.duration_ms[own] + np.where(change == 0, -1, change == 1)
    number = track - world.sp.rel_start[release]
    explicit = uniform(track, world.seed, "explicit") < 0.04
    client = hexadecimal(np.zeros(1, np.int64), 32, world.seed, "client").tobytes().decode()
    preview = joined(
        "https://p.scdn.co/mp3-preview/",
        from_bytes(preview_digits(world, track)),
        "?cid=" + client,
    )
    return Rows(
        [
            spotify_texts(world, track, "track"),
            quoted(text),
            of_integers(duration),
            isrc_texts(world, own),
            of_integers(number % 40 + 1),
            spotify_texts(world, release, "release"),
            flags(explicit),
            of_integers(number // 40 + 1),
            where_null(preview, ~has_preview(world, track)),
            dates.batch_times(at, "2023-08-22 18:08:48", 2000, 2),
        ],
        whole_sums(duration_ms=duration, explicit=explicit),
        whole_sums(
            no_isrc=~world.rec.has_isrc[own],
            very_short_duration=duration < 30_000,
            very_long_duration=duration > 3_600_000,
        ),
    )


def _release_titles(world: World, release: Array) -> Text:
    """Singles are named after their first track; others have a name of their own."""
    recordings = len(world.rec.artist)
    single = world.sp.rel_type[release] == 0
    first = world.sp.rec[world.sp.rel_start[release]].astype(np.int64)
    text = titles(
        np.where(single, first, recordings + release), world.counts.sp_recordings, world.seed
    )
    volume = of_integers(1 + below(release, 40, world.seed, "volume"))
    volume = where_null(joined("Vol. ", volume), world.sp.rel_artist[release] >= 0)
    return pc.binary_join_element_wise(text, volume, ", ", null_handling="skip")


def _sp_release(world: World, at: Array) -> Rows:
    sp, seed = world.sp, world.seed
    release = Shuffle.of(len(sp.rel_day), seed, "sp_release file")(at)
    day, precision = sp.rel_day[release], sp.rel_precision[release]
    upc = from_bytes(numerals(hash_digits(release, seed), 13))
    chance = uniform(release, seed, "upc")
    upc = pc.if_else(pa.array(chance < 0.005), '""', where_null(upc, chance > 0.97))
    image = joined(
        "https://i.scdn.co/image/ab67616d0000b273",
        from_bytes(hexadecimal(release, 24, seed, "cover")),
    )
    label = quoted(label_names(sp.rel_label[release].astype(np.int64), seed))
    tracks = sp.rel_size[release] + np.where(
        uniform(release, seed, "more tracks") < 0.1, 1 + below(release, 3, seed, "how many"), 0
    )
    popularity = sp.rel_popularity[release]
    full = precision == dates.FULL
    return Rows(
        [
            spotify_texts(world, release, "release"),
            quoted(_release_titles(world, release)),
            dates.date_texts(day, precision),
            upc,
            of_integers(popularity),
            of_integers(tracks),
            looked_up(pa.array(_ALBUM_TYPES), sp.rel_type[release]),
            where_null(image, uniform(release, seed, "no cover") < 0.01),
            where_null(label, uniform(release, seed, "no label") < 0.005),
            dates.batch_times(at, "2023-08-23 02:11:05", 500, 1),
        ],
        whole_sums(popularity=popularity, total_tracks=tracks),
        whole_sums(
            year_only_date=precision == dates.YEAR,
            year_month_date=precision == dates.MONTH,
            placeholder_date=full & (dates.first_of_year(day) == day),
            impossible_date=np.zeros(len(at), bool),
        ),
    )


def hash_digits(index: Array, seed: int) -> Array:
    """Numbers of at most twelve digits, a third of them short enough for more leading zeros."""
    number = (uniform(index, seed, "upc digits") * 10**12).astype(np.int64)
    return np.where(number % 3 == 0, number // 100, number)


def _sp_artist(world: World, at: Array) -> Rows:
    place = Shuffle.of(world.counts.sp_artist, world.seed, "sp_artist file")(at)
    artist = world.people.sp_artist(place)
    return Rows(
        [
            spotify_texts(world, artist, "artist"),
            quoted(artist_names(artist, world.people.sp_main, world.seed)),
            dates.batch_times(at, "2023-08-23 11:40:12", 1000, 1),
        ]
    )


def _sp_artist_release(world: World, at: Array) -> Rows:
    link = Shuffle.of(len(world.sp.link_release), world.seed, "sp_artist_release file")(at)
    return Rows(
        [
            spotify_texts(world, world.sp.link_release[link], "release"),
            spotify_texts(world, world.sp.link_artist[link], "artist"),
            dates.batch_times(at, "2023-08-23 03:00:31", 2000, 1),
        ]
    )


def _sp_artist_track(world: World, at: Array) -> Rows:
    tracks = len(world.sp.rec)
    link = Shuffle.of(_sp_artist_track_size(world), world.seed, "sp_artist_track file")(at)
    guest = link >= tracks
    place = link[guest] - tracks
    track = np.where(guest, 0, link)
    track[guest] = world.sp.guest_track[place]
    own = world.sp.rec[track].astype(np.int64)
    artist = world.rec.artist[own].astype(np.int64)
    found = guests(own[guest], artist[guest], world.people, world.seed)
    which = np.searchsorted(world.sp.guest_edges, place, side="right")
    artist[guest] = found[np.arange(len(place)), which]
    return Rows(
        [
            spotify_texts(world, track, "track"),
            spotify_texts(world, artist, "artist"),
            dates.batch_times(at, "2023-08-22 20:15:09", 2000, 1),
        ]
    )


def _sp_artist_track_size(world: World) -> int:
    return len(world.sp.rec) + len(world.sp.guest_track)


def _sp_track_popularity(world: World, at: Array) -> Rows:
    fetched = world.fetched_tracks
    track = fetched[Shuffle.of(len(fetched), world.seed, "popularity file")(at)]
    popularity = world.sp.popularity[track]
    return Rows(
        [
            spotify_texts(world, track, "track"),
            of_integers(popularity),
            dates.batch_times(at, "2023-09-20 07:00:00", 50, 1),
        ],
        whole_sums(popularity=popularity),
    )


SPOTIFY = (
    File(
        "audio_features",
        tuple(
            "isrc,acousticness,danceability,duration_ms,energy,instrumentalness,key,liveness,"
            "loudness,mode,speechiness,tempo,time_signature,valence,updated_on".split(",")
        ),
        lambda world: world.counts.audio,
        _audio_features,
    ),
    File(
        "sp_track",
        tuple(
            "track_id,track_title,duration_ms,isrc,track_number,release_id,explicit,disc_number,"
            "preview_url,updated_on".split(",")
        ),
        lambda world: len(world.sp.rec),
        _sp_track,
    ),
    File(
        "sp_release",
        tuple(
            "release_id,release_title,release_date,upc,popularity,total_tracks,album_type,"
            "release_img,label_name,updated_on".split(",")
        ),
        lambda world: len(world.sp.rel_day),
        _sp_release,
    ),
    File(
        "sp_artist",
        ("artist_id", "artist_name", "updated_on"),
        lambda world: world.counts.sp_artist,
        _sp_artist,
    ),
    File(
        "sp_artist_release",
        ("release_id", "artist_id", "updated_on"),
        lambda world: len(world.sp.link_release),
        _sp_artist_release,
    ),
    File(
        "sp_artist_track",
        ("track_id", "artist_id", "updated_on"),
        _sp_artist_track_size,
        _sp_artist_track,
    ),
    File(
        "sp_track_popularity",
        ("track_id", "popularity", "fetched_at"),
        lambda world: len(world.fetched_tracks),
        _sp_track_popularity,
    ),
)

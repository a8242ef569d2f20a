"""The tables of the Beatport side: tracks, releases, labels, artists and their links."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.synth import dates
from beatlake.synth.build import expected_duration
from beatlake.synth.files.base import (
    File,
    Rows,
    addresses,
    beatport_ids,
    isrc_texts,
    remix_of,
    whole_sums,
    with_line_breaks,
)
from beatlake.synth.genres import DRUM_AND_BASS, data_bytes, genres, subgenres
from beatlake.synth.names import artist_names, label_names, mixes, slugs, titles
from beatlake.synth.people import guests, known_to_beatport, remixers
from beatlake.synth.randomness import Array, Shuffle, below, uniform
from beatlake.synth.texts import (
    Text,
    clock_table,
    flags,
    looked_up,
    of_integers,
    quoted,
    where_null,
)
from beatlake.synth.world import World

BPM_MISSING_SHARE = 0.012
_PITCH = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@cache
def _key_ids() -> Array:
    """Two spellings (key_id) of each pitch class and mode: matrix (mode, pitch class, spelling)."""
    spellings: dict[tuple[int, int], list[int]] = {}
    for line in data_bytes("bp_key.csv").decode().split("\r\n")[1:-1]:
        key_id, letter, name, *_, chord_id, _ = line.split(",")
        pitch = _PITCH[letter] + ("#" in name) - ("b " in name)
        spellings.setdefault((int(chord_id) - 1, pitch % 12), []).append(int(key_id))
    table = np.zeros((2, 12, 2), np.int64)
    for (mode, pitch), ids in spellings.items():
        table[mode, pitch] = (ids * 2)[:2]
    return table


def _bpm(world: World, row: Array, own: Array) -> Array:
    genre = world.rec.genre[own]
    full = world.rec.bpm[own].astype(np.int64)
    halved = (uniform(own, world.seed, "half time") < genres().half_time[genre]) & (full > 110)
    bpm = np.where(halved, (full + 1) // 2, full)
    return np.where(uniform(row, world.seed, "bpm missing") < BPM_MISSING_SHARE, 0, bpm)


def _durations(world: World, row: Array, own: Array) -> Array:
    """Milliseconds: Spotify's own, or up to a second off, as another encoding of the master."""
    region = world.counts.sp_recordings
    heard = own < region
    duration = np.empty(len(own), np.int64)
    duration[heard] = world.rec.duration_ms[own[heard]]
    duration[~heard] = expected_duration(own[~heard], world.seed)
    shift = below(row, 4001, world.seed, "bp duration") - 2000
    shift = np.where(np.abs(shift) < 1000, shift, 0)
    result: Array = np.maximum(duration + shift, 1)
    return result


def _keys(world: World, row: Array, own: Array) -> Array:
    region = world.counts.sp_recordings
    pitch = below(own, 12, world.seed, "pitch")
    mode = below(own, 3, world.seed, "chord") // 2
    agreed = (own < region) & (uniform(own, world.seed, "key agrees") < 0.8)
    pitch[agreed] = world.rec.key[own[agreed]]
    mode[agreed] = world.rec.mode[own[agreed]]
    spelling = (uniform(row, world.seed, "spelling") < 0.2).astype(np.int64)
    # In bp_key, chord 1 is minor and chord 2 major, as mode 0 and 1 of the audio features.
    result: Array = _key_ids()[mode, pitch, spelling]
    return result


def _bp_track(world: World, at: Array) -> Rows:
    bp, seed, total = world.bp, world.seed, len(world.bp.rec)
    row = Shuffle.of(total, seed, "bp_track file")(at)
    own = bp.rec[row].astype(np.int64)
    release = bp.rel[row]
    ids = beatport_ids(world, row, "track")
    base = titles(own, world.counts.sp_recordings, seed)
    remix, credit = remix_of(world, own)
    mix = where_null(mixes(own, seed), uniform(row, seed, "no mix") < 0.03)
    mix = pc.replace_with_mask(mix, pa.array(remix), credit)
    genre_id = genres().ids[bp.genre[row]]
    subgenre = bp.subgenre[row]
    bpm, duration = _bpm(world, row, own), _durations(world, row, own)
    label = of_integers(beatport_ids(world, bp.rel_label[release], "label"))
    return Rows(
        [
            of_integers(ids),
            quoted(with_line_breaks(base, at, total, 10_685_331)),
            quoted(mix),
            flags(remix),
            dates.date_texts(bp.rel_day[release]),
            of_integers(genre_id),
            where_null(of_integers(subgenres().ids[subgenre]), subgenre == 0),
            addresses("track", slugs(base), ids),
            of_integers(bpm),
            looked_up(clock_table(), np.minimum(duration // 1000, 10_800)),
            of_integers(duration),
            isrc_texts(world, own),
            where_null(of_integers(_keys(world, row, own)), uniform(row, seed, "no key") < 0.02),
            where_null(label, uniform(row, seed, "no label id") < 0.003),
            of_integers(beatport_ids(world, release, "release")),
            dates.batch_times(at, "2023-09-19 15:01:03", 3000, 1),
            flags((own < world.counts.sp_recordings) & world.rec.has_isrc[own]),
        ],
        whole_sums(bpm=bpm, duration_ms=duration, genre_id=genre_id),
        whole_sums(
            bpm_missing=bpm == 0,
            half_time_bpm=(genre_id == DRUM_AND_BASS) & (bpm > 0) & (bpm < 110),
            no_isrc=~world.rec.has_isrc[own],
            very_short_duration=duration < 30_000,
            very_long_duration=duration > 3_600_000,
        ),
    )


def _bp_artist_total(world: World) -> int:
    return world.people.guests_from + world.people.bp_guests


def _bp_artist(world: World, at: Array) -> Rows:
    artist = Shuffle.of(_bp_artist_total(world), world.seed, "bp_artist file")(at)
    ids = beatport_ids(world, artist, "artist")
    names = artist_names(artist, world.people.sp_main, world.seed)
    return Rows(
        [
            of_integers(ids),
            quoted(names),
            addresses("artist", slugs(names), ids),
            dates.batch_times(at, "2023-09-19 18:40:00", 1000, 1),
        ]
    )


def _bp_artist_track_size(world: World) -> int:
    return len(world.bp.rec) + len(world.bp.guest_row)


def _bp_artist_track(world: World, at: Array) -> Rows:
    total = len(world.bp.rec)
    link = Shuffle.of(_bp_artist_track_size(world), world.seed, "bp_artist_track file")(at)
    guest = link >= total
    place = link[guest] - total
    row = np.where(guest, 0, link)
    row[guest] = world.bp.guest_row[place]
    own = world.bp.rec[row].astype(np.int64)
    artist = world.rec.artist[own].astype(np.int64)
    found = guests(own[guest], artist[guest], world.people, world.seed)
    which = np.searchsorted(world.bp.guest_edges, place, side="right")
    known = known_to_beatport(found, world.people)
    artist[guest] = known[np.arange(len(place)), which]
    remixer = np.zeros(len(link), bool)
    by = remixers(own[guest], found, world.people, world.seed)
    remixer[guest] = artist[guest] == by
    return Rows(
        [
            of_integers(beatport_ids(world, artist, "artist")),
            of_integers(beatport_ids(world, row, "track")),
            dates.batch_times(at, "2023-09-19 16:30:00", 5000, 1),
            flags(remixer),
        ],
        whole_sums(is_remixer=remixer),
    )


def _bp_artist_release(world: World, at: Array) -> Rows:
    link = Shuffle.of(len(world.bp.link_release), world.seed, "bp_artist_release file")(at)
    return Rows(
        [
            of_integers(beatport_ids(world, world.bp.link_artist[link], "artist")),
            of_integers(beatport_ids(world, world.bp.link_release[link], "release")),
            dates.batch_times(at, "2023-09-19 17:20:00", 5000, 1),
        ]
    )


def _bp_release(world: World, at: Array) -> Rows:
    bp, seed = world.bp, world.seed
    release = Shuffle.of(len(bp.rel_day), seed, "bp_release file")(at)
    ids = beatport_ids(world, release, "release")
    recordings = len(world.rec.artist)
    # Beyond the recordings and Spotify's releases, so that the names differ from theirs.
    name: Text = titles(
        release + recordings + len(world.sp.rel_day), world.counts.sp_recordings, seed
    )
    label = of_integers(beatport_ids(world, bp.rel_label[release], "label"))
    return Rows(
        [
            of_integers(ids),
            quoted(name),
            dates.date_texts(bp.rel_day[release]),
            addresses("release", slugs(name), ids),
            where_null(label, uniform(release, seed, "bp no label") < 0.002),
            dates.batch_times(at, "2023-09-19 16:02:41", 1000, 1),
        ]
    )


def _bp_label(world: World, at: Array) -> Rows:
    label = Shuffle.of(world.counts.label, world.seed, "bp_label file")(at)
    ids = beatport_ids(world, label, "label")
    names = label_names(label, world.seed)
    return Rows(
        [
            of_integers(ids),
            quoted(names),
            addresses("label", slugs(names), ids),
            dates.batch_times(at, "2023-09-19 19:00:00", 1000, 1),
        ]
    )


def _bp_label_artist(world: World, at: Array) -> Rows:
    link = Shuffle.of(len(world.bp.label_label), world.seed, "bp_label_artist file")(at)
    return Rows(
        [
            of_integers(beatport_ids(world, world.bp.label_label[link], "label")),
            of_integers(beatport_ids(world, world.bp.label_artist[link], "artist")),
            dates.batch_times(at, "2023-09-19 19:30:00", 5000, 1),
        ]
    )


BEATPORT = (
    File(
        "bp_track",
        tuple(
            "track_id,title,mix,is_remixed,release_date,genre_id,subgenre_id,track_url,bpm,"
            "duration,duration_ms,isrc,key_id,label_id,release_id,updated_on,is_matched_spot".split(
                ","
            )
        ),
        lambda world: len(world.bp.rec),
        _bp_track,
    ),
    File(
        "bp_artist",
        ("artist_id", "artist_name", "artist_url", "updated_on"),
        _bp_artist_total,
        _bp_artist,
    ),
    File(
        "bp_artist_track",
        ("artist_id", "track_id", "updated_on", "is_remixer"),
        _bp_artist_track_size,
        _bp_artist_track,
    ),
    File(
        "bp_artist_release",
        ("artist_id", "release_id", "updated_on"),
        lambda world: len(world.bp.link_release),
        _bp_artist_release,
    ),
    File(
        "bp_release",
        ("release_id", "release_title", "release_date", "release_url", "label_id", "updated_on"),
        lambda world: len(world.bp.rel_day),
        _bp_release,
    ),
    File(
        "bp_label",
        ("label_id", "label_name", "label_url", "updated_on"),
        lambda world: world.counts.label,
        _bp_label,
    ),
    File(
        "bp_label_artist",
        ("label_id", "artist_id", "updated_on"),
        lambda world: len(world.bp.label_label),
        _bp_label_artist,
    ),
)

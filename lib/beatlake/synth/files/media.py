"""The four media files of the Beatport side: image and sample identifiers."""

from __future__ import annotations

import numpy as np

from beatlake.synth import dates
from beatlake.synth.files.base import File, Rows, beatport_ids
from beatlake.synth.randomness import Array, Shuffle, below
from beatlake.synth.texts import of_integers, uuids
from beatlake.synth.world import World

# Some artists and labels have no picture.
_ARTIST_SHARE, _LABEL_SHARE = 0.8, 0.9


def _image_ids(index: Array, first: int) -> Array:
    return index.astype(np.int64) * 2 + first


def _bp_artist_media(world: World, at: Array) -> Rows:
    people = world.people
    artist = Shuffle.of(people.guests_from + people.bp_guests, world.seed, "artist media")(at)
    return Rows(
        [
            of_integers(beatport_ids(world, artist, "artist")),
            of_integers(_image_ids(artist, 5_000_001)),
            uuids(artist, world.seed, "artist image"),
            dates.batch_times(at, "2023-09-19 20:00:00", 1000, 1),
        ]
    )


def _bp_label_media(world: World, at: Array) -> Rows:
    label = Shuffle.of(world.counts.label, world.seed, "label media")(at)
    return Rows(
        [
            of_integers(beatport_ids(world, label, "label")),
            of_integers(_image_ids(label, 1_000_001)),
            uuids(label, world.seed, "label image"),
            dates.batch_times(at, "2023-09-19 20:20:00", 1000, 1),
        ]
    )


def _bp_release_media(world: World, at: Array) -> Rows:
    release = Shuffle.of(len(world.bp.rel_day), world.seed, "release media")(at)
    return Rows(
        [
            of_integers(beatport_ids(world, release, "release")),
            of_integers(_image_ids(release, 9_000_001)),
            uuids(release, world.seed, "release image"),
            dates.batch_times(at, "2023-09-19 20:40:00", 5000, 1),
        ]
    )


def _bp_track_media(world: World, at: Array) -> Rows:
    row = Shuffle.of(len(world.bp.rec), world.seed, "track media")(at)
    start = below(row, 240_000, world.seed, "sample start")
    return Rows(
        [
            of_integers(beatport_ids(world, row, "track")),
            of_integers(_image_ids(row, 20_000_001)),
            uuids(row, world.seed, "wave"),
            uuids(row, world.seed, "sample"),
            of_integers(start),
            of_integers(start + 120_000),
            dates.batch_times(at, "2023-09-19 21:10:00", 5000, 1),
        ]
    )


MEDIA = (
    File(
        "bp_artist_media",
        ("artist_id", "artist_img_id", "artist_img_uuid", "updated_on"),
        lambda world: round(_ARTIST_SHARE * (world.people.guests_from + world.people.bp_guests)),
        _bp_artist_media,
    ),
    File(
        "bp_label_media",
        ("label_id", "label_img_id", "label_img_uuid", "updated_on"),
        lambda world: round(_LABEL_SHARE * world.counts.label),
        _bp_label_media,
    ),
    File(
        "bp_release_media",
        ("release_id", "release_img_id", "release_img_uuid", "updated_on"),
        lambda world: len(world.bp.rel_day),
        _bp_release_media,
    ),
    File(
        "bp_track_media",
        (
            "track_id",
            "wave_img_id",
            "wave_img_uuid",
            "sample_uuid",
            "sample_start",
            "sample_end",
            "updated_on",
        ),
        lambda world: len(world.bp.rec),
        _bp_track_media,
    ),
)

"""What a file is: a header, a number of clean rows, and a function that gives any of its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.synth.names import artist_names, remix_credits
from beatlake.synth.people import guests, remixers
from beatlake.synth.randomness import Array, Shuffle, uniform
from beatlake.synth.texts import Text, hexadecimal, isrcs, of_integers, spotify_ids, where_null
from beatlake.synth.world import World


@dataclass
class Rows:
    """Some rows of a file: one text column per header name, quoted where needed.

    `sums` are exact sums of whole numbers over the rows, `flags` counts of rows that meet a
    condition of `truth.CONDITIONS`.
    """

    columns: list[Text]
    sums: dict[str, int] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """One generated file; `rows` gives the clean rows at the given places in the file."""

    name: str
    header: tuple[str, ...]
    size: Callable[[World], int]
    rows: Callable[[World, Array], Rows]


def whole_sums(**columns: Array) -> dict[str, int]:
    """Exact sums of the given whole numbers."""
    return {name: int(values.sum(dtype=np.int64)) for name, values in columns.items()}


def isrc_texts(world: World, recording: Array) -> Text:
    """The ISRC of each recording, NULL where it has none."""
    number = Shuffle.of(len(world.rec.artist), world.seed, "isrc")(recording)
    text = isrcs(number, world.rec.year[recording], world.seed)
    missing = ~world.rec.has_isrc[recording]
    return where_null(text, missing) if missing.any() else text


def spotify_texts(world: World, index: Array, kind: str) -> Text:
    """Spotify ids of tracks, releases or artists."""
    return spotify_ids(index.astype(np.int64), world.seed, kind)


def preview_digits(world: World, track: Array) -> Array:
    """The 40 digits that name the preview of each Spotify track, as a matrix of bytes."""
    return hexadecimal(track, 40, world.seed, "preview")


def has_preview(world: World, track: Array) -> Array:
    """Whether a Spotify track has the address of a preview."""
    return uniform(track, world.seed, "no preview") >= 0.12


def beatport_ids(world: World, index: Array, kind: str) -> Array:
    """Beatport ids: positive, distinct within a kind, with gaps, in no useful order."""
    sizes = {
        "track": len(world.bp.rec),
        "release": len(world.bp.rel_day),
        "label": world.counts.label,
        "artist": world.people.guests_from + world.people.bp_guests,
    }
    return Shuffle.of(sizes[kind], world.seed, "beatport " + kind)(index) * 7 // 4 + 1001


def addresses(kind: str, slug: Text, ids: Array) -> Text:
    """Beatport's addresses, such as `/track/night-drive/1234`."""
    return pc.binary_join_element_wise(f"/{kind}/", slug, "/", of_integers(ids), "")


def remix_of(world: World, recording: Array) -> tuple[Array, Text]:
    """Which of the recordings are remixes, and the credits of those (only)."""
    found = guests(recording, world.rec.artist[recording], world.people, world.seed)
    remixer = remixers(recording, found, world.people, world.seed)
    remix = remixer >= 0
    names = artist_names(remixer[remix], world.people.sp_main, world.seed)
    return remix, remix_credits(names)


def line_break_places(rows: int, scale_rows: int) -> Array:
    """Where titles hold a line break: few, in the first half of the file.

    The second half is left free of them, so that a defective odd quote there has no partner.
    """
    number = max(2, round(40 * rows / scale_rows))
    return np.unique(np.linspace(0.05 * rows, 0.45 * rows, number).astype(np.int64))


def with_line_breaks(text: Text, at: Array, rows: int, scale_rows: int) -> Text:
    """Replace the titles at some places by ones of two lines, by turns CRLF and LF between them."""
    places = line_break_places(rows, scale_rows)
    hit = np.isin(at, places)
    if not hit.any():
        return text
    number = np.searchsorted(places, at[hit])
    two = [f"First Line {i}{chr(13) if i % 2 == 0 else ''}\nSecond Line, {i}" for i in number]
    return pc.replace_with_mask(text, pa.array(hit), pa.array(two))

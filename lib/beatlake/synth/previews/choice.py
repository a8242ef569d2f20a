"""Which recordings have a clip, and what its file is called."""

from __future__ import annotations

import numpy as np

from beatlake.synth.files.base import has_preview, isrc_texts, preview_digits, spotify_texts
from beatlake.synth.randomness import Array, below, hash64
from beatlake.synth.world import World

SUFFIXES = ("mp3", "ogg")


def chosen(world: World, number: int) -> Array:
    """So many recordings in the order of a hash, so that the first are those of a smaller number.

    They are a plain sample of those that have an ISRC, audio features, a Beatport genre, and one
    Spotify track with a preview, so that nobody has to guess whose preview is the recording's. Of
    such a recording the track has the same number.

    Raises:
        ValueError: there are fewer.
    """
    rec, region = world.rec, world.counts.sp_recordings
    usable = rec.has_audio[:region] & rec.has_isrc[:region]
    usable &= (rec.n_sp[:region] == 1) & (rec.n_bp[:region] > 0)
    found = np.flatnonzero(usable)
    found = found[has_preview(world, found)]
    if len(found) < number:
        raise ValueError(
            f"previews must be at most {len(found)} at this scale, as many as recordings have a"
            f" Beatport genre and one Spotify track with a preview; got {number}"
        )
    return found[np.argsort(hash64(found, world.seed, "clip"), kind="stable")[:number]]


def file_names(world: World, recording: Array) -> list[str]:
    """The names: the digits of the preview's address, and the kind of file that a hash decides."""
    digits = preview_digits(world, recording)
    kind = below(recording, len(SUFFIXES), world.seed, "clip format")
    return [
        f"{row.tobytes().decode()}.{SUFFIXES[k]}"
        for row, k in zip(digits, kind.tolist(), strict=True)
    ]


def identities(world: World, recording: Array) -> list[tuple[str, str]]:
    """ISRC and Spotify's id of the main artist, of each."""
    isrc = isrc_texts(world, recording)
    artist = spotify_texts(world, world.rec.artist[recording], "artist")
    return list(zip(isrc.to_pylist(), artist.to_pylist(), strict=True))

"""The generated files, one `File` each; three small ones are copied as they are."""

from __future__ import annotations

from beatlake.synth.files.base import File, Rows
from beatlake.synth.files.beatport import BEATPORT
from beatlake.synth.files.media import MEDIA
from beatlake.synth.files.spotify import SPOTIFY

GENERATED: tuple[File, ...] = (*SPOTIFY, *BEATPORT, *MEDIA)
COPIED: tuple[str, ...] = ("bp_genre", "bp_subgenre", "bp_key")

__all__ = ["COPIED", "GENERATED", "File", "Rows"]

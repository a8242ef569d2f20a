"""What a defect is, and what it takes to make one: clean rows to start from, fresh keys, places."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from beatlake.synth.files.base import File
from beatlake.synth.randomness import stream
from beatlake.synth.texts import ALPHABET
from beatlake.synth.world import World
from beatlake.synth.writer import Insert, line, lines_of

Values: TypeAlias = dict[str, str | None]
_DRAWN_AT_ONCE = 256

KEYS: dict[str, tuple[str, ...]] = {
    "audio_features": ("isrc",),
    "sp_track": ("track_id",),
    "sp_release": ("release_id",),
    "sp_artist": ("artist_id",),
    "sp_artist_release": ("artist_id", "release_id"),
    "sp_artist_track": ("artist_id", "track_id"),
    "sp_track_popularity": ("track_id",),
    "bp_track": ("track_id",),
    "bp_artist": ("artist_id",),
    "bp_artist_track": ("artist_id", "track_id", "is_remixer"),
    "bp_release": ("release_id",),
    "bp_label": ("label_id",),
}


@dataclass(frozen=True)
class Defect:
    """One planted record; `values` are its columns where it can be read as a row."""

    rule: str
    insert: Insert
    key: str
    values: Values | None


class Maker:
    """Makes the defects of one file."""

    def __init__(self, world: World, file: File) -> None:
        """Fresh keys and random places depend on the seed and the file alone."""
        self.world = world
        self.file = file
        self.rows = file.size(world)
        self.rng = stream(world.seed, "defects " + file.name)
        self.fresh = 0
        self.drawn: list[tuple[Values, bytes]] = []

    def plain(self) -> tuple[Values, bytes]:
        """A random clean row that has its ISRC and no line break: its columns and its bytes."""
        while True:
            if not self.drawn:
                self.drawn = self._draw()
            values, data = self.drawn.pop()
            broken = any(value is not None and "\n" in value for value in values.values())
            if not broken and ("isrc" not in values or values["isrc"]):
                return values, data

    def _draw(self) -> list[tuple[Values, bytes]]:
        rows = self.file.rows(self.world, self.rng.integers(0, self.rows, _DRAWN_AT_ONCE))
        data, ends = lines_of(rows)
        drawn = []
        for start, end in pairwise(ends.tolist()):
            raw = data[start:end]
            (row,) = csv.reader(io.StringIO(raw.decode(), newline=""))
            pairs = zip(self.file.header, row, strict=True)
            drawn.append(({name: value or None for name, value in pairs}, raw))
        return drawn

    def place(self, low: float = 0.0, high: float = 1.0) -> int:
        """A random number of clean rows to come before the record."""
        return int(self.rows * (low + (high - low) * self.rng.random()))

    def spotify_id(self) -> str:
        """A fresh Spotify id; clean ones never begin with Z."""
        letters = ALPHABET.decode()
        return "Z" + "".join(letters[i] for i in self.rng.integers(0, 62, 21))

    def isrc(self) -> str:
        """A fresh ISRC; clean ones never begin with ZZ."""
        self.fresh += 1
        kinds = {"audio_features": 1, "sp_track": 2, "bp_track": 3}
        return f"ZZ{kinds.get(self.file.name, 9)}AA23{self.fresh:05d}"

    def beatport_id(self) -> str:
        """A fresh Beatport id, above all clean ones."""
        self.fresh += 1
        file = list(KEYS).index(self.file.name)
        return str(900_000_000 + 1_000_000 * file + self.fresh)

    def renewed(self, **changes: str | None) -> Values:
        """A clean row with a fresh key and a fresh ISRC, and some changes."""
        values, _ = self.plain()
        key = KEYS[self.file.name]
        # A link's key is a pair, and a fresh end of it would be an orphan.
        if len(key) == 1 and key[0] != "isrc":
            spotify = self.file.name.startswith("sp_")
            values[key[0]] = self.spotify_id() if spotify else self.beatport_id()
        if "isrc" in values:
            values["isrc"] = self.isrc()
        return values | changes

    def key_of(self, values: Values) -> str:
        """The key columns as text."""
        return "|".join(values[name] or "" for name in KEYS[self.file.name])

    def record(self, rule: str, values: Values, data: bytes | None = None) -> Defect:
        """A record at a random place; `data` replaces the text of the values."""
        insert = Insert(self.place(), data if data is not None else line(list(values.values())))
        return Defect(rule, insert, self.key_of(values), values if data is None else None)

"""A small table of songs whose truth is known: what the sound says, and what the artist does."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from beatlake.learn import rows, source, task_files
from beatlake.learn.engine import database
from beatlake.learn.rows import Prepared
from beatlake.learn.task import Task

COLUMNS = (
    "track",
    "artist",
    "title",
    "released",
    "energy",
    "tempo",
    "valence",
    "mood",
    "hit",
    "plays",
)

TASK = """
name: songs
question: Whether a song is a hit, from its sound.
entities:
  recording: [track]
  artists: {columns: [artist], titles: [title]}
  date: {column: released}
label: {column: hit}
features:
  groups:
    audio: {features: [energy, tempo, valence]}
    text: {features: [{name: mood, form: category}]}
splits: {headline: artist}
slices: {mood: mood}
estimators:
  - {name: logistic_regression}
ceiling: 0.99
"""


def made(n: int = 400, artists: int = 60, seed: int = 1) -> list[dict[str, Any]]:
    """Songs by artists of different fame; a hit depends on energy, and on who made it.

    Every tenth song credits a second artist, every twelfth is there twice.
    """
    random = np.random.default_rng(seed)
    fame = random.normal(size=artists)
    songs = []
    for i in range(n):
        artist = int(random.integers(artists))
        energy = float(random.normal() + 0.3 * fame[artist])
        pull = 1.5 * energy + fame[artist] + random.logistic()
        credit = f"Artist {artist}"
        if i % 10 == 0:
            credit += f" feat. Artist {(artist + 7) % artists}"
        songs.append(
            {
                "track": f"t{i:04d}",
                "artist": credit,
                "title": f"Song {i}",
                "released": f"{2000 + i % 20}-{1 + i % 12:02d}-{1 + i % 28:02d}",
                "energy": round(energy, 6),
                "tempo": round(float(random.uniform(80, 180)), 6),
                "valence": round(float(random.uniform()), 6),
                "mood": ["calm", "dark", "bright"][int(random.integers(3))],
                "hit": "yes" if pull > 0 else "no",
                "plays": round(float(100 * np.exp(0.5 * pull)), 6),
            }
        )
        if i % 12 == 0:
            songs.append(dict(songs[-1]))
    return songs


def write(songs: list[dict[str, Any]], path: Path) -> Path:
    """Write songs as a CSV file; an empty field for None."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(songs[0]))
        writer.writeheader()
        writer.writerows(songs)
    return path


@dataclass
class Ready:
    """Prepared rows in a database."""

    connection: duckdb.DuckDBPyConnection
    task: Task
    prepared: Prepared

    def column(self, query: str) -> list[Any]:
        """The first column of an answer."""
        return [row[0] for row in self.connection.execute(query).fetchall()]


@contextmanager
def ready(songs: list[dict[str, Any]], folder: Path, text: str = TASK) -> Iterator[Ready]:
    """The songs prepared for a task."""
    asked = task_files.parse(text, "songs")
    path = write(songs, folder / "songs.csv")
    with database(folder) as connection:
        prepared = rows.prepare(connection, asked, source.path(path, asked.table))
        yield Ready(connection, asked, prepared)
    (folder / "rows.duckdb").unlink()


def altered(text: str, *changes: tuple[str, str]) -> str:
    """A task's text with parts replaced, each of which must be there."""
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return text

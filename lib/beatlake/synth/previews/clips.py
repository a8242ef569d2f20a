"""Writes clips, in any process, and says what was planted in each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from beatlake.synth.previews.choice import chosen, file_names, identities
from beatlake.synth.previews.instruments import RATE
from beatlake.synth.previews.rendering import SECONDS, render
from beatlake.synth.previews.sounds import SPREADS, Sound, draw
from beatlake.synth.randomness import Array, stream
from beatlake.synth.shape import Counts
from beatlake.synth.world import People, World
from beatlake.synth.writer import mapped_world

FOLDER = "previews"
_PER_JOB = 8
_SUBTYPES = {"mp3": "MPEG_LAYER_III", "ogg": "VORBIS"}


@dataclass(frozen=True)
class ClipJob:
    """The clips of some recordings."""

    folder: Path
    counts: Counts
    seed: int
    people: People
    out: Path
    recordings: Array


@dataclass(frozen=True)
class Clip:
    """One clip that was written."""

    file: str
    isrc: str
    artist_id: str
    sound: Sound
    samples_sha256: str


def clip_jobs(world: World, work: Path, out: Path, number: int) -> list[ClipJob]:
    """The jobs of so many clips, whose folder is made.

    Raises:
        ValueError: there are fewer recordings that can have one.
    """
    recordings = chosen(world, number)
    (out / FOLDER).mkdir(exist_ok=True)
    return [
        ClipJob(work, world.counts, world.seed, world.people, out / FOLDER, recordings[start:stop])
        for start, stop in _parts(len(recordings))
    ]


def _parts(number: int) -> Iterator[tuple[int, int]]:
    for start in range(0, number, _PER_JOB):
        yield start, min(start + _PER_JOB, number)


def sound_of(world: World, recording: int) -> Sound:
    """The planted sound of a recording."""
    rec = world.rec
    return draw(
        genre=int(rec.genre[recording]),
        tempo=int(rec.bpm[recording]),
        key=int(rec.key[recording]),
        mode=int(rec.mode[recording]),
        artist=int(rec.artist[recording]),
        recording=recording,
        seed=world.seed,
    )


def write_clips(job: ClipJob) -> list[Clip]:
    """Carry out one job; runs in any process, the world is mapped from its folder."""
    world = mapped_world(job.folder, job.counts, job.seed, job.people)
    names = file_names(world, job.recordings)
    written = []
    for recording, name, (isrc, artist) in zip(
        job.recordings.tolist(), names, identities(world, job.recordings), strict=True
    ):
        sound = sound_of(world, recording)
        samples = render(sound, stream(job.seed, "clip", recording))
        kind = name.rpartition(".")[2]
        soundfile.write(job.out / name, samples, RATE, _SUBTYPES[kind], format=kind.upper())
        digest = hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest()
        written.append(Clip(name, isrc, artist, sound, digest))
    return written


def clips_truth(written: Iterable[Clip]) -> dict[str, Any]:
    """What truth.json says of the clips; the fields are described in the package's docstring."""
    clips: list[dict[str, Any]] = []
    artists: dict[str, dict[str, Any]] = {}
    for clip in written:
        planted = asdict(clip.sound)
        artists[clip.artist_id] = planted.pop("artist")
        properties = planted.pop("properties")
        own = {"file": clip.file, "isrc": clip.isrc, "artist_id": clip.artist_id}
        clips.append(own | planted | properties | {"samples_sha256": clip.samples_sha256})
    genre, count = np.unique([clip["genre_id"] for clip in clips], return_counts=True)
    return {
        "folder": FOLDER,
        "number": len(clips),
        "seconds": SECONDS,
        "sample_rate": RATE,
        "by_genre": {str(i): int(n) for i, n in zip(genre, count, strict=True)},
        "spreads": {name: asdict(spread) for name, spread in SPREADS.items()},
        "artists": dict(sorted(artists.items())),
        "clips": clips,
    }

"""Turns rows into bytes of CSV, with defective records put in between."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from beatlake.synth.files import GENERATED, File, Rows
from beatlake.synth.randomness import Array
from beatlake.synth.shape import Counts
from beatlake.synth.world import People, World

CHUNK_ROWS = 100_000
LINE_END = b"\r\n"


@dataclass(frozen=True)
class Insert:
    """A record to put after `after` clean rows of the file: its bytes, line end included."""

    after: int
    data: bytes


@dataclass(frozen=True)
class Job:
    """The rows `start` to `stop` of one file, and the records to insert among them."""

    folder: Path
    counts: Counts
    seed: int
    people: People
    file: str
    start: int
    stop: int
    inserts: tuple[Insert, ...]


@dataclass(frozen=True)
class Piece:
    """The bytes of one job, where its inserts begin in them, and the counts of its rows."""

    data: bytes
    offsets: tuple[int, ...]
    sums: dict[str, int]
    flags: dict[str, int]


def field_text(value: str | None) -> str:
    """One value as COPY writes it: NULL empty, quoted only where needed.

    >>> [field_text(value) for value in (None, "", "a b", 'say "a", b')]
    ['', '""', 'a b', '"say ""a"", b"']
    """
    if value is None:
        return ""
    if value == "" or any(c in value for c in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


def line(values: Sequence[str | None]) -> bytes:
    """One record with its line end."""
    return ",".join(map(field_text, values)).encode() + LINE_END


def lines_of(rows: Rows) -> tuple[bytes, Array]:
    """The records of some rows, and the n + 1 offsets at which they begin and end."""
    last = pc.binary_join_element_wise(
        rows.columns[-1], "\r\n", "", null_handling="replace", null_replacement=""
    )
    text = pc.binary_join_element_wise(
        *rows.columns[:-1], last, ",", null_handling="replace", null_replacement=""
    )
    offsets = np.frombuffer(text.buffers()[1], np.int32)[: len(text) + 1]
    return text.buffers()[2].slice(0, int(offsets[-1])).to_pybytes(), offsets


@cache
def _files() -> dict[str, File]:
    return {file.name: file for file in GENERATED}


@cache
def mapped_world(folder: Path, counts: Counts, seed: int, people: People) -> World:
    """The world that a folder holds, mapped once in each process."""
    return World.load(folder, counts, seed, people)


def forget_world() -> None:
    """Let go of the world that pieces and clips were made of in this process."""
    mapped_world.cache_clear()


def write_piece(job: Job) -> Piece:
    """Carry out one job; runs in any process, the world is mapped from its folder."""
    world = mapped_world(job.folder, job.counts, job.seed, job.people)
    rows = _files()[job.file].rows(world, np.arange(job.start, job.stop))
    data, ends = lines_of(rows)
    if not job.inserts:
        return Piece(data, (), rows.sums, rows.flags)
    parts: list[bytes] = []
    offsets: list[int] = []
    done = length = 0
    for insert in job.inserts:
        place = int(ends[insert.after - job.start])
        parts += [data[done:place], insert.data]
        offsets.append(length + place - done)
        length += place - done + len(insert.data)
        done = place
    parts.append(data[done:])
    return Piece(b"".join(parts), tuple(offsets), rows.sums, rows.flags)


def usable_processes() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

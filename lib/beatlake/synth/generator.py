"""Writes all files and truth.json; the effects around the pure rest of the package."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from beatlake.synth import truth
from beatlake.synth.build import Map, build
from beatlake.synth.dates import date_texts
from beatlake.synth.defects import Defect, plan
from beatlake.synth.files import COPIED, GENERATED
from beatlake.synth.files.base import spotify_texts
from beatlake.synth.genres import data_bytes
from beatlake.synth.shape import counts_at
from beatlake.synth.world import World
from beatlake.synth.writer import (
    CHUNK_ROWS,
    Job,
    Piece,
    forget_world,
    line,
    usable_processes,
    write_piece,
)

# Below this scale and number of clips, starting processes costs more than they save.
_ALONE_BELOW = 0.02
_ALONE_BELOW_CLIPS = 50

Done = TypeVar("Done")


def generate(
    out: Path,
    *,
    scale: float = 0.002,
    seed: int = 42,
    clean: bool = False,
    previews: int = 0,
    processes: int | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Write the 20 files, `sp_track_popularity.csv` and `truth.json` into a folder.

    Args:
        out: the folder; made if absent. Files of these names in it are replaced.
        scale: the size as a share of the real dataset (1 = 7 GB), see `shape.counts_at`.
        seed: the same scale and seed give the same bytes.
        clean: leave out the defective records.
        previews: how many clips of sound to write into the folder `previews` of the folder; needs
            the extra `sound`. Everything else is the same as without.
        processes: how many to use, by default one for small scales, else all processors. The
            bytes do not depend on it.
        progress: show a progress bar where the output is a terminal.

    Returns:
        The content of truth.json.

    Raises:
        ValueError: the scale, seed, number of previews or of processes is impossible.
        ModuleNotFoundError: there are to be previews and the extra `sound` is not installed.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if processes is not None and processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    if previews < 0:
        raise ValueError(f"previews must not be negative, got {previews}")
    counts = counts_at(scale)
    if previews:
        from beatlake.synth.previews.clips import clip_jobs, clips_truth, write_clips
    if processes is None:
        small = scale < _ALONE_BELOW and previews < _ALONE_BELOW_CLIPS
        processes = 1 if small else usable_processes()
    out.mkdir(parents=True, exist_ok=True)
    # Without truth.json the folder is unfinished, whatever else lies in it.
    (out / "truth.json").unlink(missing_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".synth-", dir=out))
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), disable=not progress
    )
    bar.disable = bar.disable or not bar.console.is_terminal
    try:
        with bar, _workers(processes) as run:
            task = bar.add_task("catalogue", total=None)
            world, planted = build(
                counts, seed, run, lambda step: bar.update(task, description=step)
            )
            world.save(work)
            people = world.people
            world = World.load(work, counts, seed, people)
            defects = {} if clean else plan(world, scale)
            jobs = list(_jobs(world, work, defects))
            sounds = clip_jobs(world, work, out, previews) if previews else []
            bar.update(task, total=len(jobs) + len(sounds), completed=0)
            files = {name: _copy(out, name) for name in COPIED}
            pieces = run(write_piece, jobs)
            for file in GENERATED:
                bar.update(task, description=file.name)
                number = sum(job.file == file.name for job in jobs)
                written, offsets = _write(
                    out / f"{file.name}.csv",
                    line(list(file.header)),
                    (_seen(next(pieces), bar, task) for _ in range(number)),
                )
                files[file.name] = truth.file_truth(
                    file.name, file.size(world), defects.get(file.name, []), offsets, written
                )
            known = _whole_truth(world, defects, planted, files)
            if previews:
                bar.update(task, description="previews")
                clips = [
                    clip for part in run(write_clips, sounds) for clip in _seen(part, bar, task)
                ]
                known["previews"] = clips_truth(clips)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    known = {
        "schema_version": truth.SCHEMA_VERSION,
        "scale": scale,
        "seed": seed,
        "clean": clean,
    } | known
    (out / "truth.json").write_text(
        json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n"
    )
    return known


def _seen(done: Done, bar: Progress, task: Any) -> Done:
    bar.advance(task)
    return done


@contextmanager
def _workers(processes: int) -> Iterator[Map]:
    """A map in order over jobs: in this process, or in a pool of fresh ones."""
    if processes == 1:
        try:
            yield map
        finally:
            # The files that it maps take room until it is gone, although they are removed.
            forget_world()
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield pool.imap


def _jobs(world: World, work: Path, defects: dict[str, list[Defect]]) -> Iterable[Job]:
    for file in GENERATED:
        rows = file.size(world)
        inserts = [defect.insert for defect in defects.get(file.name, [])]
        for start in range(0, rows, CHUNK_ROWS):
            stop = min(start + CHUNK_ROWS, rows)
            # What comes after the last row belongs to the last job.
            end = rows + 1 if stop == rows else stop
            own = tuple(insert for insert in inserts if start <= insert.after < end)
            yield Job(work, world.counts, world.seed, world.people, file.name, start, stop, own)


def _write(path: Path, header: bytes, pieces: Iterable[Piece]) -> tuple[dict[str, Any], list[int]]:
    """Write one file; gives its bytes, hash, sums and flags, and where the inserts begin."""
    digest = hashlib.sha256(header)
    offsets: list[int] = []
    sums: dict[str, int] = {}
    flags: dict[str, int] = {}
    with path.open("wb") as target:
        target.write(header)
        length = len(header)
        for piece in pieces:
            target.write(piece.data)
            digest.update(piece.data)
            offsets += [length + offset for offset in piece.offsets]
            length += len(piece.data)
            for total, part in ((sums, piece.sums), (flags, piece.flags)):
                for name, value in part.items():
                    total[name] = total.get(name, 0) + value
    written = {"bytes": length, "sha256": digest.hexdigest(), "sums": sums, "flags": flags}
    return written, offsets


def _copy(out: Path, name: str) -> dict[str, Any]:
    data = data_bytes(f"{name}.csv")
    (out / f"{name}.csv").write_bytes(data)
    rows = data.count(b"\r\n") - 1
    written = {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "sums": {},
        "flags": {},
    }
    return truth.file_truth(name, rows, [], [], written)


def _whole_truth(
    world: World, defects: dict[str, list[Defect]], planted: Any, files: dict[str, Any]
) -> dict[str, Any]:
    joins = truth.joins(world)
    return {
        "files": dict(sorted(files.items())),
        "joins": {"clean": joins, "kept": truth.kept_joins(joins, defects)},
        "recordings": truth.recordings(world, defects, _release_dates(world, defects)),
        "conditions": truth.CONDITIONS,
        "signal": truth.signal_truth(planted),
    }


def _release_dates(world: World, defects: dict[str, list[Defect]]) -> dict[str, str]:
    """The written date of every release that a kept planted track names."""
    wanted = sorted({v["release_id"] or "" for v in truth.added(defects.get("sp_track", []))})
    if not wanted:
        return {}
    ids = spotify_texts(world, np.arange(len(world.sp.rel_day)), "release")
    place = pc.index_in(pa.array(wanted), value_set=ids)
    found = place.drop_null().to_numpy()
    texts = date_texts(world.sp.rel_day[found], world.sp.rel_precision[found])
    known = pa.array(wanted).filter(place.is_valid())
    return dict(zip(known.to_pylist(), texts.to_pylist(), strict=True))

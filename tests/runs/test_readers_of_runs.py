"""Ten real runs of changing input, failed and killed ones among them, and readers all the while."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from readers import Seen, reading

from beatlake import failpoints
from beatlake.lake import Lake
from beatlake.quality.contract import contracts
from beatlake.runs import publishing
from beatlake.synth import generate
from small_lake import run_arguments

pytestmark = pytest.mark.full

#: Each is the number of the drop: the duration of every recording, and the records set aside.
#: Changing audio features redoes 13 stages: its ingest, the recordings and all of gold.
FIGURES = {
    "bronze.audio_features": "avg(duration_ms)",
    "quarantine.audio_features": "count(*)",
    "silver.recordings": "avg(duration_ms)",
    "gold.by_year": "sum(duration_ms_mean * duration_ms_n) / sum(duration_ms_n)",
    "gold.by_key": "sum(duration_ms_mean * duration_ms_n) / sum(duration_ms_n)",
    "gold.by_season": "sum(duration_ms_mean * duration_ms_n) / sum(duration_ms_n)",
    "ops.ledger": "sum(CASE WHEN source = 'audio_features' AND outcome = 'set_aside'"
    " THEN rows END)",
}
#: Runs one `beatlake` command after the other in one JVM and says with which exit code each ended.
WRITER = """
import json, os, sys
from beatlake import cli
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    arguments, environment = json.loads(line)
    os.environ.update(environment)
    print(cli.main(arguments), file=answers, flush=True)
"""
REFUSED = 4
#: The drops that every reader is given time to see.
WAITED_FOR = {1, 2, 5, 7, 10}
BROKEN = 3


class Writer:
    """A process that runs `beatlake run`, and the next one after it was killed."""

    def __init__(self, lake: Path, log: Path) -> None:
        self.lake, self.log = lake, log
        self.process: subprocess.Popen[str] | None = None

    def run(self, folder: Path, **environment: str) -> int:
        """The exit code of a run; of the process, if it ended with it."""
        settings = ("spark.shuffle_partitions=2", "spark.memory=2g")
        arguments = [*run_arguments(folder, self.lake, *settings), "--log", "plain"]
        if self.process is None:
            with self.log.open("a") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", WRITER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([arguments, environment]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return int(answer) if answer else self.end()

    def end(self) -> int:
        """Let the process end and give its exit code."""
        assert self.process is not None
        self.process.communicate()
        ended, self.process = self.process, None
        return ended.returncode


@contextmanager
def writing(lake: Path, log: Path) -> Iterator[Writer]:
    """A writer whose process is gone afterwards."""
    writer = Writer(lake, log)
    try:
        yield writer
    finally:
        if writer.process is not None:
            os.killpg(writer.process.pid, signal.SIGKILL)
            writer.end()


def drop(folder: Path, number: int, aside: int | None = None, header: str | None = None) -> Path:
    """The five required files as drop ``number``, with so many records that are set aside."""
    made = folder.parent / f"drop-{number}"
    shutil.copytree(folder, made)
    target = made / "audio_features.csv"
    with (folder / target.name).open(encoding="utf-8", newline="") as stream:
        names, *rows = csv.reader(stream)
    at = names.index("duration_ms")
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*names, header] if header else names)
        writer.writerows([*row[:at], str(number), *row[at + 1 :]] for row in rows)
        writer.writerows([["no", "record"]] * (number if aside is None else aside))
    return made


def command(lake: Path, *arguments: str) -> None:
    """A `beatlake` command in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "beatlake.cli", *arguments, "--lake", str(lake)], check=True
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The five required files, small and without defects of their own."""
    made = tmp_path / "input"
    generate(made, scale=0.0002, seed=1, clean=True, processes=1, progress=False)
    for name, contract in contracts().items():
        if not contract.required:
            (made / f"{name}.csv").unlink()
    return made


def test_readers_see_no_two_releases_together_while_ten_runs_go_by(
    folder: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    paths = {"open": 0.3, "command": 5, "file": 0.3, "heads": 1, "spark": 0.3}
    with writing(lake, tmp_path / "writer.log") as writer:
        assert writer.run(drop(folder, 1)) == 0
        with reading(lake, FIGURES, tmp_path / "readers", paths) as readers:

            def seen_by_all() -> None:
                for reader in readers.values():
                    # The first of them may have begun before.
                    reader.wait(2, 300)

            assert writer.run(drop(folder, 2)) == 0
            seen_by_all()
            assert writer.run(drop(folder, 3, header="surprise")) == BROKEN
            assert writer.run(drop(folder, 4, aside=400)) == REFUSED
            command(lake, "rollback", "1")
            seen_by_all()
            assert writer.run(drop(folder, 5)) == 0
            seen_by_all()
            command(lake, "vacuum", "--keep", "3")
            place = {failpoints.VARIABLE: "during:gold.by_season"}
            assert writer.run(drop(folder, 6), **place) == -signal.SIGKILL
            assert writer.run(drop(folder, 7)) == 0
            seen_by_all()
            place = {failpoints.VARIABLE: "after:ops.releases"}
            assert writer.run(drop(folder, 8), **place) == -signal.SIGKILL
            command(lake, "rollback", "4")
            command(lake, "vacuum", "--keep", "4")
            assert writer.run(drop(folder, 9)) == 0
            assert writer.run(drop(folder, 10)) == 0
            seen_by_all()
    published = [release.release for release in publishing.published(Lake(lake))]
    expected = dict(zip(published, (1, 2, 1, 5, 7, 8, 5, 9, 10), strict=True))
    judge({path: reader.seen(expected) for path, reader in readers.items()}, expected)


def judge(seen: Mapping[str, Seen], expected: Mapping[int, float]) -> None:
    """No mixes, by any path but that of the heads, which shows that mixes can be told."""
    for path, found in seen.items():
        print(path, found.reads, "reads,", len(found.mixes), "mixes,", sorted(found.drops))
        if path == "heads":
            assert found.mixes
            continue
        assert (found.mixes, found.wrong, found.errors) == ([], [], {}), path
        assert WAITED_FOR <= found.drops <= set(expected.values()), path

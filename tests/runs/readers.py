"""Reader processes that go on beside the test, and what they saw."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("reader.py")


@dataclass(frozen=True)
class Seen:
    """What one reader saw: values of a read that differ from table to table are a mix."""

    reads: int
    mixes: list[dict[str, Any]]
    wrong: list[dict[str, Any]]
    drops: set[float]
    errors: Counter[str]


class Reader:
    """One process and its record."""

    def __init__(
        self, path: str, lake: Path, figures: Mapping[str, str], record: Path, pause: float
    ) -> None:
        self.path = path
        self.record = record
        record.touch()
        arguments = [path, str(lake), json.dumps(figures), str(record), str(pause)]
        self.process = subprocess.Popen([sys.executable, str(_SCRIPT), *arguments])

    def lines(self) -> list[dict[str, Any]]:
        """Every read that is over."""
        return [json.loads(line) for line in self.record.read_text("utf-8").splitlines()]

    def wait(self, reads: int, seconds: float) -> None:
        """Wait until so many more reads are over."""
        wanted, until = len(self.lines()) + reads, time.monotonic() + seconds
        while len(self.lines()) < wanted:
            assert self.process.poll() is None, f"the reader {self.path} has ended"
            assert time.monotonic() < until, f"the reader {self.path} is stuck"
            time.sleep(0.05)

    def seen(self, expected: Mapping[int, float]) -> Seen:
        """What was seen, given the drop that each release holds."""
        reads = [line for line in self.lines() if "seen" in line]
        return Seen(
            len(reads),
            [read for read in reads if len(set(read["seen"].values())) > 1],
            [
                read
                for read in reads
                if read["release"] is not None
                and set(read["seen"].values()) != {expected[read["release"]]}
            ],
            {value for read in reads for value in read["seen"].values()},
            Counter(line["error"] for line in self.lines() if "error" in line),
        )


@contextmanager
def reading(
    lake: Path, figures: Mapping[str, str], folder: Path, paths: Mapping[str, float]
) -> Iterator[dict[str, Reader]]:
    """A reader for each path, with the seconds that it waits between two tables."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        made = {}
        for path, pause in paths.items():
            made[path] = Reader(path, lake, figures, folder / f"{path}.jsonl", pause)
            stack.callback(made[path].process.wait)
            stack.callback(made[path].process.kill)
        yield made

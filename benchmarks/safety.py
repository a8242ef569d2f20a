"""What the safety of a run costs: lease, stage records, audit and publishing, beside the whole.

    python benchmarks/safety.py --input DIR --lake NEW_DIR [--set KEY=VALUE]

Runs the pipeline once on an empty lake and prints the seconds that the run's threads spent in each
part and their share of the run. Threads overlap, so the shares are upper bounds of what the run
would save without them; the audit and publishing are on its critical path as they stand.
"""

from __future__ import annotations

import argparse
import functools
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beatlake import config
from beatlake.lake import Lake
from beatlake.runs import lease, publishing, runner
from beatlake.runs.job import Job
from beatlake.runs.records import StageRecords
from beatlake.runs.report import Silent

#: The parts, by what they are: owner and name of the functions that do them.
PARTS: dict[str, list[tuple[Any, str]]] = {
    "lease: taken, checked, given back": [
        (lease, "take"),
        (lease.Lease, "check"),
        (lease.Lease, "give_back"),
    ],
    "stage records: read, verified, written": [
        (StageRecords, "__init__"),
        (StageRecords, "usable"),
        (StageRecords, "add"),
    ],
    "audit": [(Job, "_audit")],
    "publishing": [(Job, "_publish"), (publishing, "catch_up")],
}


class Clock:
    """Seconds spent inside functions, over all threads; a call within a call counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()
        self._inside = threading.local()

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time taken."""

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if getattr(self._inside, "yes", False):
                return function(*args, **kwargs)
            self._inside.yes = True
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside.yes = False
                with self._lock:
                    self.seconds += time.perf_counter() - started

        return wrapper


def main() -> int:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--input", required=True)
    parser.add_argument("--lake", required=True, type=Path)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    given = parser.parse_args()
    if given.lake.exists():
        print(f"{given.lake} exists; the run is measured on a new lake.", file=sys.stderr)
        return 2
    clocks = {}
    for part, functions in PARTS.items():
        clocks[part] = Clock()
        for owner, name in functions:
            setattr(owner, name, clocks[part].timed(getattr(owner, name)))
    settings = config.load(assignments=given.settings)
    report = runner.run(given.input, Lake(given.lake), settings, Silent())
    print(f"{'part':45s} {'seconds':>8s} {'share':>7s}")
    for part, clock in clocks.items():
        print(f"{part:45s} {clock.seconds:8.2f} {clock.seconds / report.seconds:7.1%}")
    total = sum(clock.seconds for clock in clocks.values())
    print(f"{'all of these':45s} {total:8.2f} {total / report.seconds:7.1%}")
    print(f"{'the run':45s} {report.seconds:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

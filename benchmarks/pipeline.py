"""The whole pipeline: bronze, quarantine, silver, gold, audit and release of all files.

    python benchmarks/pipeline.py --input DIR [--set KEY=VALUE]... [--rounds 1] [--lake NEW_DIR]

Runs `beatlake run` on an empty lake, as a process of its own from start to exit, and tells seconds
by the clock and of CPU, peak memory of the process tree, bytes written by layer, CPU-seconds per
million records, what a run costs, and how the time is divided among stages. `--set spark.memory=3g`
gives the smaller heap of the target; `--lake` keeps the lake of the last round for `readers.py`.

What is kept as its baseline is CPU and bytes beside those of a plain copy of all files to Parquet
by DuckDB, measured after it.

Stages run side by side. The time of a stage is its part of the clock: a second in which three
stages run counts a third for each, so that all parts sum to the whole; and so do CPU-seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import baseline
import numpy as np
import psutil
from etl import Measured, measure

import beatlake

#: An assumption: about what a core-hour of a general-purpose machine costs at the list prices of
#: large clouds, on demand, without a platform's surcharge. Everything in money is from it.
USD_PER_CORE_HOUR = 0.05
#: One machine does alone what a cluster deals to buckets, unless this is set: a cluster's default.
AS_ON_A_CLUSTER = "spark.alone_values=20000000"
#: What happens before the first stage (start, finding and surveying the input) and after the last.
SURVEY, AUDIT = "start and survey", "audit and release"


@dataclass(frozen=True)
class Run:
    """One run: what it used, how seconds and CPU-seconds were divided, and what it made."""

    measured: Measured
    seconds: Mapping[str, float]
    cpu_s: Mapping[str, float]
    records: int
    written: Mapping[str, int]

    @property
    def cpu_s_per_million(self) -> float:
        """CPU-seconds per million records of the input."""
        return self.measured.cpu_s / (self.records / 1e6)


def run(source: Path, lake: Path, settings: Sequence[str] = (), cores: int | None = None) -> Run:
    """Run the pipeline on a new lake.

    Args:
        source: the input.
        lake: where the lake is to be.
        settings: ``KEY=VALUE`` texts.
        cores: to how many it is confined; to none by default.

    Raises:
        CalledProcessError: the run failed.
    """
    command = [sys.executable, "-m", "beatlake.cli", "run", "--log", "json"]
    command += ["--input", str(source), "--lake", str(lake)]
    command += [word for each in settings for word in ("--set", each)]
    timeline: list[tuple[float, float]] = []
    begin = time.time()
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as log:
        measured = measure(command, cores=cores, output=Path(log.name), timeline=timeline)
        told = events(Path(log.name))
    times, cpu = zip(*timeline, strict=True)
    ends = (begin, begin + measured.wall_s)
    seconds = divided(told, lambda at: at, *ends)
    cpu_s = divided(told, lambda at: float(np.interp(at, times, cpu)), *ends)
    return Run(measured, seconds, cpu_s, *made(lake))


def plain_copy(source: Path) -> tuple[Measured, int]:
    """What DuckDB needs to copy all files of an input to Parquet, and the bytes that it writes."""
    script = Path(__file__).parent / "engines" / "copy_with_duckdb.py"
    with tempfile.TemporaryDirectory() as folder:
        measured = measure([sys.executable, str(script), str(source), folder])
        return measured, sum(file.stat().st_size for file in Path(folder).iterdir())


def events(log: Path) -> list[dict[str, Any]]:
    """The events of a run's JSON log."""
    lines = log.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def divided(
    told: Iterable[Mapping[str, Any]], clock: Callable[[float], float], begin: float, end: float
) -> dict[str, float]:
    """How what a run used is divided among its stages and what is before and after them.

    Args:
        told: the run's events.
        clock: how much was used until a time, which is given in seconds.
        begin: when the process started.
        end: when it ended.

    >>> told = [
    ...     {
    ...         "timestamp": f"1970-01-01T00:00:0{second}+00:00",
    ...         "event": f"stage_{event}",
    ...         "fields": {"stage": stage},
    ...     }
    ...     for second, event, stage in [
    ...         (2, "started", "a"), (3, "started", "b"), (5, "finished", "a"), (6, "finished", "b")
    ...     ]
    ... ]
    >>> divided(told, lambda at: 10 * at, begin=0, end=7)
    {'start and survey': 20.0, 'a': 20.0, 'b': 20.0, 'audit and release': 10.0}
    """
    found: dict[str, float] = defaultdict(float)
    running: list[str] = []
    last = begin
    for event in told:
        if event["event"] not in ("stage_started", "stage_finished"):
            continue
        at, stage = datetime.fromisoformat(event["timestamp"]).timestamp(), event["fields"]["stage"]
        # Between two stages the next one is being prepared.
        shared = running or [stage if found else SURVEY]
        for each in shared:
            found[each] += (clock(at) - clock(last)) / len(shared)
        last = at
        if event["event"] == "stage_started":
            running.append(stage)
        else:
            running.remove(stage)
    found[AUDIT] += clock(end) - clock(last)
    return dict(found)


def made(lake: Path) -> tuple[int, dict[str, int]]:
    """How many records the newest release is of, and the bytes of its data files by layer."""
    release = beatlake.open(lake).release
    written: Counter[str] = Counter()
    for name, table in release.tables.items():
        written[name.partition(".")[0]] += sum(file.size for file in table.files)
    return sum(file.records for file in release.inputs.values()), dict(written)


def usd(wall_s: float, cores: int) -> float:
    """What so many cores cost for a time, in US dollars."""
    return wall_s / 3600 * cores * USD_PER_CORE_HOUR


def by_kind(seconds: Mapping[str, float]) -> dict[str, float]:
    """The seconds of stages by what kind they are.

    >>> by_kind({"ingest.a": 1.0, "ingest.b": 2.0, "audit and release": 3.0})
    {'ingest': 3.0, 'audit and release': 3.0}
    """
    found: dict[str, float] = defaultdict(float)
    for stage, part in seconds.items():
        found[stage.partition(".")[0]] += part
    return dict(found)


def _print(run: Run, cores: int) -> None:
    measured = run.measured
    print(
        f"wall {measured.wall_s:.1f} s, CPU {measured.cpu_s:.1f} s, peak"
        f" {measured.peak_rss_mb:,.0f} MB; others used {measured.others_cpu_s:.0f} CPU-s meanwhile"
    )
    print(
        f"{run.records:,} records, {run.cpu_s_per_million:.1f} CPU-s per million;"
        f" {usd(measured.wall_s, cores):.4f} USD for {cores} cores"
        f" at {USD_PER_CORE_HOUR} USD per core-hour (an assumption)"
    )
    print("written:", ", ".join(f"{k} {v / 1e6:,.1f} MB" for k, v in run.written.items()))
    cpu_s = by_kind(run.cpu_s)
    for kind, seconds in by_kind(run.seconds).items():
        print(f"  {kind:24} {seconds:7.1f} s {cpu_s[kind]:7.1f} CPU-s")
    longest = sorted(run.seconds.items(), key=lambda item: -item[1])[:8]
    print("longest:", ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in longest))


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--input", required=True, type=Path)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--rounds", default=1, type=int)
    parser.add_argument("--lake", type=Path, help="where to keep the last lake; replaced")
    baseline.add_options(parser)
    options = parser.parse_args()
    cores = len(psutil.Process().cpu_affinity())
    runs = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.lake and options.lake.parent) as folder:
            runs.append(run(options.input, Path(folder) / "lake", options.settings))
            _print(runs[-1], cores)
            if options.lake:
                shutil.rmtree(options.lake, ignore_errors=True)
                (Path(folder) / "lake").rename(options.lake)
    copy, copied = plain_copy(options.input)
    ratios = {
        "cpu_to_plain_copy": statistics.median(each.measured.cpu_s for each in runs) / copy.cpu_s,
        "bytes_to_plain_copy": sum(runs[-1].written.values()) / copied,
    }
    found = {"settings": options.settings, "copy": asdict(copy)} | {
        "rounds": [asdict(each) for each in runs]
    }
    name = "_".join(["pipeline", *options.settings])
    return baseline.finish(name, baseline.scale_of(options.input), ratios, found, options)


if __name__ == "__main__":
    sys.exit(main())

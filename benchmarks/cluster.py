"""Two workers of one core on a standalone cluster beside `local[2]`, and a cluster in trouble.

    python benchmarks/cluster.py --input DIR [--rounds 1] [--memory 3g] [--dealt | --trouble]

The pipeline job is submitted with `spark-submit` from the packaged archive, once to `local[2]` and
once to a master with two workers on this machine; the ratio is that of the seconds from start to
exit. With `--dealt` a third run, on `local[2]`, deals rows to buckets as a cluster of more slots
does (`spark.alone_values=20000000`), which two workers need not: what it takes more is dealing.

`--trouble` instead compares two runs on three workers, of many small partitions: one undisturbed,
one of which a worker gets every other half second only, and another is lost as joins begin. By the
model (`model.py`), work goes to whoever has time: with two cores, all workers and a lost one leave
two cores' work to one and a half from then on.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import baseline
from etl import Measured, measure

from pipeline import AS_ON_A_CLUSTER, divided, events

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import packaged
import standalone

#: Partitions of which each task has some seconds at most.
_SMALL = ("ingest.split_mb=1", "spark.task_values=500000", "spark.alone_values=500000")
_TURN_S = 0.5
_LOCAL, _DEALT, _CLUSTER = "local[2]", "local[2], dealt", "cluster"


def submit(
    folder: Path,
    master: str,
    python: Path,
    memory: str,
    settings: Sequence[str],
    log: Path,
    cores: int = 2,
) -> Measured:
    """Submit the job from a folder that `packaged.job` made, with the input there, and measure it.

    Of a cluster only the driver's CPU and memory are seen.
    """
    words = [word for each in settings for word in ("--set", each)]
    with tempfile.TemporaryDirectory(dir=folder) as lake:
        command = packaged.submit(
            master,
            *("pipeline.py", "--input", "input", "--lake", lake, "--log", "json", *words),
            options=[
                *("--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.ui.enabled=false"),
                *("--conf", "spark.log.level=ERROR", "--conf", f"spark.cores.max={cores}"),
                *("--driver-memory", memory, "--executor-memory", memory, "--executor-cores", "1"),
            ],
        )
        environment = {
            **packaged.environment(),
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYSPARK_PYTHON": str(python),
        }
        return measure(command, output=log, environment=environment, folder=folder)


def beside_local(
    folder: Path, memory: str, rounds: int, kinds: Sequence[str]
) -> dict[str, list[Measured]]:
    """Each kind of run once in each round."""
    found: dict[str, list[Measured]] = {kind: [] for kind in kinds}
    python, log = Path(sys.executable), folder / "log"
    for number in range(rounds):
        for kind, runs in found.items():
            settings = [AS_ON_A_CLUSTER] if kind == _DEALT else []
            if kind == _CLUSTER:
                place = folder / f"cluster-{number}"
                with standalone.cluster(place, memory=memory) as machines:
                    runs.append(submit(folder, machines.master, machines.python, memory, [], log))
            else:
                runs.append(submit(folder, _LOCAL, python, memory, settings, log))
            print(f"round {number + 1} {kind:15} {runs[-1].wall_s:.1f} s", flush=True)
    return found


@contextmanager
def trouble(machines: standalone.Cluster, log: Path) -> Iterator[list[float]]:
    """Slow one worker down and lose another when joins begin; when that was, once it was."""
    lost: list[float] = []
    over = threading.Event()

    def disturb() -> None:
        while not over.wait(_TURN_S):
            executors = machines.executors()
            if not executors:
                continue
            first, *others = sorted(executors)
            slowed = [executors[first], *standalone.below(executors[first])]
            for process in slowed:
                with standalone.unless_gone():
                    process.suspend()
            over.wait(_TURN_S)
            for process in slowed:
                with standalone.unless_gone():
                    process.resume()
            if not lost and others and '"stage": "integrate' in log.read_text(encoding="utf-8"):
                machines.lose_worker(executors[others[-1]])
                lost.append(time.time())

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join()


def in_trouble(folder: Path, memory: str) -> dict[str, float]:
    """Seconds of an undisturbed and of a disturbed run, and what the model expects of it."""
    undisturbed, disturbed = folder / "undisturbed.log", folder / "disturbed.log"
    with standalone.cluster(folder / "first", workers=3, memory=memory) as machines:
        first = submit(folder, machines.master, machines.python, memory, _SMALL, undisturbed, 3)
    disturbed.touch()
    with (
        standalone.cluster(folder / "second", workers=3, memory=memory) as machines,
        trouble(machines, disturbed) as lost,
    ):
        began = time.time()
        second = submit(folder, machines.master, machines.python, memory, _SMALL, disturbed, 3)
    if not lost:
        raise SystemExit("No worker was lost: the run was over before it could be.")
    parts = divided(events(undisturbed), lambda at: at, began, began)
    joins = sum(part for stage, part in parts.items() if stage.startswith(("integrate", "aggreg")))
    return {
        "undisturbed": first.wall_s,
        "disturbed": second.wall_s,
        "expected": first.wall_s + joins * (2 / 1.5 - 1),
    }


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--input", required=True, type=Path)
    parser.add_argument("--rounds", default=1, type=int)
    parser.add_argument("--memory", default="3g", help="heap of the driver and of each executor")
    parser.add_argument("--dealt", action="store_true", help="rows dealt to buckets, too")
    parser.add_argument("--trouble", action="store_true", help="a slow worker, and a lost one")
    baseline.add_options(parser)
    options = parser.parse_args()
    scale = baseline.scale_of(options.input)
    with tempfile.TemporaryDirectory() as made:
        folder = packaged.job(Path(made))
        (folder / "input").symlink_to(options.input.resolve())
        if options.trouble:
            seconds = in_trouble(folder, options.memory)
            print(", ".join(f"{kind} {value:.1f} s" for kind, value in seconds.items()))
            ratios = {"disturbed_to_expected": seconds["disturbed"] / seconds["expected"]}
            return baseline.finish("cluster in trouble", scale, ratios, seconds, options)
        kinds = (_LOCAL, *([_DEALT] if options.dealt else []), _CLUSTER)
        found = beside_local(folder, options.memory, options.rounds, kinds)
    medians = {
        kind: statistics.median(each.wall_s for each in runs) for kind, runs in found.items()
    }
    ratios = {
        f"{name}_to_local": medians[kind] / medians[_LOCAL]
        for name, kind in (("cluster", _CLUSTER), ("dealt", _DEALT))
        if kind in medians
    }
    everything = {kind: [asdict(each) for each in runs] for kind, runs in found.items()}
    return baseline.finish("cluster", scale, ratios, everything, options)


if __name__ == "__main__":
    sys.exit(main())

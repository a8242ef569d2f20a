"""How the whole pipeline grows with the input and with cores, and what it would take elsewhere.

    python benchmarks/slope.py --folder DIR [--scales 0.03,0.1,0.3,1] [--beside 0.1] [--rounds 1]

DIR holds a set for each scale, named by it (`DIR/0.1`), made by `beatlake generate --clean` where
it is missing. Each is run by all cores (`pipeline.py`), then that of `--beside` on one core, on two
if these are not all, and with rows dealt to buckets as on a cluster of five slots or more
(`spark.alone_values=20000000`). Printed are the exponents by which seconds and CPU-seconds grow,
over all scales and between the two largest, how much faster two cores are than one, what dealing
costs, how each stage grows, and what `model.py` makes of it for a hundred million to ten billion
tracks.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import baseline
import psutil
from model import Cluster, exponent, fit, largest, predict, table

from pipeline import AS_ON_A_CLUSTER, SURVEY, USD_PER_CORE_HOUR, Run, by_kind, run

#: The larger the input, the larger the cluster: scale and cores of the workers.
CLUSTERS = ((10.0, 16), (100.0, 64), (1000.0, 256))
_DEALING = ("integrate", "aggregate")
#: So many stages are told one by one.
_NAMED = 8


def sets(folder: Path, scales: Sequence[float]) -> dict[float, Path]:
    """The set of each scale, made where it is missing."""
    found = {}
    for scale in scales:
        found[scale] = folder / f"{scale:g}"
        if not found[scale].exists():
            command = [sys.executable, "-m", "beatlake.cli", "generate", "--clean"]
            command += ["--scale", str(scale), "--out", str(found[scale])]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return found


def median_run(
    source: Path, rounds: int, settings: Sequence[str] = (), cores: int | None = None
) -> Run:
    """The run of the median CPU-seconds, of an odd number of rounds."""
    runs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=source.parent) as folder:
            runs.append(run(source, Path(folder) / "lake", settings, cores))
            print(
                f"{source.name} {' '.join(settings)} {cores or ''} {runs[-1].measured}", flush=True
            )
    middle = statistics.median_low(each.measured.cpu_s for each in runs)
    return next(each for each in runs if each.measured.cpu_s == middle)


def dealing(alone: Run, dealt: Run) -> float:
    """How many times as much CPU the stages that join take where rows are dealt to buckets."""
    of_alone, of_dealt = by_kind(alone.cpu_s), by_kind(dealt.cpu_s)
    return sum(of_dealt[kind] for kind in _DEALING) / sum(of_alone[kind] for kind in _DEALING)


def ratios(runs: Mapping[float, Run], one: Run, two: Run) -> dict[str, float]:
    """What the slope boils down to."""
    wall = {scale: each.measured.wall_s for scale, each in runs.items()}
    cpu = {scale: each.measured.cpu_s for scale, each in runs.items()}
    last = sorted(runs)[-2:]
    return {
        "exponent_of_seconds": exponent(wall),
        "exponent_of_cpu_s": exponent(cpu),
        "exponent_of_seconds_at_the_end": exponent({scale: wall[scale] for scale in last}),
        "exponent_of_cpu_s_at_the_end": exponent({scale: cpu[scale] for scale in last}),
        "seconds_of_two_cores_to_one": two.measured.wall_s / one.measured.wall_s,
    }


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--scales", default="0.03,0.1,0.3,1")
    parser.add_argument("--beside", default=0.1, type=float, help="scale for cores and dealing")
    parser.add_argument("--rounds", default=1, type=int)
    baseline.add_options(parser)
    options = parser.parse_args()
    scales = [float(scale) for scale in options.scales.split(",")]
    options.folder.mkdir(exist_ok=True)
    inputs = sets(options.folder, [*scales, options.beside])
    cores = len(psutil.Process().cpu_affinity())
    runs = {scale: median_run(inputs[scale], options.rounds) for scale in scales}
    beside = inputs[options.beside]
    one = median_run(beside, options.rounds, cores=1)
    two = runs.get(options.beside) if cores == 2 else None
    two = two or median_run(beside, options.rounds, cores=2)
    dealt = median_run(beside, options.rounds, [AS_ON_A_CLUSTER])
    factor = dealing(two, dealt)
    found = ratios(runs, one, two)
    print(
        "| scale | records | wall s | CPU s | peak MB | others' CPU s |",
        "|---:" * 6 + "|",
        sep="\n",
    )
    for scale, each in runs.items():
        m = each.measured
        print(
            f"| {scale:g} | {each.records:,} | {m.wall_s:.0f} | {m.cpu_s:.0f}"
            f" | {m.peak_rss_mb:,.0f} | {m.others_cpu_s:.0f} |"
        )
    print(f"dealing rows to buckets: {factor:.2f} times the CPU of the stages that join")
    # CPU-seconds: those of the clock are of whatever else the machine does, too.
    grown = {
        stage: fit({scale: value / cores for scale, value in points.items()})
        for stage, points in largest({s: each.cpu_s for s, each in runs.items()}, _NAMED).items()
    }
    for stage, growth in sorted(grown.items(), key=lambda item: -item[1].per):
        print(f"{stage:34} {growth.fixed:6.1f} + {growth.per:7.1f} * scale ** {growth.power:.2f}")
    predictions = [
        (scale, cluster, predict(grown, factor, cores, scale, cluster))
        for scale, number in CLUSTERS
        for cluster in (Cluster(number), Cluster(4 * number))
    ]
    print(table(predictions))
    print(f"({USD_PER_CORE_HOUR} USD per core-hour is an assumption; {SURVEY} is the driver's)")
    everything = {
        "scales": {str(scale): asdict(each) for scale, each in runs.items()},
        "one_core": asdict(one),
        "two_cores": asdict(two),
        "dealt": asdict(dealt),
        "growth": {stage: asdict(growth) for stage, growth in grown.items()},
        "predictions": [asdict(each) for _, _, each in predictions],
    }
    return baseline.finish(
        "slope", f"{options.scales} beside {options.beside:g}", found, everything, options
    )


if __name__ == "__main__":
    sys.exit(main())

"""Networks trained in three ways on the same rows, sample and budget.

    python benchmarks/networks.py [--rows 200000] [--epochs 8] [--seeds 5] [--network torch_mlp]
        [--batch-size ROWS] [--json FILE]

The rows are those of `learn.py`, dealt by artist: a quarter tests, a tenth of the rest watches.
Each seed gives first weights, an order of rows and dropout of its own. For every seed a network is
trained in a single process, by federated averaging and data-parallel, with 2 workers and a thread
each, in an order that turns with the seed, in one session whose workers are reused. Said are:

* the paired difference of accuracy on the test rows to the single process, in points, over the
  seeds: mean, and the 95 % interval by Student's t;
* the median of the ratios of seconds to the single process. Seconds are those of a whole fit with
  the writing of the shards, less the start: that of processes and imports, measured by a fit of one
  epoch on a hundred rows just before, once that has been done in the same session. (What a
  data-parallel fit starts ends the workers that a federated one would have used again.)
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import baseline
import numpy as np
import pyarrow as pa
from scipy import stats

import learn
from beatlake.learn import estimators, folds
from beatlake.learn.folds import Fold
from beatlake.session import SparkSettings, session, stop

WAYS = ("single", "federated", "data_parallel")
_CORES = 2


def dealt(rows: int) -> pa.Table:
    """The rows with a side, by artist, and the label as a number."""
    made = learn.made(np.arange(rows), rows)
    artist = np.array([int(name[1:]) for name in made.column("artist").to_pylist()])
    share = np.random.default_rng(7).random(artist.max() + 1)[artist]
    side = np.where(share < 0.25, "test", np.where(share < 0.325, "valid", "train"))
    label = np.array(made.column("class").to_pylist()) == "yes"
    named = {name: made.column(name) for name in ("row_id", *learn.COLUMNS)}
    return pa.table({"side": side, "label": label.astype(float), **named})


def fold_of(rows: pa.Table, folder: Path) -> Fold:
    """The rows that train and watch."""
    folder.mkdir()
    fitting = rows.filter(pa.array(np.array(rows.column("side").to_pylist()) != "test"))
    path = folder / "fold.parquet"
    return folds.write(fitting, path, columns=learn.COLUMNS, watched=True, classes=True)


def interval(values: list[float]) -> tuple[float, float, float]:
    """The mean and its 95 % interval by Student's t.

    >>> interval([1.0, 1.0, 1.0])
    (1.0, 1.0, 1.0)
    """
    mean = statistics.fmean(values)
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return mean, float(mean - half), float(mean + half)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--network", default="torch_mlp")
    parser.add_argument("--batch-size", type=int, help="rows of a step, in place of the default")
    baseline.add_options(parser)
    given = parser.parse_args()
    rows = dealt(given.rows)
    test = rows.filter(pa.array(np.array(rows.column("side").to_pylist()) == "test"))
    label = test.column("label").to_numpy()
    spark = session(SparkSettings(cores=_CORES))
    accuracy: dict[str, list[float]] = {way: [] for way in WAYS}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    starts: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as scratch:
        fold, tiny = (
            fold_of(part, Path(scratch) / name)
            for name, part in (("all", rows), ("tiny", rows.slice(0, 100)))
        )

        def fitted(way: str, of: Fold, seed: int, epochs: int) -> tuple[float, estimators.Model]:
            parameters = {"strategy": way, "epochs": epochs, "early_stopping_rounds": epochs}
            if given.batch_size:
                parameters["batch_size"] = given.batch_size
            started = time.perf_counter()
            model = estimators.fit(spark, given.network, "classes", of, parameters, seed)
            return time.perf_counter() - started, model

        def start_of(way: str) -> float:
            return [fitted(way, tiny, 1, 1)[0] for _ in range(2)][-1]

        for seed in range(given.seeds):
            for turn in range(len(WAYS)):
                way = WAYS[(seed + turn) % len(WAYS)]
                starts[way].append(start_of(way))
                took, model = fitted(way, fold, seed, given.epochs)
                answer = model.predict(None, test)
                accuracy[way].append(float((answer.values == label).mean()))
                seconds[way].append(took - starts[way][-1])
                print(
                    f"seed {seed} {way}: {accuracy[way][-1]:.4f} in {seconds[way][-1]:.1f} s, and"
                    f" {starts[way][-1]:.1f} of start",
                    flush=True,
                )
    stop(spark)
    found: dict[str, Any] = {
        "rows": given.rows,
        "network": given.network,
        "majority": float(max(label.mean(), 1 - label.mean())),
        "accuracy": accuracy,
        "seconds": seconds,
        "start": starts,
        "points": {
            way: interval(
                [100 * (a - b) for a, b in zip(accuracy[way], accuracy["single"], strict=True)]
            )
            for way in WAYS[1:]
        },
        "ratio": {
            way: statistics.median(
                a / b for a, b in zip(seconds[way], seconds["single"], strict=True)
            )
            for way in WAYS[1:]
        },
    }
    for way, (mean, lower, upper) in found["points"].items():
        print(f"{way}: {mean:+.2f} points beside a single process ({lower:+.2f} to {upper:+.2f})")
    size = f"{given.rows} rows, {given.epochs} epochs of {given.network}"
    if given.batch_size:
        size += f" in steps of {given.batch_size}"
    ratios = {f"{way}_to_single": value for way, value in found["ratio"].items()}
    return baseline.finish("networks", size, ratios, found, given)


if __name__ == "__main__":
    sys.exit(main())

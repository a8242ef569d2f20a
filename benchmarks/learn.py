"""Fits, scoring and the ladder beside XGBoost and scikit-learn without Spark.

    python benchmarks/learn.py [--rows 4700000] [--trees 300] [--depth 8] [--rounds 3] [--part 20]

The rows are made here, with a seed: an artist, a day and 20 numbers, of which a few say, together
with the artist, which of two classes the row is of. They lie in 8 Parquet files; a fold, as a
training writes it, is a file of its own. The small rows are the first twentieth of them, or
another part.

* fit: the project's XGBoost on the fold of all rows, beside `xgboost` on the same file, with as
  many threads as there are cores;
* score: the project's scoring of all rows with a registered model, which also writes its
  predictions, beside `xgboost` with the same booster, which only makes them;
* ladder: a training on five rungs beside one on one rung, of the small rows;
* random_forest, logistic_regression: fit and score of Spark ML beside scikit-learn, small rows.

Each side is a process of its own, and a round runs each side once, in alternating order. Seconds
are from before the rows are read to after the answer is there; imports and the start of the Spark
session are left out. Memory is that of the process with all its children. That both sides say the
same of the rows is checked: of XGBoost to `_CLOSE` in the mean, of the others in the share of rows
that are put into the same class.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import baseline
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from etl import Measured, measure

from beatlake.learn import folds
from beatlake.learn.engine import database
from beatlake.sql import text

COLUMNS = tuple(f"x{place:02d}" for place in range(20))
_FILES, _SEED, _PART = 8, 1, 20
#: Mean difference of probabilities up to which two boosters are of the same fit: where rows come in
#: other batches, XGBoost may cut its bins a little differently.
_CLOSE = 0.01
#: Share of rows that Spark ML and scikit-learn may put into different classes: they cut and draw
#: differently, which shows most in few rows and trees.
_UNLIKE = 0.2

TASK = """
name: speed
question: Which of two classes a generated row is of.
table: {{row_key: [row_id]}}
entities:
  recording: [row_id]
  artists: {{columns: [artist]}}
  date: {{column: released}}
label: {{column: class}}
features: {{scale: none, groups: {{numbers: {{features: [{columns}]}}}}}}
splits: {{headline: artist}}
estimators:
  - name: xgboost
    parameters: {{n_estimators: {trees}, max_depth: {depth}, learning_rate: 0.1}}
  - name: random_forest
    parameters: {{num_trees: 50, max_depth: 8}}
  - name: logistic_regression
    parameters: {{max_iter: 100}}
ceiling: 0.99
"""


@dataclass(frozen=True)
class Side:
    """One side of a comparison in one round.

    Args:
        seconds: from before the rows are read to after the answer is there.
        measured: the whole process.
    """

    seconds: float
    measured: Measured


@dataclass(frozen=True)
class Apart:
    """How far what two sides say of the same rows is apart.

    Args:
        mean: difference of their probabilities of the second class.
        share: of rows whose class is another.
    """

    mean: float
    share: float


@dataclass(frozen=True)
class Pair:
    """Both sides of a comparison in one round; a training is not asked what it says of rows."""

    sides: tuple[Side, Side]
    apart: Apart | None

    @property
    def ratio(self) -> float:
        """Seconds of the first side by those of the second."""
        return self.sides[0].seconds / self.sides[1].seconds


#: The two sides of each comparison: a script of `engines/` and what it is asked to do.
COMPARED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fit xgboost": (("beatlake", "fit", "xgboost"), ("xgboost", "fit")),
    "score xgboost": (("beatlake", "score", "xgboost"), ("xgboost", "score")),
    "ladder": (("beatlake", "train", "5"), ("beatlake", "train", "1")),
    **{
        f"{what} {name}": (("beatlake", what, name), ("sklearn", what, name))
        for name in ("random_forest", "logistic_regression")
        for what in ("fit", "score")
    },
}


def make(folder: Path, rows: int, small: int, trees: int, depth: int, cores: int) -> None:
    """Write rows, folds and the task into a folder, and register a model of each estimator there.

    The folders `all` and `small` have `rows/`, of ``row_id``, ``artist``, ``released``, ``class``
    and the columns, and `fold.parquet`; the models are in the lake `lake`.
    """
    task = TASK.format(columns=", ".join(COLUMNS), trees=trees, depth=depth)
    (folder / "task.yaml").write_text(task, encoding="utf-8")
    for name, count in (("all", rows), ("small", small)):
        place = folder / name
        (place / "rows").mkdir(parents=True)
        files = np.array_split(np.arange(count), _FILES)
        for number, part in enumerate(files):
            pq.write_table(made(part, rows), place / "rows" / f"{number}.parquet")
        with tempfile.TemporaryDirectory() as scratch, database(Path(scratch)) as connection:
            dealt = connection.sql(
                "SELECT row_id, 'train' AS side, (class = 'yes')::DOUBLE AS label,"
                f" {', '.join(COLUMNS)} FROM read_parquet({text(f'{place}/rows/*.parquet')})"
                " ORDER BY md5(row_id), row_id"
            ).to_arrow_table()
        folds.write(dealt, place / "fold.parquet", columns=COLUMNS, watched=False, classes=True)
    run(folder, ("beatlake", "train", "1"), folder, cores)


def made(numbers: np.ndarray, rows: int) -> pa.Table:
    """The rows of these numbers, which do not depend on what other rows there are."""
    random = np.random.default_rng([_SEED, int(numbers[0]) if len(numbers) else 0])
    values = random.normal(size=(len(numbers), len(COLUMNS)))
    artist = random.integers(max(40, rows // 20), size=len(numbers))
    fame = np.random.default_rng(_SEED).normal(size=max(40, rows // 20))[artist]
    pull = values[:, 0] * values[:, 1] + values[:, 2] + np.abs(values[:, 3]) + 0.5 * fame
    days = np.datetime64("2000-01-01") + random.integers(8000, size=len(numbers))
    return pa.table(
        {
            "row_id": [f"r{number:09d}" for number in numbers],
            "artist": [f"a{number}" for number in artist],
            "released": np.datetime_as_string(days),
            "class": np.where(pull + random.logistic(size=len(numbers)) > 0.8, "yes", "no"),
            **{name: values[:, place] for place, name in enumerate(COLUMNS)},
        }
    )


def run(folder: Path, side: tuple[str, ...], output: Path, cores: int) -> Side:
    """Run one side on the rows of a folder; it leaves `seconds.json` and what it said.

    Raises:
        CalledProcessError: it failed.
    """
    script = Path(__file__).parent / "engines" / f"learn_with_{side[0]}.py"
    command = [sys.executable, str(script), str(folder), str(output), str(cores), *side[1:]]
    measured = measure(command, cores=cores, output=output / "log")
    seconds = json.loads((output / "seconds.json").read_text(encoding="utf-8"))
    return Side(seconds, measured)


def apart(one: Path, other: Path) -> Apart:
    """How far two sides are apart, which left `said.parquet`: ``row_id`` and ``probability``.

    Raises:
        SystemExit: they do not speak of the same rows.

    >>> folders = [Path(tempfile.mkdtemp()) for _ in range(2)]
    >>> for folder, row_id, said in zip(folders, ("ab", "ba"), ((0.5, 0.25), (0.5, 0.75))):
    ...     table = pa.table({"row_id": list(row_id), "probability": said})
    ...     pq.write_table(table, folder / "said.parquet")
    >>> apart(*folders)
    Apart(mean=0.25, share=0.5)
    """
    given = [
        pq.read_table(side / "said.parquet", columns=["row_id", "probability"]).sort_by("row_id")
        for side in (one, other)
    ]
    if not given[0].column("row_id").equals(given[1].column("row_id")):
        raise SystemExit("The two sides do not speak of the same rows.")
    first, second = (table.column("probability").to_numpy() for table in given)
    return Apart(
        float(np.abs(first - second).mean()), float(((first > 0.5) != (second > 0.5)).mean())
    )


def compare(folder: Path, name: str, cores: int, backwards: bool) -> Pair:
    """Run both sides of a comparison once.

    Raises:
        SystemExit: they do not say the same.
    """
    with tempfile.TemporaryDirectory(dir=folder) as made_in:
        outputs = (Path(made_in) / "0", Path(made_in) / "1")
        found: dict[int, Side] = {}
        for place in (1, 0) if backwards else (0, 1):
            outputs[place].mkdir()
            found[place] = run(folder, COMPARED[name][place], outputs[place], cores)
        gap = None if name == "ladder" else apart(*outputs)
    if gap and (gap.mean > _CLOSE if "xgboost" in name else gap.share > _UNLIKE):
        raise SystemExit(f"{name}: the sides do not agree: {gap}.")
    return Pair((found[0], found[1]), gap)


def main() -> int:
    """Make rows, run what the command line asks for, and print ratios beside the kept ones."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", default=4_700_000, type=int)
    parser.add_argument("--trees", default=300, type=int)
    parser.add_argument("--depth", default=8, type=int)
    parser.add_argument("--part", default=_PART, type=int, help="small rows are one in so many")
    parser.add_argument("--cores", default=2, type=int)
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--only", default=",".join(COMPARED), help="comparisons, by comma")
    parser.add_argument("--folder", type=Path, help="where rows are made, if not among temporary")
    baseline.add_options(parser)
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(COMPARED):
        parser.error(f"no such comparisons: {sorted(unknown)}; there are {', '.join(COMPARED)}")
    found: dict[str, list[Pair]] = {name: [] for name in names}
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        small = max(1, options.rows // options.part)
        make(Path(folder), options.rows, small, options.trees, options.depth, options.cores)
        for number in range(options.rounds):
            for name in names:
                pair = compare(Path(folder), name, options.cores, backwards=number % 2 == 1)
                found[name].append(pair)
                for side, words in zip(pair.sides, COMPARED[name], strict=True):
                    print(f"round {number + 1} {' '.join(words):34} {side}", flush=True)
                print(f"round {number + 1} {name:34} {pair.ratio:.2f} x, {pair.apart}", flush=True)
    ratios = {
        name.replace(" ", "_"): statistics.median(pair.ratio for pair in pairs)
        for name, pairs in found.items()
    }
    everything = {name: [asdict(pair) for pair in pairs] for name, pairs in found.items()}
    scale = f"{options.rows} rows, {options.trees} trees of depth {options.depth}"
    if options.part != _PART:
        scale += f", small {small}"
    return baseline.finish("learn", scale, ratios, everything, options)


if __name__ == "__main__":
    sys.exit(main())

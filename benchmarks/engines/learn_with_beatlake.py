"""Fits, scores or trains by the project's own code: FOLDER OUTPUT CORES fit|score|train NAME."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beatlake.lake import Lake
from beatlake.learn import estimators, registry, scoring, source, task_files, training
from beatlake.learn.folds import Fold
from beatlake.learn.splits import RUNGS
from beatlake.session import SparkSettings, session, stop

#: Rows that two fits are compared by.
_COMPARED = 10_000


def main(folder: Path, output: Path, cores: int, what: str, name: str) -> None:
    """Do one thing in a session of its own, and leave the seconds that it took, and what it said.

    Args:
        folder: made by `learn.make`.
        output: where to leave them.
        cores: of Spark.
        what: to do.
        name: of the estimator; or the number of rungs to train on.
    """
    asked = task_files.load(str(folder / "task.yaml"))
    rows = folder / ("all" if name == "xgboost" else "small")
    # As the commands start it: Spark ML computes in the JVM.
    fits = what != "score" or name != "xgboost"
    spark = session(SparkSettings(cores=cores, optimize_jvm=fits))
    said: pa.Table | None = None
    started = time.perf_counter()
    if what == "fit":
        (estimator,) = (each for each in asked.estimators if each.name == name)
        columns = tuple(feature.column for feature in asked.features.list)
        path = rows / "fold.parquet"
        fold = Fold(path, columns, (0, 1), pq.read_metadata(path).num_rows, 0)
        model = estimators.fit(spark, name, "classes", fold, estimator.parameters, asked.seed)
        seconds = time.perf_counter() - started
        first = next(pq.ParquetFile(path).iter_batches(_COMPARED))
        answer = model.predict(spark, pa.Table.from_batches([first]))
        assert answer.proba is not None
        said = pa.table({"row_id": first.column("row_id"), "probability": answer.proba[:, 1]})
    elif what == "score":
        lake = Lake(folder / "lake")
        version = 1 + [each.name for each in asked.estimators].index(name)
        found = registry.verified(registry.folder_of(lake, asked.name, version))
        table = source.path(rows / "rows", asked.table)
        scoring.score_table(spark, found, table, output / "scored")
        seconds = time.perf_counter() - started
        best = pq.read_table(output / "scored")
        second = pc.equal(best.column("predicted"), "yes")
        of = best.column("probability")
        proba = pc.if_else(second, of, pc.subtract(1.0, of))
        said = pa.table({"row_id": best.column("row_id"), "probability": proba})
    else:
        rungs = RUNGS if int(name) > 1 else (asked.splits.headline,)
        splits = asked.splits.model_copy(update={"rungs": tuple(rungs)})
        table = source.path(rows / "rows", asked.table)
        ladder = asked.model_copy(update={"splits": splits})
        training.train(spark, Lake(output / "lake"), ladder, table)
        seconds = time.perf_counter() - started
    stop(spark)
    if said is not None:
        pq.write_table(said, output / "said.parquet")
    (output / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])

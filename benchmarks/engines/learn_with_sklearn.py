"""Fits or scores by scikit-learn as its users would: FOLDER OUTPUT CORES fit|score NAME."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from beatlake.learn import task_files

#: Rows that two fits are compared by.
_COMPARED = 10_000


def main(folder: Path, output: Path, cores: int, what: str, name: str) -> None:
    """Leave the seconds that it took, and what the model says of rows.

    Scoring counts the second reading and the prediction only.
    """
    asked = task_files.load(str(folder / "task.yaml"))
    columns = [feature.column for feature in asked.features.list]
    (estimator,) = (each for each in asked.estimators if each.name == name)
    given = estimator.parameters
    started = time.perf_counter()
    path = folder / "small" / "fold.parquet"
    rows = pd.read_parquet(path, columns=["row_id", "label", *columns])
    if name == "random_forest":
        model = RandomForestClassifier(
            given["num_trees"], max_depth=given["max_depth"], n_jobs=cores, random_state=asked.seed
        )
    else:
        # Spark's does not regularise by default.
        model = LogisticRegression(C=float("inf"), max_iter=given["max_iter"])
    model.fit(rows[columns], rows["label"])
    if what == "fit":
        seconds = time.perf_counter() - started
        rows = rows[:_COMPARED]
        proba = model.predict_proba(rows[columns])[:, 1]
    else:
        started = time.perf_counter()
        rows = pd.read_parquet(folder / "small" / "rows", columns=["row_id", *columns])
        proba = model.predict_proba(rows[columns])[:, 1]
        seconds = time.perf_counter() - started
    said = pd.DataFrame({"row_id": rows["row_id"], "probability": proba})
    said.to_parquet(output / "said.parquet", index=False)
    (output / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])

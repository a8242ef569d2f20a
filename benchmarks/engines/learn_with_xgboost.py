"""Fits or scores by `xgboost` as its users would: FOLDER OUTPUT CORES fit|score."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
import xgboost

from beatlake.learn import task_files

#: Rows that two fits are compared by.
_COMPARED = 10_000


def main(folder: Path, output: Path, cores: int, what: str) -> None:
    """Leave the seconds that it took, and what the model says of rows."""
    asked = task_files.load(str(folder / "task.yaml"))
    columns = [feature.column for feature in asked.features.list]
    started = time.perf_counter()
    if what == "fit":
        parameters = asked.estimators[0].parameters
        rows = pd.read_parquet(folder / "all" / "fold.parquet", columns=["label", *columns])
        model = xgboost.XGBClassifier(
            **parameters, tree_method="hist", n_jobs=cores, random_state=asked.seed
        )
        model.fit(rows[columns], rows["label"])
        seconds = time.perf_counter() - started
        proba = model.predict_proba(rows[columns][:_COMPARED])[:, 1]
        row_id = pd.read_parquet(folder / "all" / "fold.parquet", columns=["row_id"])["row_id"]
    else:
        rows = pd.read_parquet(folder / "all" / "rows", columns=["row_id", *columns])
        booster = xgboost.Booster(
            {"nthread": cores},
            model_file=folder / "lake" / "models" / asked.name / "1" / "booster.ubj",
        )
        # The features' columns have names of their own.
        proba = booster.inplace_predict(rows[columns].to_numpy(), validate_features=False)
        seconds = time.perf_counter() - started
        row_id = rows["row_id"]
    said = pd.DataFrame({"row_id": row_id[: len(proba)], "probability": proba.astype("float64")})
    said.to_parquet(output / "said.parquet", index=False)
    (output / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

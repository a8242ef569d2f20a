"""Small tables for networks: rows whose label follows from a number and a category."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from beatlake.learn import folds
from beatlake.learn.folds import BUCKET, BUCKETS, Fold

#: Two numbers, and a category of three values whose columns are 0 or 1.
COLUMNS = ("a", "b", "mood__0", "mood__1", "mood__other")
CATEGORIES = (COLUMNS[2:],)


def made(kind: str, n: int = 600, seed: int = 6) -> pa.Table:
    """Rows of three classes, or of a number far from 0; every tenth is of the validation side."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, n))
    mood = random.integers(0, 4, n)
    pull = a + np.array([-1.0, 0.0, 1.0, 0.0])[mood]
    label = np.digitize(pull, (-0.7, 0.7)) if kind == "classes" else 1000 + 50 * pull
    return pa.table(
        {
            "row_id": [f"r{i:05d}" for i in range(n)],
            "side": np.where(np.arange(n) % 10 == 0, "valid", "train"),
            "label": label.astype(float),
            BUCKET: pa.array(random.integers(0, BUCKETS, n), pa.int32()),
            "a": a,
            "b": b,
            **{name: (mood == i + 1).astype(float) for i, name in enumerate(CATEGORIES[0])},
        }
    )


def fold_of(rows: pa.Table, kind: str, folder: Path, *, watched: bool = False) -> Fold:
    """The rows as a fold."""
    return folds.write(
        rows,
        folder / "fold.parquet",
        columns=COLUMNS,
        watched=watched,
        classes=kind == "classes",
        categories=CATEGORIES,
    )

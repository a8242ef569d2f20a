"""A tree of scikit-learn in place of Spark's estimators: quick, and of the same interface."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.tree import DecisionTreeClassifier, export_text

from beatlake.learn.estimators.answer import Answer, matrix
from beatlake.learn.folds import Fold


class Tree:
    """A fitted tree; remembers what it was asked."""

    def __init__(self, fold: Fold, depth: int) -> None:
        self.columns = fold.columns
        self.asked: list[pa.Table] = []
        rows = pq.read_table(fold.path)
        self.tree = DecisionTreeClassifier(max_depth=depth, random_state=0)
        self.tree.fit(matrix(rows, self.columns), rows.column("label").to_numpy())

    def predict(self, _: object, rows: pa.Table) -> Answer:
        self.asked.append(rows)
        proba = self.tree.predict_proba(matrix(rows, self.columns))
        return Answer(proba.argmax(axis=1), proba)

    def save(self, folder: Path) -> None:
        (folder / "tree.txt").write_text(export_text(self.tree), encoding="utf-8")

    def facts(self) -> dict[str, Any]:
        shares = self.tree.feature_importances_.tolist()
        return {"importances": dict(zip(self.columns, shares, strict=True))}


class Trees:
    """Fits of trees, counted; before the one of number `stops_at`, `stop` is called."""

    def __init__(self) -> None:
        self.made = 0
        self.stops_at: int | None = None
        self.stop: Callable[[], None] = lambda: None

    def __call__(
        self,
        _: object,
        name: str,
        kind: str,
        fold: Fold,
        parameters: Any,
        seed: int,
        *_side_by_side: int,
        **_records: object,
    ) -> Tree:
        if self.made == self.stops_at:
            self.stop()
        self.made += 1
        return Tree(fold, parameters.get("max_depth", 3))

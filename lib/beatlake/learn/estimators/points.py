"""Models that are points: a row is answered by those nearest to it, exactly, without Spark.

Nearest neighbours keep training rows with their labels. scikit-learn's BIRCH keeps the centres of
its subclusters, and DBSCAN its core rows, each with its cluster: a new row is of the cluster of the
nearest one, and of none where DBSCAN's lies further away than ``eps`` (the definition of Ester et
al. 1996 for rows within reach of a core row). Distances are Euclidean, over the scaled columns.

All three hold their rows in memory and look at pairs of them, so that they take ``max_rows`` of the
training rows at most: the first in the order of a hash of the rows' names, which are the same
whatever the order of rows or the number of cores. The model says how many there were.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn.estimators.answer import Answer, Array, Parameters, matrix, refuse_unknown
from beatlake.learn.folds import LABEL, ROW, WATCHES, WEIGHT, Fold

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

POINTS = "points.parquet"
_ABOUT = b"beatlake"
#: Parameters by estimator, with their defaults.
KNOWN: dict[str, dict[str, Any]] = {
    "nearest_neighbours": {"k": 15, "weights": "uniform", "max_rows": 20_000},
    # scikit-learn's own defaults, and memory for all pairs of rows in the worst case: 400 MB.
    "birch": {"k": 8, "threshold": 0.5, "branching_factor": 50, "max_rows": 10_000},
    # Without eps, the median distance of a row to its `min_samples`-th nearest.
    "dbscan": {"eps": None, "min_samples": 10, "max_rows": 10_000},
}
_CHOICES = {"weights": ("uniform", "distance")}


@dataclass(frozen=True)
class About:
    """What the points are.

    Args:
        estimator: that made them.
        kind: classes, number or clusters.
        k: nearest points that answer a row.
        weights: uniform, or distance: each counts by the inverse of its distance.
        radius: beyond which a point says nothing; None for any distance.
        classes: how many there are.
        rows: training rows that were taken.
        of: training rows that there were.
    """

    estimator: str
    kind: str
    k: int
    weights: str
    radius: float | None
    classes: int
    rows: int
    of: int


class Points:
    """Fitted points, with a label each."""

    FILE = POINTS

    def __init__(self, table: pa.Table, columns: tuple[str, ...], about: About) -> None:
        """Hold a table of the columns, `label` and `weight`."""
        self.table = table
        self.columns = columns
        self.about = about

    def predict(self, spark: SparkSession | None, rows: pa.Table) -> Answer:
        """Answer rows by their nearest points, in this process."""
        about = self.about
        label = self.table.column(LABEL).to_numpy()
        distance, place = self._index.kneighbors(matrix(rows, self.columns))
        if about.kind == "clusters":
            nearest = label[place[:, 0]].astype(np.int64)
            if about.radius is not None:
                nearest[distance[:, 0] > about.radius] = -1
            return Answer(nearest)
        votes = _votes(distance, about.weights) * self.table.column(WEIGHT).to_numpy()[place]
        votes /= votes.sum(axis=1, keepdims=True)
        if about.kind == "number":
            return Answer((votes * label[place]).sum(axis=1))
        proba = np.zeros((len(votes), about.classes))
        row = np.repeat(np.arange(len(votes)), about.k)
        np.add.at(proba, (row, label[place].astype(np.int64).ravel()), votes.ravel())
        return Answer(proba.argmax(axis=1), proba)

    @cached_property
    def _index(self) -> Any:
        from sklearn.neighbors import NearestNeighbors

        return NearestNeighbors(n_neighbors=self.about.k).fit(matrix(self.table, self.columns))

    def save(self, folder: Path) -> None:
        """The points as one Parquet file, which says what they are."""
        (folder / POINTS).write_bytes(self.content())

    def content(self) -> bytes:
        """The file that `save` writes."""
        import pyarrow.parquet as pq

        stream = io.BytesIO()
        about = {_ABOUT: json.dumps(asdict(self.about)).encode()}
        pq.write_table(self.table.replace_schema_metadata(about), stream)
        return stream.getvalue()

    def facts(self) -> dict[str, Any]:
        """How many points there are, and of how many training rows they were made."""
        about = self.about
        found = {"points": self.table.num_rows, "rows": about.rows, "of_rows": about.of}
        if about.kind == "clusters":
            found["clusters"] = len(np.unique(self.table.column(LABEL).to_numpy()))
        if about.radius is not None:
            return {**found, "eps": about.radius}
        return found

    @classmethod
    def parse(cls, content: bytes, columns: tuple[str, ...]) -> Points:
        """The points that a file of theirs holds."""
        import pyarrow.parquet as pq

        table = pq.read_table(io.BytesIO(content))
        return cls(table, columns, About(**json.loads(table.schema.metadata[_ABOUT])))


def _votes(distance: Array, weights: str) -> Array:
    """What each point counts; of those at no distance alone, where there are any."""
    if weights == "uniform":
        return np.ones_like(distance)
    same = distance == 0
    inverse = np.divide(1.0, distance, out=np.zeros_like(distance), where=~same)
    found: Array = np.where(same.any(axis=1, keepdims=True), same, inverse)
    return found


def fit(name: str, kind: str, fold: Fold, parameters: Parameters) -> Points:
    """Fit on the rows of a fold that train, or on a sample of them.

    Raises:
        ConfigError: a parameter is not known, or a value is none of those that it can have.
        InputError: there are fewer rows than neighbours, or DBSCAN finds no cluster.
    """
    check(name, parameters)
    settled = {**KNOWN[name], **parameters}
    rows = _sample(fold, int(settled["max_rows"]))
    values = matrix(rows, fold.columns)
    about = About(name, kind, 1, "uniform", None, len(fold.classes), len(values), fold.rows)
    if name == "nearest_neighbours":
        k = int(settled["k"])
        if k > len(values):
            raise InputError(f"nearest_neighbours needs k = {k} rows, and {len(values)} train.")
        about = About(**{**asdict(about), "k": k, "weights": settled["weights"]})
        return Points(rows.select([*fold.columns, LABEL, WEIGHT]), fold.columns, about)
    if name == "birch":
        return Points(_table(*_birch(values, settled), fold.columns), fold.columns, about)
    eps = _eps(values, settled)
    about = About(**{**asdict(about), "radius": eps})
    found = _dbscan(values, eps, int(settled["min_samples"]))
    return Points(_table(*found, fold.columns), fold.columns, about)


def _sample(fold: Fold, most: int) -> pa.Table:
    """The rows of a fold that train, at most so many, in the order of a hash of their names."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pq.read_table(fold.path)
    rows = rows.filter(pc.invert(rows.column(WATCHES)))
    hashed = [
        hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        for name in rows.column(ROW).to_pylist()
    ]
    return rows.take(np.argsort(np.array(hashed), kind="stable")[:most])


def _birch(values: Array, settled: Parameters) -> tuple[Array, Array]:
    from sklearn.cluster import Birch

    model = Birch(
        threshold=float(settled["threshold"]),
        branching_factor=int(settled["branching_factor"]),
        n_clusters=None,
    ).fit(values)
    k = int(settled["k"])
    if len(model.subcluster_centers_) < k:
        raise InputError(
            f"birch is to make {k} clusters of {len(model.subcluster_centers_)} subclusters: lower"
            " its threshold."
        )
    # The same global step, now that there are subclusters enough.
    model.set_params(n_clusters=k).partial_fit()
    return model.subcluster_centers_, model.subcluster_labels_


def _eps(values: Array, settled: Parameters) -> float:
    if settled["eps"] is not None:
        return float(settled["eps"])
    from sklearn.neighbors import NearestNeighbors

    # A row is the nearest of itself, and DBSCAN counts it, too.
    k = min(int(settled["min_samples"]), len(values))
    distance, _ = NearestNeighbors(n_neighbors=k).fit(values).kneighbors(values)
    return float(np.median(distance[:, -1]))


def _dbscan(values: Array, eps: float, min_samples: int) -> tuple[Array, Array]:
    from sklearn.cluster import DBSCAN

    model = DBSCAN(eps=eps, min_samples=min_samples).fit(values)
    core = model.core_sample_indices_
    if not len(core):
        raise InputError(
            f"dbscan finds no cluster: none of {len(values):,} rows has {min_samples} within"
            f" {eps:g} of it. Raise eps, or lower min_samples."
        )
    return values[core], model.labels_[core]


def _table(values: Array, label: Array, columns: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa

    named = {name: pa.array(values[:, i]) for i, name in enumerate(columns)}
    return pa.table({**named, LABEL: pa.array(label.astype(np.float64))})


def check(name: str, parameters: Parameters) -> None:
    """Refuse parameters that the estimator does not have here, and values that they cannot have.

    Raises:
        ConfigError: naming each.
    """
    refuse_unknown(name, parameters, KNOWN[name])
    problems = []
    for key, value in parameters.items():
        if key in _CHOICES:
            if value not in _CHOICES[key]:
                problems.append(f"{key} is one of {', '.join(_CHOICES[key])}, not {value!r}")
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            problems.append(f"{key} is a number above 0, not {value!r}")
    if problems:
        raise ConfigError(f"Parameters of {name}: {'; '.join(problems)}.")

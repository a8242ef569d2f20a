"""Evening out classes inside a training fold, by imbalanced-learn; never before the split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.errors import InputError
from beatlake.learn.task import Resampling

if TYPE_CHECKING:
    import pyarrow as pa

Array: TypeAlias = npt.NDArray[Any]


def resampled(
    rows: pa.Table, columns: tuple[str, ...], how: Resampling, seed: int
) -> tuple[pa.Table, Array | None]:
    """The rows of a fold with their classes evened out, and weights where these do it.

    Rows of the validation side stay as they are: they are judged by, not learnt from. Made rows
    are named after their place.

    Args:
        rows: of `folds.table`, with the column ``side``.
        columns: of numbers.
        how: which resampler, and how many rows it takes at most.
        seed: of its draws.

    Raises:
        InputError: there are more rows than the resampler is let, or a class has too few.
    """
    if how.how == "none":
        return rows, None
    side = np.asarray(rows.column("side").to_pylist(), dtype=object)
    training = side != "valid"
    label = rows.column("label").to_numpy()
    if how.how == "class_weights":
        found, place, counts = np.unique(label[training], return_inverse=True, return_counts=True)
        weights = np.ones(len(label))
        weights[training] = (training.sum() / (len(found) * counts))[place]
        return rows, weights
    if training.sum() > how.max_rows:
        raise InputError(
            f"{how.how} takes {how.max_rows:,} training rows at most, since it holds them in"
            f" memory, and there are {training.sum():,}. Use class_weights, or raise"
            " resampling.max_rows."
        )
    import pyarrow as pa

    from beatlake.learn.estimators.answer import matrix

    values, classes = balance(
        matrix(rows, columns)[training], label[training].astype(np.int64), how.how, seed
    )
    made = {
        "row_id": pa.array([f"resampled-{i:09d}" for i in range(len(classes))]),
        "side": pa.array(["train"] * len(classes)),
        "label": pa.array(classes.astype(np.float64)),
        **{name: pa.array(values[:, i]) for i, name in enumerate(columns)},
    }
    watching = rows.filter(pa.array(~training)).select(list(made))
    together = pa.table(made, schema=watching.schema)
    return pa.concat_tables([together, watching]), None


def balance(values: Array, label: Array, how: str, seed: int) -> tuple[Array, Array]:
    """What a resampler makes of rows: numbers and codes of classes.

    Raises:
        InputError: a class has too few rows for neighbours.
    """
    from imblearn.combine import SMOTETomek
    from imblearn.over_sampling import SMOTE, RandomOverSampler
    from imblearn.under_sampling import ClusterCentroids, RandomUnderSampler

    smallest = int(np.unique(label, return_counts=True)[1].min())
    if how.startswith("smote") and smallest < 2:
        raise InputError(f"{how} needs two rows of each class, and one class has {smallest}.")
    # imbalanced-learn's default of 5 neighbours, or as many as the smallest class has.
    smote = SMOTE(random_state=seed, k_neighbors=min(5, smallest - 1)) if smallest > 1 else None
    makers: dict[str, Any] = {
        "over": RandomOverSampler(random_state=seed),
        "under": RandomUnderSampler(random_state=seed),
        "smote": smote,
        "smote_tomek": SMOTETomek(random_state=seed, smote=smote),
        "cluster_centroids": ClusterCentroids(random_state=seed),
    }
    found, classes = makers[how].fit_resample(values, label)
    return found, classes

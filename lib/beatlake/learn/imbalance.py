"""What a resampler does to scores: in the training fold, and before the split, which is wrong.

Resampled before the split, the same row, or one interpolated from it, stands on both sides, and the
test side has classes in shares that the world does not have. Much published work does it; here the
figure is shown beside the honest ones, with the reason why it is not to be believed, and no model
comes of it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.config import ConfigError
from beatlake.learn import estimators, folds, rows, splits
from beatlake.learn.algorithms import Estimator
from beatlake.learn.engine import database
from beatlake.learn.estimators.answer import matrix
from beatlake.learn.folds import Array
from beatlake.learn.judgement import Judgement, Predictions, classification
from beatlake.learn.ladder import Climb
from beatlake.learn.resampling import balance
from beatlake.learn.sides import Sides
from beatlake.learn.source import Source
from beatlake.learn.splits import FITTING, Rung
from beatlake.learn.task import Resampling, Task
from beatlake.learn.tuning import Tuner

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "pr_auc", "brier", "ece")
_WRONG = "rows that were copied or interpolated stand on both sides, and the test's shares are made"


def compare(spark: SparkSession, task: Task, source: Source) -> list[dict[str, Any]]:
    """Scores of a task's first estimator, resampled in three ways, on the random rung.

    Not at all, in the training fold, and before the split. A line has ``resampled``, ``metric``,
    ``value``, ``interval``, ``n`` and ``wrong``: why the figure is not to be believed, or null.

    Raises:
        ConfigError: the task has no resampler that makes or drops rows.
        InputError: the table does not fit, or has more rows than the resampler is let.
    """
    how = task.resampling
    if how.how in ("none", "class_weights"):
        raise ConfigError(f"{task.name} resamples nothing: its resampling.how is {how.how}.")
    estimators.check(task)
    first = task.model_copy(update={"estimators": task.estimators[:1]})
    plain = first.model_copy(update={"resampling": Resampling()})
    with tempfile.TemporaryDirectory(prefix="beatlake-learn-") as folder:
        scratch = Path(folder)
        with database(scratch) as connection:
            prepared = rows.prepare(connection, task, source)
            only = task.splits.model_copy(update={"rungs": ("random",)})
            (rung,) = splits.assign(connection, prepared, only)
            lines = []
            for asked, name in ((plain, "none"), (first, f"{how.how} in the training fold")):
                sides = Sides(connection, asked, prepared, scratch)
                (judged,) = Climb(Tuner(sides, spark)).rung(rung)
                assert judged.judgement is not None
                lines += _lines(name, judged.judgement, None)
            sides = Sides(connection, first, prepared, scratch)
            before = _before_the_split(spark, sides, rung, judged.estimator)
            lines += _lines(f"{how.how} before the split", before, _WRONG)
    return lines


def _lines(name: str, judgement: Judgement, wrong: str | None) -> list[dict[str, Any]]:
    return [
        {
            "resampled": name,
            "metric": score.metric,
            "value": score.value,
            "interval": [score.low, score.high],
            "n": score.n,
            "wrong": wrong,
        }
        for score in judgement.scores
        if score.slice is None and score.metric in _METRICS
    ]


def _before_the_split(
    spark: SparkSession, sides: Sides, rung: Rung, estimator: Estimator
) -> Judgement:
    """Resample all rows, deal the made ones, fit and judge: the mistake, step by step."""
    import pyarrow as pa

    task = sides.task
    fitted = sides.fitted(rung, watched=False)
    everything = folds.table(sides.connection, rung, fitted, (*FITTING, "test"))
    values, label = balance(
        matrix(everything, fitted.names),
        everything.column("label").to_numpy().astype(np.int64),
        task.resampling.how,
        task.seed,
    )
    random = np.random.default_rng(task.seed)
    tested = random.random(len(label)) < task.splits.test
    made = pa.table(
        {
            "row_id": pa.array([f"resampled-{i:09d}" for i in range(len(label))]),
            "side": pa.array(np.where(tested, "test", "train")),
            "label": pa.array(label.astype(np.float64)),
            **{name: pa.array(values[:, i]) for i, name in enumerate(fitted.names)},
        }
    )
    fold = folds.write(
        made.filter(pa.array(~tested)),
        sides.scratch / "before.parquet",
        columns=fitted.names,
        watched=False,
        classes=True,
    )
    model = estimators.fit(spark, estimator.name, "classes", fold, estimator.parameters, task.seed)
    test = made.filter(pa.array(tested))
    return classification(
        _predictions(test, model.predict(spark, test), sides.prepared.classes),
        salt=task.splits.salt,
    )


def _predictions(
    test: pa.Table, answer: estimators.Answer, classes: tuple[str, ...]
) -> Predictions:
    row_id: Array = test.column("row_id").to_numpy(zero_copy_only=False)
    label: Array = test.column("label").to_numpy().astype(np.int64)
    said = answer.values.astype(np.int64)
    return Predictions(label, said, answer.proba, classes, row_id, row_id)

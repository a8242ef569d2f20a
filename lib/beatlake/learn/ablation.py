"""What each group of features is worth: a task again without it, on the same rows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beatlake.config import ConfigError
from beatlake.learn import estimators, rows
from beatlake.learn.engine import database
from beatlake.learn.judgement import Predictions, difference
from beatlake.learn.ladder import Climb
from beatlake.learn.sides import Sides
from beatlake.learn.source import Source
from beatlake.learn.task import Task
from beatlake.learn.training import examined
from beatlake.learn.tuning import Tuner

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def ablate(spark: SparkSession, task: Task, source: Source) -> list[dict[str, Any]]:
    """Scores of a task's first estimator on the headline rung, with all groups and without each.

    A line has ``without`` (a group, or null), ``metric``, ``value``, ``loss`` (the value with all
    groups less this one), its ``interval`` (of the paired difference, over artists) and ``n``. The
    first line is that with all groups.

    Raises:
        ConfigError: the task uses one group only, or predicts nothing.
        InputError: the table does not fit the task.
        LeakError: a gate refused.
    """
    groups = list(task.features.used)
    if len(groups) < 2:
        raise ConfigError(f"{task.name} uses one group of features: {groups[0]}.")
    if task.kind == "clusters":
        raise ConfigError(f"{task.name} predicts nothing that a group could be missed for.")
    estimators.check(task)
    with tempfile.TemporaryDirectory(prefix="beatlake-learn-") as folder:
        scratch = Path(folder)
        with database(scratch) as connection:
            prepared = rows.prepare(connection, task, source)
            _, headline, _ = examined(connection, task, prepared)

            def answered(used: list[str]) -> Predictions:
                features = task.features.model_copy(update={"use": tuple(used)})
                asked = task.model_copy(
                    update={"features": features, "estimators": task.estimators[:1]}
                )
                sides = Sides(connection, asked, prepared, scratch)
                (judged,) = Climb(Tuner(sides, spark)).rung(headline)
                assert judged.predictions is not None
                return judged.predictions

            whole = answered(groups)
            compared = [
                (
                    group,
                    difference(
                        whole,
                        answered([other for other in groups if other != group]),
                        metric=task.headline_metric,
                        salt=task.splits.salt,
                    ),
                )
                for group in groups
            ]
    first = {
        "without": None,
        "metric": task.headline_metric,
        "value": compared[0][1].first,
        "loss": 0.0,
        "interval": None,
        "n": whole.n,
    }
    return [
        first,
        *(
            {
                "without": group,
                "metric": task.headline_metric,
                "value": found.second,
                "loss": found.value,
                "interval": [found.low, found.high],
                "n": found.n,
            }
            for group, found in compared
        ),
    ]

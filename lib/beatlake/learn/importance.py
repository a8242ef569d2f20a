"""What each feature is to a fitted model: by permutation, by contributions, by the model itself.

By feature, not by column: the columns that a feature was made into are permuted, and added up,
together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from beatlake.learn import estimators
from beatlake.learn.estimators import Answer
from beatlake.learn.estimators.boosted import Boosted
from beatlake.learn.features import FittedFeatures
from beatlake.learn.folds import Array
from beatlake.learn.judgement import Predictions, differences
from beatlake.learn.judgement.bootstrap import Blocks, Metric, scored, seed_of
from beatlake.learn.judgement.compare import RESAMPLES
from beatlake.learn.judgement.scores import LESS_IS_BETTER
from beatlake.learn.ladder import Judged
from beatlake.learn.sides import Sides

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Test rows whose contributions are computed, at most and at least, and those times trees: a row
#: costs leaves x depth² in each tree (360 trees of depth 8 took 10 ms of one core).
_MOST, _LEAST, _TREES = 500, 50, 1_000_000
#: What each method measures.
METHODS = {
    "permutation": "how much worse {metric} gets when the feature is permuted among test rows",
    "contributions": "mean size of the feature's SHAP values on test rows, in units of the margin",
    "gain": "share of the total gain in training",
    "impurity": "share of the impurity taken away in training",
    "coefficients": "size of the coefficients of its scaled columns",
}


@dataclass(frozen=True)
class Importance:
    """What one feature is to a model.

    Args:
        method: of `METHODS`.
        feature: its name.
        value: the more, the more the model makes of it.
        low: lower end of the 95 % interval over artists; None where there is none.
        high: upper end.
        n: test rows behind it; None where it comes from the fit.
    """

    method: str
    feature: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def of(sides: Sides, spark: SparkSession | None, judged: Judged) -> list[Importance]:
    """All that is said of the features of a model on its test side, by method, the most first.

    Features that the model has no column of are not there: it makes nothing of them. An image is
    all that its model looks at, and is not weighed.
    """
    task, said, found = sides.task, judged.predictions, []
    if judged.fitted.images:
        # Another row's image is another row: there is nothing that it could be weighed against.
        return []
    score = judged.score(task.headline_metric)
    if said is not None and score is not None and score.value is not None:
        found += permutation(sides, spark, judged)
    if said is not None and isinstance(judged.model, Boosted):
        test = sides.test(judged.rung, judged.fitted)
        found += contributions(judged.model, judged.fitted, test, said.groups.of, task.splits.salt)
    if own := estimators.column_importances(judged.model):
        by_feature = judged.fitted.by_feature(own)
        found += _ranked(
            [Importance(_own(judged.model), name, value) for name, value in by_feature.items()]
        )
    return found


def _own(model: estimators.Model) -> str:
    if isinstance(model, Boosted):
        return "gain"
    return "impurity" if "importances" in model.facts() else "coefficients"


def permutation(sides: Sides, spark: SparkSession | None, judged: Judged) -> list[Importance]:
    """How much worse the headline metric gets when a feature's values are dealt out anew.

    Permutation importance (Breiman 2001, "Random Forests", section 10) of whole features, on the
    first test rows in the order of the hash. Every repeat is another permutation; the metric is
    taken over all repeats together, and so is the interval of the fall, over artists.
    """
    task, said = sides.task, judged.predictions
    assert said is not None
    test = sides.test(judged.rung, judged.fitted).slice(0, task.importance.rows)
    known = sides.facts(judged.rung, "side = 'test'").slice(0, task.importance.rows)
    n, repeats = test.num_rows, task.importance.repeats
    metric, salt = task.headline_metric, task.splits.salt
    names = list(dict.fromkeys(column.feature for column in judged.fitted.columns))
    row_id = pa.array([f"{row:09d}" for row in range(n * repeats)])

    def stacked(rows: pa.Table, answer: Answer) -> Predictions:
        """Predictions of all repeats, told apart by the rows' names."""
        return sides.predictions(
            pa.concat_tables([known] * repeats), judged.fold.classes, rows, answer
        )

    whole = pa.concat_tables([test] * repeats)
    whole = whole.set_column(whole.column_names.index("row_id"), "row_id", row_id)

    def permuted() -> Iterator[tuple[str, Predictions]]:
        for name in names:
            dealt = np.concatenate(
                [
                    np.random.Generator(
                        np.random.Philox(seed_of(salt, "permutation", name, str(repeat)))
                    ).permutation(n)
                    for repeat in range(repeats)
                ]
            )
            rows = whole
            for column in judged.fitted.columns:
                if column.feature == name:
                    values = test.column(column.name).take(pa.array(dealt))
                    rows = rows.set_column(
                        rows.column_names.index(column.name), column.name, values
                    )
            yield name, stacked(rows, judged.model.predict(spark, rows))

    base = stacked(whole, judged.model.predict(spark, whole))
    sign = -1 if metric in LESS_IS_BETTER else 1
    found = []
    for name, fall in differences(base, permuted(), metric=metric, salt=salt):
        ends = None if fall.low is None or fall.high is None else (fall.low, fall.high)
        low, high = sorted(sign * end for end in ends) if ends else (None, None)
        found.append(Importance("permutation", name, sign * fall.value, low, high, n))
    return _ranked(found)


def contributions(
    model: Boosted,
    fitted: FittedFeatures,
    test: pa.Table,
    group: Array,
    salt: str,
) -> list[Importance]:
    """The mean size of each feature's contributions to the margins of test rows.

    SHAP values as the booster computes them itself (Lundberg et al. 2020, "From local explanations
    to global understanding with explainable AI for trees"), those of a feature's columns added up
    with their signs; with several classes the mean over their margins. Over the first test rows in
    the order of the hash, with intervals over artists.
    """
    rows = test.slice(0, max(_LEAST, min(_MOST, _TREES // model.trees)))
    shares = model.contributions(rows)[:, :, :-1]
    names = list(dict.fromkeys(column.feature for column in fitted.columns))
    sums: dict[str, Array] = {}
    for name in names:
        places = [i for i, column in enumerate(fitted.columns) if column.feature == name]
        sums[name] = np.abs(shares[:, :, places].sum(axis=2)).mean(axis=1)
    measured: dict[str, Metric] = {name: _mean_of(name) for name in names}
    scores = scored(
        measured,
        Blocks.of({**sums, "": np.ones(rows.num_rows)}),
        group[: rows.num_rows],
        seed=seed_of(salt),
        resamples=RESAMPLES,
    )
    return _ranked(
        [
            Importance(
                "contributions", score.metric, score.value or 0.0, score.low, score.high, score.n
            )
            for score in scores
        ]
    )


def _mean_of(name: str) -> Metric:
    return lambda sums: sums[name] / sums[""]


def _ranked(found: list[Importance]) -> list[Importance]:
    return sorted(found, key=lambda one: (-one.value, one.feature))

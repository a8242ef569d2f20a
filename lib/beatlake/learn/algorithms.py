"""What a task asks of its estimators: their names, parameters, and what is to be chosen."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

#: Estimators by what they predict.
_Classifier: TypeAlias = Literal[
    "logistic_regression",
    "decision_tree",
    "random_forest",
    "gradient_boosted_trees",
    "linear_svc",
    "multilayer_perceptron",
    "nearest_neighbours",
    "xgboost",
    "torch_mlp",
    "torch_resnet",
    "torch_pooled",
    "torch_cnn",
    "torch_cnn_published",
]
_Regressor: TypeAlias = Literal[
    "linear_regression",
    "decision_tree",
    "random_forest",
    "gradient_boosted_trees",
    "nearest_neighbours",
    "xgboost",
    "torch_mlp",
    "torch_resnet",
    "torch_pooled",
    "torch_cnn",
    "torch_cnn_published",
]
_Clusterer: TypeAlias = Literal["kmeans", "bisecting_kmeans", "gaussian_mixture", "birch", "dbscan"]
CLASSIFIERS: tuple[str, ...] = get_args(_Classifier)
REGRESSORS: tuple[str, ...] = get_args(_Regressor)
CLUSTERERS: tuple[str, ...] = get_args(_Clusterer)
#: Those that look at one image, and at nothing else; the others look at none.
IMAGING = ("torch_pooled", "torch_cnn", "torch_cnn_published")
#: Those that take a number of clusters.
SWEPT = CLUSTERERS[:4]
#: What a parameter may be.
Value: TypeAlias = int | float | str | bool | tuple[int, ...]
#: Parameters that decide which rows train, or where: nothing to be chosen by a score.
NOT_SEARCHED = (
    "early_stopping_rounds",
    "workers",
    "strategy",
    "device",
    "threads",
    "sample",
    "stratified",
)


class Part(BaseModel):
    """A part of a task: no key but those that it knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(Part):
    """Numbers from ``low`` to ``high``, both included; whole ones where both ends are."""

    low: int | float
    high: int | float
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError("`low` lies below `high`, and both are finite")
        if self.scale == "log" and self.low <= 0:
            raise ValueError("a range on a log scale lies above 0")
        return self


class Search(Part):
    """Parameters that are chosen on group folds inside the training side, on each rung anew.

    Without ``draws`` every combination of the values is a candidate (a grid); with it, so many
    combinations are drawn at random. The candidate with the best mean of the task's metric over the
    folds is fitted on the whole training side.
    """

    over: dict[str, tuple[Value, ...] | Range] = Field(
        min_length=1, description="Values, or for draws a range of numbers, by parameter."
    )
    draws: int | None = Field(None, ge=1, le=1000, description="Candidates drawn at random.")
    folds: int = Field(5, ge=2, le=20)

    @model_validator(mode="after")
    def _candidates(self) -> Search:
        for name, values in self.over.items():
            if isinstance(values, Range):
                if self.draws is None:
                    raise ValueError(f"{name} is a range, which needs `draws`")
            elif not values or any(
                _same(value, other) for i, value in enumerate(values) for other in values[:i]
            ):
                raise ValueError(f"{name} needs values, each once")
        if unfit := [name for name in self.over if name in NOT_SEARCHED]:
            raise ValueError(f"{', '.join(unfit)} cannot be searched over; set it")
        listed = [v for v in self.over.values() if not isinstance(v, Range)]
        if self.draws is None and (found := math.prod(map(len, listed))) > 1000:
            raise ValueError(f"{found:,} combinations are over 1,000; draw some (`draws`)")
        return self


def _same(value: Value, other: Value) -> bool:
    """Whether two values are one: true is not 1 here."""
    return value == other and isinstance(value, bool) is isinstance(other, bool)


class Elimination(Part):
    """Recursive feature elimination: how many features, chosen on group folds.

    In each fold the features that the fitted model makes least of are left out, ``step`` at a time,
    and the model is fitted again, down to ``least``. The number of features with the best mean over
    the folds, the smallest of equal ones, is then come to in the same way on the whole training
    side.
    """

    step: int = Field(1, ge=1, description="Features that are left out at a time.")
    least: int = Field(1, ge=1, description="Features that are kept at the least.")
    folds: int = Field(5, ge=2, le=20)


class Estimator(Part):
    """An algorithm with its parameters, by the library's own names in snake case."""

    name: Literal[_Classifier, _Regressor, _Clusterer]
    parameters: dict[str, Value] = {}
    search: Search | None = None
    elimination: Elimination | None = None
    sweep: tuple[int, ...] = Field(
        (), description="Numbers of clusters (k) that the card shows; nothing is chosen by them."
    )

    @field_validator("sweep")
    @classmethod
    def _clusters(cls, given: tuple[int, ...]) -> tuple[int, ...]:
        if given and (min(given) < 2 or len(set(given)) < max(2, len(given))):
            raise ValueError("a sweep is of two numbers of clusters or more, from 2, each once")
        return given

    @model_validator(mode="after")
    def _chosen_or_set(self) -> Estimator:
        if self.search and (both := sorted(set(self.search.over) & set(self.parameters))):
            raise ValueError(f"{', '.join(both)} is both set and searched over")
        return self

"""Judging a model on the rows of one side: scores with intervals over artists, and baselines.

`classification` and `regression` judge `Predictions`; `clustering` judges groups that no truth was
needed for. `difference` compares two models on the same rows, `beats` a model with its baselines.
"""

from beatlake.learn.judgement.baseline import Training, baselines
from beatlake.learn.judgement.classify import classification
from beatlake.learn.judgement.cluster import Clusters, clustering, sweep
from beatlake.learn.judgement.compare import (
    Difference,
    Verdict,
    beats,
    difference,
    differences,
    value_of,
)
from beatlake.learn.judgement.predictions import Predictions
from beatlake.learn.judgement.regress import regression
from beatlake.learn.judgement.scores import Judgement, Score

__all__ = [
    "Clusters",
    "Difference",
    "Judgement",
    "Predictions",
    "Score",
    "Training",
    "Verdict",
    "baselines",
    "beats",
    "classification",
    "clustering",
    "difference",
    "differences",
    "regression",
    "sweep",
    "value_of",
]

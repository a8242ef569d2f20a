"""ML: what trainings and evaluations measured and predicted, and the models that were registered.

These tables are not part of a release, and a release's tables are never touched by a training. Rows
are only ever added, as in `ops.runs`. A training adds its splits, scores and predictions first and
its models last, in one commit to `ml.models`: a row of the other tables counts from then on, and a
training that was stopped before has left rows that no model names. An evaluation does the same.
That commit, like a promotion, is a compare-and-set on the table's transaction number, so that of
two at the same time one begins anew.
"""

from __future__ import annotations

from beatlake.tables.spec import Column, Table

_TRAINING = Column("training_id", "string", "Identifier of the training or evaluation.", False)
_TASK = Column("task", "string", "Name of the task.", False)
_RUNG = Column("rung", "string", "Split: random, recording, artist, time or artist_time.", False)
_ESTIMATOR = Column("estimator", "string", "Algorithm, or `baseline: NAME`.", False)

SPLITS = Table(
    name="ml.splits",
    comment="One row per rung of a training or evaluation: rows by side, or why the table cannot"
    " have the rung.",
    columns=(
        _TRAINING,
        _TASK,
        _RUNG,
        Column("unavailable", "string", "Why there is no such split; null where there is."),
        Column("promise", "string", "What the rung keeps apart.", False),
        Column("salt", "string", "Salt of the hash that deals.", False),
        Column("train", "bigint", "Rows that train every model.", False, "rows"),
        Column(
            "valid",
            "bigint",
            "Rows that watch a fit that stops early: train where nothing watches.",
            False,
            "rows",
        ),
        Column(
            "between",
            "bigint",
            "Rows that share a key with those that watch: train where nothing watches.",
            False,
            "rows",
        ),
        Column("test", "bigint", "Rows that judge.", False, "rows"),
        Column(
            "purged",
            "bigint",
            "Rows that share a key with a test row; of an evaluation, also test rows that share one"
            " with the model's training.",
            False,
            "rows",
        ),
        Column("unused", "bigint", "Rows that the rung has no side for.", False, "rows"),
        Column("test_from", "string", "First day of the test side, on rungs in time."),
        Column("train_until", "string", "Last day on which a row that may train can be of."),
        Column("tests_since", "string", "First day on which a test row can be of."),
        Column(
            "shared_recordings", "bigint", "Test rows that share a recording with training.", True
        ),
        Column("shared_artists", "bigint", "Test rows that share an artist with training.", True),
    ),
    key=("training_id", "rung"),
)

METRICS = Table(
    name="ml.metrics",
    comment="One row per training, rung, estimator, metric and slice, baselines among them.",
    columns=(
        _TRAINING,
        _TASK,
        _RUNG,
        _ESTIMATOR,
        Column("metric", "string", "Name of the metric.", False),
        Column("slice_name", "string", "What rows are shown apart by; null for all rows."),
        Column("slice_value", "string", "Value that the rows of the slice share."),
        Column("value", "double", "The metric; null where the rows do not give it."),
        Column("low", "double", "Lower end of the 95 % interval, over artists."),
        Column("high", "double", "Upper end of the 95 % interval."),
        Column("n", "bigint", "Test rows.", False, "rows"),
        Column("groups", "bigint", "Artists among them.", False, "artists"),
        Column("interval", "string", "How the interval was made, or why there is none.", False),
    ),
    key=("training_id", "rung", "estimator", "metric", "slice_name", "slice_value"),
)

TUNING = Table(
    name="ml.tuning",
    comment="One row per training, rung, estimator, choice, candidate and fold: what a candidate"
    " scored on the fold of the training side that it was not fitted on. No test row has a part.",
    columns=(
        _TRAINING,
        _TASK,
        _RUNG,
        _ESTIMATOR,
        Column("step", "string", "search (parameters) or elimination (features).", False),
        Column("candidate", "bigint", "Place of the candidate, from 1.", False),
        Column("fold", "bigint", "The fold that judged, from 1.", False),
        Column("parameters", "string", "The candidate's parameters, as a JSON object.", False),
        Column("features", "bigint", "Features that it was fitted on.", False, "features"),
        Column("metric", "string", "Name of the metric.", False),
        Column("value", "double", "The metric on the fold.", False),
        Column("chosen", "boolean", "Whether the mean over the folds is the best.", False),
    ),
    key=("training_id", "rung", "estimator", "step", "candidate", "fold"),
)

IMPORTANCES = Table(
    name="ml.importances",
    comment="One row per training, estimator, method and feature: what the model of the headline"
    " rung makes of the feature. A feature that the model has no column of has no row.",
    columns=(
        _TRAINING,
        _TASK,
        _RUNG,
        _ESTIMATOR,
        Column(
            "method",
            "string",
            "permutation (how much worse the headline metric gets when the feature is permuted"
            " among test rows), contributions (mean size of its SHAP values on test rows, in units"
            " of the margin), gain or impurity (its share in training) or coefficients (sum of"
            " sizes, of scaled columns).",
            False,
        ),
        Column("feature", "string", "Name of the feature.", False),
        Column("value", "double", "The more, the more the model makes of the feature.", False),
        Column("low", "double", "Lower end of the 95 % interval, over artists."),
        Column("high", "double", "Upper end of the 95 % interval."),
        Column("n", "bigint", "Test rows; null where it comes from the fit.", True, "rows"),
    ),
    key=("training_id", "estimator", "method", "feature"),
)

PREDICTIONS = Table(
    name="ml.predictions",
    comment="One row per test row of the headline rung and estimator. `beatlake score` writes files"
    " of its own, a row for each of the table that it is given: `row_id`, `predicted`, `number` and"
    " `probability` as here, and `in_scope`, whether the task is about the row: whether its `where`"
    " takes it, conditions on the label aside; null where the table lacks a column that tells.",
    columns=(
        _TRAINING,
        _TASK,
        _ESTIMATOR,
        _RUNG,
        Column("row_id", "string", "The row: its key, or a hash of its content.", False),
        Column("artist", "string", "What intervals draw: main artist, else recording, else row."),
        Column("label", "string", "What is true: a class, or a number as text."),
        Column("predicted", "string", "What was predicted: a class, or a number as text.", False),
        Column("number", "double", "The prediction of a regression."),
        Column("probability", "double", "Probability of the predicted class."),
    ),
    key=("training_id", "estimator", "row_id"),
)

MODELS = Table(
    name="ml.models",
    comment="What happened to models, in order: registered, evaluated, promoted, rolled_back. The"
    " champion of a task is the model of its newest promotion or rollback.",
    columns=(
        Column("event", "string", "registered, evaluated, promoted or rolled_back.", False),
        Column("at", "timestamp", "When.", False, "UTC"),
        Column("number", "bigint", "Place of the commit among those to this table.", False),
        _TASK,
        Column("version", "bigint", "Version of the model within its task.", False),
        _TRAINING,
        _ESTIMATOR,
        Column("headline", "string", "Rung that the model is judged by.", False),
        Column("metric", "string", "Headline metric.", False),
        Column("value", "double", "Its value on the headline rung."),
        Column("low", "double", "Lower end of its 95 % interval."),
        Column("high", "double", "Upper end of its 95 % interval."),
        Column("beats_baselines", "boolean", "Whether it beats every baseline; null if none."),
        Column("manifest_sha256", "string", "Hash of the model's manifest.", False),
    ),
    key=("event", "number", "task", "version"),
)

TABLES = (SPLITS, METRICS, TUNING, IMPORTANCES, PREDICTIONS, MODELS)

"""A task is data: which table, label, features, splits and estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from beatlake.config import ConfigError
from beatlake.learn.algorithms import (
    CLASSIFIERS,
    CLUSTERERS,
    IMAGING,
    REGRESSORS,
    SWEPT,
    Estimator,
    Part,
)
from beatlake.learn.task.features import Features
from beatlake.learn.task.rows import Entities, Label, TableOf

#: Rungs of the ladder, from the one that flatters most down.
RUNGS = ("random", "recording", "artist", "time", "artist_time")
#: Gates by name, as a task may acknowledge them, and the kind of leak that each looks for, by the
#: numbers of Kapoor and Narayanan 2023; a score that is too good may be of any.
GATES = {
    "recordings_on_both_sides": "L1.4",
    "artists_on_both_sides": "L3.2",
    "same_sound_on_both_sides": "L1.4",
    "interpolated_on_both_sides": "L1.2",
    "test_unlike_population": "L3.3",
    "training_after_test": "L3.1",
    "single_feature_auc": "L2",
    "feature_is_label": "L2",
    "lineage_of_label": "L2",
    "label_of_later_rows": "L3.1",
    "score_above_ceiling": "",
}


class Splits(Part):
    """How rows are dealt to the sides."""

    salt: str = Field("beatlake", pattern=r"^[ -~]{1,40}$")
    test: float = Field(0.25, gt=0, lt=1, description="Share of groups on the test side.")
    validation: float = Field(
        0.1, ge=0, lt=1, description="Share of groups that watch a fit that stops early."
    )
    test_from: str | None = Field(
        None,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="First day of the test side in time; by default the newest rows.",
    )
    rungs: tuple[Literal["random", "recording", "artist", "time", "artist_time"], ...] = (
        "random",
        "recording",
        "artist",
        "time",
        "artist_time",
    )
    headline: Literal["recording", "artist", "time", "artist_time"] = "artist"

    @model_validator(mode="after")
    def _headline(self) -> Splits:
        if self.headline not in self.rungs:
            raise ValueError(f"the headline rung {self.headline} is not among the rungs")
        return self


class Resampling(Part):
    """How classes are evened out, in the training fold alone."""

    how: Literal[
        "none",
        "class_weights",
        "over",
        "under",
        "smote",
        "smote_tomek",
        "cluster_centroids",
    ] = "none"
    max_rows: int = Field(300_000, ge=1, description="Training rows that are taken at most.")


class Permutation(Part):
    """How the importance of features is measured on the test side of the headline rung."""

    rows: int = Field(5_000, ge=1, description="Test rows whose features are permuted.")
    repeats: int = Field(5, ge=1, le=100, description="Permutations of each feature.")


class Task(Part):
    """One question to models, and how their answers are judged."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    question: str
    table: TableOf = TableOf()
    entities: Entities = Entities()
    label: Label | None = Field(None, description="None for clusters.")
    features: Features
    splits: Splits = Splits()
    estimators: tuple[Estimator, ...] = Field(min_length=1)
    resampling: Resampling = Resampling()
    importance: Permutation = Permutation()
    slices: dict[str, str] = Field({}, description="Columns by which scores are shown apart.")
    metric: str | None = Field(None, description="The headline metric.")
    ceiling: float | None = Field(
        None, description="The highest value of the headline metric that is plausible."
    )
    acknowledge: dict[str, str] = Field({}, description="Gates let through, with the reason.")
    uses: tuple[str, ...] = Field((), description="What its models are meant for, as sentences.")
    limits: tuple[str, ...] = Field(
        (), description="What they are not for, and what their scores do not say."
    )
    seed: int = 42

    @model_validator(mode="after")
    def _fits(self) -> Task:
        if wrong := [e.name for e in self.estimators if e.name not in self.able]:
            raise ValueError(self.refusal(wrong, "this task"))
        if swept := [e.name for e in self.estimators if e.sweep and e.name not in SWEPT]:
            raise ValueError(f"{', '.join(swept)} takes no number of clusters to sweep over")
        if self.kind == "clusters" and any(e.search or e.elimination for e in self.estimators):
            raise ValueError("clusters have no truth that anything could be chosen by")
        names = [e.name for e in self.estimators]
        if len(set(names)) < len(names):
            raise ValueError("an estimator is listed twice")
        if unknown := set(self.acknowledge) - set(GATES):
            raise ValueError(
                f"there is no gate {', '.join(sorted(unknown))}; there are: {', '.join(GATES)}"
            )
        if any(len(reason.split()) < 3 for reason in self.acknowledge.values()):
            raise ValueError("a gate is acknowledged with a reason of at least three words")
        if self.kind != "classes" and self.resampling.how != "none":
            raise ValueError("only classes can be resampled")
        return self

    @model_validator(mode="after")
    def _image_alone(self) -> Task:
        image = self.features.image
        if image is None:
            return self
        if len(self.features.list) > 1:
            raise ValueError(f"{image.name} is an image, and an image is a model's only feature")
        if self.resampling.how not in ("none", "class_weights"):
            raise ValueError(
                f"{self.resampling.how} makes or drops rows of numbers, and {image.name} is an"
                " image; class_weights evens classes out"
            )
        if not self.table.row_key:
            raise ValueError(f"images are looked up by a key: {image.name} needs table.row_key")
        return self

    @property
    def kind(self) -> Literal["classes", "number", "clusters"]:
        """What the task predicts."""
        return "clusters" if self.label is None else self.label.kind

    @property
    def able(self) -> tuple[str, ...]:
        """The estimators that can answer it."""
        of_kind = {"classes": CLASSIFIERS, "number": REGRESSORS, "clusters": CLUSTERERS}[self.kind]
        imaging = self.features.image is not None
        return tuple(name for name in of_kind if (name in IMAGING) is imaging)

    def refusal(self, unable: Sequence[str], called: str) -> str:
        """Why estimators cannot answer it, and which can."""
        image = self.features.image
        why = f", whose feature {image.name} is an image" if image else ""
        if image is None and set(unable) & set(IMAGING):
            why = ", which has no image"
        can = f"what can: {', '.join(self.able)}" if self.able else "nothing can"
        return f"{', '.join(unable)} cannot answer {called}{why}; {can}"

    @property
    def headline_metric(self) -> str:
        """The metric that rungs and models are compared by."""
        default = {"classes": "accuracy", "number": "r2", "clusters": "silhouette"}
        return self.metric or default[self.kind]


def with_estimators(asked: Task, names: Sequence[str]) -> Task:
    """A task with some estimators and no other; those that it has keep their parameters.

    Raises:
        ConfigError: one cannot answer the task.
    """
    if unable := [name for name in names if name not in asked.able]:
        raise ConfigError(f"{asked.refusal(unable, asked.name)}.")
    own: dict[str, Estimator] = {estimator.name: estimator for estimator in asked.estimators}
    chosen = (
        own.get(name) or Estimator.model_validate({"name": name}) for name in dict.fromkeys(names)
    )
    return asked.model_copy(update={"estimators": tuple(chosen)})

"""A task is data: which table, label, features, splits and estimators.

`beatlake.learn.task_files` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

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

#: Rungs of the ladder, from the one that flatters most down.
RUNGS = ("random", "recording", "artist", "time", "artist_time")
#: Stands for the main artist of a row where features look at earlier rows.
MAIN_ARTIST = "main artist"
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


class Condition(Part):
    """Rows that are kept: every limit that is given must hold."""

    column: str
    known: bool | None = Field(None, description="Whether the column must have a value.")
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    equal: str | None = None


class Join(Part):
    """Columns of another table of the lake; rows that it has none for are not the task's."""

    name: str = Field(description="The table, such as ml.spectrograms.")
    by: tuple[str, ...] = Field(min_length=1, description="Columns that name a row in both.")
    columns: tuple[str, ...] = Field(min_length=1, description="Columns that are taken.")


class TableOf(Part):
    """The table that the rows come from."""

    name: str | None = Field(None, description="Table of a release, such as silver.recordings.")
    join: Join | None = Field(None, description="What a table of a release is joined with.")
    row_key: tuple[str, ...] = Field(
        (), description="Columns that name a row; by default its whole content does."
    )
    nulls: tuple[str, ...] = Field((), description="Texts of CSV files that stand for no value.")
    ignore: tuple[str, ...] = Field((), description="Columns that say nothing about a row.")
    distinct: bool = Field(False, description="Whether rows of equal content count once.")
    where: tuple[Condition, ...] = ()
    file_column: str | None = Field(
        None, description="Name under which a row's file name is a column, without its ending."
    )


class Artists(Part):
    """Who made a recording; the first one named is the main artist."""

    columns: tuple[str, ...]
    split: bool = Field(True, description="Whether 'A feat. B' names two (beatlake.learn.credits).")
    titles: tuple[str, ...] = Field((), description="Columns whose '(feat. B)' names another.")


class Dates(Part):
    """When a recording came out: a column, or a year for each value of a column."""

    column: str
    years: dict[str, int] | None = None


class Entities(Part):
    """What must not stand on both sides of a split."""

    recording: tuple[str, ...] = Field((), description="Columns each of which names a recording.")
    same_recording: tuple[str, ...] = Field(
        (), description="Columns that name a recording together, compared without case and marks."
    )
    artists: Artists | None = None
    date: Dates | None = None


class Bins(Part):
    """Classes of a number."""

    how: Literal["equal_width", "quantile"]
    names: tuple[str, ...] = Field(min_length=2)


class Rule(Part):
    """A class and the texts one of which a value must hold for it."""

    name: str
    contains: tuple[str, ...] = Field(min_length=1)


class Label(Part):
    """What is predicted."""

    column: str
    kind: Literal["classes", "number"] = "classes"
    bins: Bins | None = None
    rules: tuple[Rule, ...] = Field((), description="The first rule that fits names the class.")
    families: dict[str, tuple[str, ...]] = Field(
        {}, description="Classes by the values that they take in; others keep their name."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Label:
        ways = [w for w in ("bins", "rules", "families") if getattr(self, w)]
        if len(ways) > 1:
            raise ValueError(f"only one of {', '.join(ways)} can make the classes")
        if self.kind == "number" and ways:
            raise ValueError(f"{ways[0]} makes classes, and the label is a number")
        return self


class Earlier(Part):
    """What is known of a group from rows that came out strictly before a row.

    A row counts as earlier where its last possible day lies before the row's first possible day.
    ``count`` is how many there are, ``days_since_first`` how long ago the first came out, ``mean``
    the mean of a number over them. The mean of a number that is itself of later days, such as a
    popularity snapshot, is hindsight however early its rows are: such a feature belongs into a
    group that says so.
    """

    by: str = Field(description="A column whose equal values are a group, or `main artist`.")
    measure: Literal["count", "mean", "days_since_first"] = "count"
    of: str | None = Field(None, description="The number of which the mean is taken.")

    @model_validator(mode="after")
    def _complete(self) -> Earlier:
        if (self.of is None) is (self.measure == "mean"):
            raise ValueError("`of` names the number of a mean, and of nothing else")
        return self


class Feature(Part):
    """A feature: a column, and how it is read, or what `earlier` rows say.

    ``form`` number takes it as it is; category makes one column for each common value (`top` of
    them at most); hash spreads values over ``buckets`` columns; circle makes sine and cosine of a
    pitch class on the circle of fifths; folded halves or doubles a tempo into 90 to 180; image is
    bytes, row by row, of the ``shape`` (rows, columns).
    """

    name: str
    column: str
    form: Literal["number", "category", "hash", "circle", "folded", "image"] = "number"
    skew: Literal["none", "log1p", "sqrt", "cube_root"] = "none"
    top: int = Field(40, ge=1, le=500)
    buckets: int = Field(32, ge=2, le=1024)
    shape: tuple[PositiveInt, PositiveInt] | None = None
    earlier: Earlier | None = None

    @model_validator(mode="after")
    def _shaped(self) -> Feature:
        if (self.form == "image") is (self.shape is None):
            raise ValueError("an image has a `shape` (rows, columns), and nothing else has one")
        if self.shape and self.earlier:
            raise ValueError("earlier rows make no image")
        return self

    @property
    def reads(self) -> Literal["number", "text", "image"]:
        """What its values are: only a number or a text says something by itself."""
        if self.form == "image":
            return "image"
        return "text" if self.form in ("category", "hash") else "number"

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that it is made of."""
        if self.earlier is None:
            return (self.column,)
        of = (self.earlier.of,) if self.earlier.of else ()
        return of if self.earlier.by == MAIN_ARTIST else (self.earlier.by, *of)


class Group(Part):
    """Features that are switched on and off together."""

    features: tuple[Feature, ...] = Field(min_length=1)
    known: str = Field("with the release", description="When the values are known.")
    hindsight: bool = False

    @field_validator("features", mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        """A name alone is a number of that name."""
        if not isinstance(given, (list, tuple)):
            return given
        full = []
        for one in given:
            if isinstance(one, str):
                full.append({"name": one, "column": one})
            elif isinstance(one, dict) and "name" in one and "column" not in one:
                full.append({**one, "column": one["name"]})
            else:
                full.append(one)
        return tuple(full)


class Features(Part):
    """What is predicted from."""

    groups: dict[str, Group] = Field(min_length=1)
    use: tuple[str, ...] = Field((), description="Groups in use; all without hindsight if empty.")
    scale: Literal["standard", "min_max", "robust", "none"] = "standard"
    lineage: dict[str, tuple[str, ...]] = Field(
        {}, description="Columns that a column was computed from."
    )

    @model_validator(mode="after")
    def _known(self) -> Features:
        if unknown := set(self.use) - set(self.groups):
            raise ValueError(
                f"there is no group {', '.join(sorted(unknown))}; there are:"
                f" {', '.join(self.groups)}"
            )
        names = [feature.name for group in self.groups.values() for feature in group.features]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"a feature has one name each, and {', '.join(twice)} is there twice")
        return self

    @property
    def used(self) -> dict[str, Group]:
        """The groups in use."""
        chosen = self.use or [n for n, group in self.groups.items() if not group.hindsight]
        return {name: self.groups[name] for name in chosen}

    @property
    def list(self) -> list[Feature]:
        """The features in use, in order."""
        return [feature for group in self.used.values() for feature in group.features]

    @property
    def image(self) -> Feature | None:
        """The feature in use that is an image."""
        return next((feature for feature in self.list if feature.reads == "image"), None)


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

"""What a task says of its features."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from beatlake.learn.algorithms import Part

#: Stands for the main artist of a row where features look at earlier rows.
MAIN_ARTIST = "main artist"


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

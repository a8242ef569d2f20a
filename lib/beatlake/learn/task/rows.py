"""What a task says of its rows: where they come from, who made them, and what is predicted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from beatlake.learn.algorithms import Part


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

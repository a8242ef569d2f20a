"""Gold: aggregates declared in `conf/gold.yaml`, and the specs that follow from them.

For a measure ``m`` kept to ``D`` decimals a table has ``m_n`` (rows with a value), ``m_mean``,
``m_std`` (sample standard deviation), ``m_pQ`` (exact percentiles), and the exact sums
``m_sum_eD`` = sum(x * 10^D) and ``m_sumsq_e2D`` = sum((x * 10^D)^2). Counts and sums add up from
fine groups to coarse ones, mean and deviation follow from them, percentiles do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from beatlake.resources import read_conf
from beatlake.tables.recordings import RECORDING_ARTISTS, RECORDING_GENRES, RECORDINGS
from beatlake.tables.spec import Column, Table

IS_UNKNOWN = "is_unknown"
N = "n_recordings"
N_FRACTIONAL = "n_recordings_fractional"
EXACT = "decimal(38,0)"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weight(_Strict):
    """A column that a mean is also weighted by, and the name of that mean."""

    name: str
    column: str


class Measure(_Strict):
    """A column of silver.recordings that is summarised, to so many decimals."""

    decimals: int
    unit: str
    weight: Weight | None = None


class Aggregate(_Strict):
    """One gold table: what is counted, by what, and how a recording in several groups counts."""

    name: str
    comment: str
    of: Literal["recordings", "recording_genres", "recording_artists"]
    group_by: tuple[str, ...]
    credit: Literal["full", "fractional"]
    measures: Literal["all"] | tuple[str, ...]
    quantiles: tuple[int, ...] | None = None


class Gold(_Strict):
    """The whole declaration."""

    quantiles: tuple[int, ...]
    measures: dict[str, Measure]
    tables: tuple[Aggregate, ...]

    @model_validator(mode="after")
    def _known(self) -> Gold:
        columns = set(RECORDINGS.column_names)
        unknown = self.measures.keys() - columns
        for aggregate in self.tables:
            unknown |= set(self.measures_of(aggregate)) - self.measures.keys()
        if unknown:
            raise ValueError(f"conf/gold.yaml names unknown columns or measures {sorted(unknown)}")
        for stage, aggregates in self.together().items():
            if not common_groups(aggregates):
                names = ", ".join(aggregate.name for aggregate in aggregates)
                raise ValueError(f"conf/gold.yaml: {names} of {stage} share no grouping column")
        return self

    def measures_of(self, aggregate: Aggregate) -> dict[str, Measure]:
        """The measures of one table, by column."""
        if aggregate.measures == "all":
            return self.measures
        return {name: self.measures[name] for name in aggregate.measures}

    def quantiles_of(self, aggregate: Aggregate) -> tuple[int, ...]:
        """The percentiles of one table."""
        return self.quantiles if aggregate.quantiles is None else aggregate.quantiles

    def together(self) -> dict[str, tuple[Aggregate, ...]]:
        """The tables by the stage that makes them.

        Those of one table of links need the same join, so they are made at once; each of the
        others is made by itself.
        """
        found: dict[str, tuple[Aggregate, ...]] = {}
        for aggregate in self.tables:
            stage = aggregate.name if aggregate.of == "recordings" else aggregate.of
            found[stage] = (*found.get(stage, ()), aggregate)
        return found


def common_groups(aggregates: Sequence[Aggregate]) -> tuple[str, ...]:
    """The columns that all of the tables group by."""
    first, *others = aggregates
    return tuple(c for c in first.group_by if all(c in other.group_by for other in others))


@cache
def declaration() -> Gold:
    """The gold tables as `conf/gold.yaml` declares them."""
    return Gold.model_validate(yaml.safe_load(read_conf("gold.yaml")))


def group_columns(aggregate: Aggregate) -> list[Column]:
    """The grouping columns with the meaning they have in silver; text is never null."""
    known = {
        column.name: column
        for table in (RECORDINGS, RECORDING_GENRES, RECORDING_ARTISTS)
        for column in table.columns
    }
    found = []
    for name in aggregate.group_by:
        column = known[name]
        text = column.type == "string"
        missing = " The text unknown where it is not known." if text else " Null if not known."
        found.append(Column(name, column.type, column.comment + missing, not text, column.unit))
    return found


def table(gold: Gold, aggregate: Aggregate) -> Table:
    """The spec of a gold table."""
    columns = group_columns(aggregate)
    columns.append(
        Column(IS_UNKNOWN, "boolean", "Whether a grouping column of the row is not known.", False)
    )
    columns.append(
        Column(N, "bigint", f"Recordings in the group ({aggregate.credit} credit).", False, "rows")
    )
    if aggregate.credit == "fractional":
        columns.append(
            Column(N_FRACTIONAL, "double", "Recordings, each counting 1/k in k groups.", False)
        )
    for name, measure in gold.measures_of(aggregate).items():
        columns += _measure_columns(name, measure, gold.quantiles_of(aggregate), aggregate.credit)
    return Table(
        name=f"gold.{aggregate.name}",
        comment=f"{aggregate.comment} Credit: {aggregate.credit}.",
        columns=tuple(columns),
        key=aggregate.group_by,
    )


def _measure_columns(
    name: str, measure: Measure, quantiles: tuple[int, ...], credit: str
) -> list[Column]:
    unit, scale = measure.unit, measure.decimals
    columns = [
        Column(f"{name}_n", "bigint", f"Recordings that have {name}.", False, "rows"),
        Column(f"{name}_mean", "double", f"Mean of {name}.", True, unit),
    ]
    if credit == "fractional":
        columns[1] = Column(
            f"{name}_mean", "double", f"Mean of {name}, a recording weighing 1/k.", True, unit
        )
        return columns
    columns.append(
        Column(f"{name}_std", "double", f"Sample standard deviation of {name}.", True, unit)
    )
    columns += [
        Column(f"{name}_p{q}", "double", f"Percentile {q} of {name}, exact.", True, unit)
        for q in quantiles
    ]
    columns += [
        Column(f"{name}_sum_e{scale}", EXACT, f"Sum of {name} * 10^{scale}, exact.", False),
        Column(
            f"{name}_sumsq_e{2 * scale}",
            EXACT,
            f"Sum of ({name} * 10^{scale})^2, exact.",
            False,
        ),
    ]
    if measure.weight is not None:
        by = measure.weight
        columns += [
            Column(
                f"{name}_{by.name}_weighted_mean",
                "double",
                f"Mean of {name}, each recording weighing its {by.column}.",
                True,
                unit,
            ),
            Column(
                f"{name}_{by.name}_weighted_sum_e{scale}",
                EXACT,
                f"Sum of {name} * {by.column} * 10^{scale}: a sum, which grows with the number of"
                " tracks, and not a mean.",
                False,
            ),
            Column(
                f"{name}_{by.name}_weight_sum",
                "bigint",
                f"Sum of {by.column} over recordings that have {name}.",
                False,
                "tracks",
            ),
        ]
    return columns


def tables() -> list[Table]:
    """Every gold table."""
    gold = declaration()
    return [table(gold, aggregate) for aggregate in gold.tables]

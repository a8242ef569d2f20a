"""One gold table from silver, by its declaration."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from beatlake import dates
from beatlake.aggregate.exact import exact_sum, mean, scaled, standard_deviation
from beatlake.quality.counting import Counted, kept
from beatlake.tables.gold import (
    IS_UNKNOWN,
    N_FRACTIONAL,
    Aggregate,
    Gold,
    Measure,
    N,
    group_columns,
)

#: Credits are integers in this unit, so that their sums are exact: it divides by 1 to 10.
CREDIT_UNIT = 2_520
_CREDIT = "_credit"


def aggregate_by(
    frames: Mapping[str, DataFrame], gold: Gold, aggregate: Aggregate
) -> tuple[DataFrame, Counted]:
    """The rows of a gold table, one per group, and the count of recordings in them.

    Args:
        frames: ``silver.recordings`` and, if the table is of them, ``silver.recording_genres`` or
            ``silver.recording_artists``.
        gold: the declaration, for measures and percentiles.
        aggregate: the table.
    """
    rows = _credited(frames, aggregate)
    groups = group_columns(aggregate)
    unknown = F.lit(False)
    for column in groups:
        missing = F.col(column.name).isNull()
        if column.type == "string":
            missing = missing | (F.col(column.name) == dates.UNKNOWN)
            rows = rows.withColumn(column.name, F.coalesce(column.name, F.lit(dates.UNKNOWN)))
        unknown = unknown | missing
    measures = gold.measures_of(aggregate)
    fractional = aggregate.credit == "fractional"
    sums: list[Column] = [F.count(F.lit(1)).alias(N)]
    if fractional:
        sums.append((F.sum(_CREDIT) / F.lit(float(CREDIT_UNIT))).alias(N_FRACTIONAL))
    for name, measure in measures.items():
        sums += _fractional(name, measure) if fractional else _full(name, measure)
        if gold.quantiles_of(aggregate) and not fractional:
            shares = F.array(*[F.lit(q / 100.0) for q in gold.quantiles_of(aggregate)])
            sums.append(
                F.percentile(F.col(name).cast("double"), shares).alias(f"_{name}_quantiles")
            )
    grouped = rows.groupBy(*aggregate.group_by).agg(*sums)
    finished = grouped.withColumn(IS_UNKNOWN, unknown)
    if not fractional:
        finished = _derive(finished, measures, gold.quantiles_of(aggregate))
    source = f"silver.{aggregate.of}"
    linked = F.lit(True)
    if aggregate.of != "recordings":
        # Recordings without a link have a row of their own here, and none in the source.
        own = F.col(next(c for c in aggregate.group_by if c in frames[source].columns))
        linked = own.isNotNull() & (own.cast("string") != dates.UNKNOWN)
    counted = kept(finished, f"gold.{aggregate.name}", source, F.sum(F.when(linked, F.col(N))))
    names = [c for c in counted.frame.columns if not c.startswith("_")]
    return counted.frame.select(*names), counted


def _credited(frames: Mapping[str, DataFrame], aggregate: Aggregate) -> DataFrame:
    recordings = frames["silver.recordings"]
    if aggregate.of == "recordings":
        return recordings
    links = frames[f"silver.{aggregate.of}"]
    own = [c for c in aggregate.group_by if c in links.columns]
    links = links.select("isrc", *own)
    if aggregate.credit == "fractional":
        number = links.groupBy("isrc").agg(F.count(F.lit(1)).alias("_k"))
        links = links.join(number, "isrc", "inner")
    rows = recordings.drop(*own).join(links, "isrc", "left")
    if aggregate.credit == "fractional":
        share = F.rint(CREDIT_UNIT / F.coalesce("_k", F.lit(1))).cast("bigint")
        rows = rows.withColumn(_CREDIT, share)
    return rows


def _full(name: str, measure: Measure) -> list[Column]:
    value = scaled(F.col(name), measure.decimals)
    columns = [
        F.count(name).alias(f"{name}_n"),
        F.coalesce(F.sum(value), F.lit(0))
        .cast("decimal(38,0)")
        .alias(f"{name}_sum_e{measure.decimals}"),
        exact_sum(value * value).alias(f"{name}_sumsq_e{2 * measure.decimals}"),
    ]
    if measure.weight is not None:
        by = measure.weight
        weight = F.when(F.col(name).isNotNull(), F.col(by.column)).cast("bigint")
        columns += [
            exact_sum(value, weight).alias(f"{name}_{by.name}_weighted_sum_e{measure.decimals}"),
            F.coalesce(F.sum(weight), F.lit(0)).alias(f"{name}_{by.name}_weight_sum"),
        ]
    return columns


def _fractional(name: str, measure: Measure) -> list[Column]:
    weight = F.when(F.col(name).isNotNull(), F.col(_CREDIT))
    total = exact_sum(scaled(F.col(name), measure.decimals), weight)
    return [
        F.count(name).alias(f"{name}_n"),
        mean(total, F.sum(weight), measure.decimals).alias(f"{name}_mean"),
    ]


def _derive(
    frame: DataFrame, measures: Mapping[str, Measure], quantiles: tuple[int, ...]
) -> DataFrame:
    derived: dict[str, Column] = {}
    for name, measure in measures.items():
        count = F.col(f"{name}_n")
        total = F.col(f"{name}_sum_e{measure.decimals}")
        squares = F.col(f"{name}_sumsq_e{2 * measure.decimals}")
        derived[f"{name}_mean"] = mean(total, count, measure.decimals)
        derived[f"{name}_std"] = standard_deviation(count, total, squares, measure.decimals)
        for rank, q in enumerate(quantiles):
            derived[f"{name}_p{q}"] = F.col(f"_{name}_quantiles")[rank]
        if measure.weight is not None:
            by = f"{name}_{measure.weight.name}"
            derived[f"{by}_weighted_mean"] = mean(
                F.col(f"{by}_weighted_sum_e{measure.decimals}"),
                F.col(f"{by}_weight_sum"),
                measure.decimals,
            )
    return frame.withColumns(derived)

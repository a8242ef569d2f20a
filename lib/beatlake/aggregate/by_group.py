"""Gold tables from silver, by their declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from beatlake import dates
from beatlake.aggregate.exact import exact_sum, mean, scaled, standard_deviation
from beatlake.exchange import ALL_HELD, Dealt, Query, Stored, select
from beatlake.quality.counting import Count
from beatlake.tables.gold import (
    IS_UNKNOWN,
    N_FRACTIONAL,
    Aggregate,
    Gold,
    Measure,
    N,
    common_groups,
    group_columns,
)

#: Credits are integers in this unit, so that their sums are exact: it divides by 1 to 10.
CREDIT_UNIT = 2_520


def aggregates(
    tables: Mapping[str, Stored], gold: Gold, wanted: Sequence[Aggregate]
) -> list[Query]:
    """The rows of gold tables, one per group of each; a query for each of them.

    Args:
        tables: ``silver.recordings`` and, if the tables are of them, ``silver.recording_genres`` or
            ``silver.recording_artists``.
        gold: the declaration, for measures and percentiles.
        wanted: the tables, all of the same one; the queries have the same sources.
    """
    rows = Dealt(_credited(tables, gold, wanted), common_groups(wanted))
    sources = {"recordings": rows}
    return [_by_group(tables, gold, aggregate, sources) for aggregate in wanted]


def _by_group(
    tables: Mapping[str, Stored], gold: Gold, aggregate: Aggregate, sources: Mapping[str, Dealt]
) -> Query:
    measures, quantiles = gold.measures_of(aggregate), gold.quantiles_of(aggregate)
    counted = [f"count(*) AS {N}"]
    derived = [N]
    if aggregate.credit == "fractional":
        counted.append("sum(credit) AS credits")
        derived.append(f"credits::DOUBLE / {CREDIT_UNIT}::DOUBLE AS {N_FRACTIONAL}")
    summed: dict[str, list[str]] = {}
    for name, measure in measures.items():
        if aggregate.credit == "fractional":
            summed[name] = _fractional_sums(name, measure)
            derived += [f"{name}_n", _fractional_mean(name, measure)]
        else:
            summed[name] = _sums(name, measure, quantiles)
            derived += _derived(name, measure, quantiles)
    by = ", ".join(aggregate.group_by)
    (rows,) = sources.values()
    fitting = ALL_HELD // max(1, rows.rows.rows) if quantiles else len(measures)
    at_once = max(1, min(fitting, len(measures)))
    grouped, steps = _grouped(aggregate, counted, summed, at_once)
    unknown = " OR ".join(_is_unknown(aggregate))
    source = f"silver.{aggregate.of}"
    linked = "true"
    if aggregate.of != "recordings":
        # Recordings without a link have a row of their own here, and none in the source.
        own = next(c for c in aggregate.group_by if c in tables[source].schema.names)
        linked = f"{own} IS NOT NULL AND {own}::VARCHAR <> '{dates.UNKNOWN}'"
    return Query(
        f"""
        WITH grouped AS ({grouped})
        SELECT {by}, {unknown} AS {IS_UNKNOWN}, {", ".join(derived)} FROM grouped
        """,
        sources,
        [Count(f"gold.{aggregate.name}", source, "kept", f"sum({N}) FILTER (WHERE {linked})")],
        steps=steps,
        holds=at_once if quantiles else 0,
    )


def _grouped(
    aggregate: Aggregate, counted: Sequence[str], summed: Mapping[str, Sequence[str]], at_once: int
) -> tuple[str, dict[str, str]]:
    """SQL for the sums of all groups, and the steps that it needs: so many measures in each."""
    by = ", ".join(aggregate.group_by)
    names = list(summed)
    columns = [
        [column for name in names[first : first + at_once] for column in summed[name]]
        for first in range(0, max(1, len(names)), at_once)
    ]
    columns[0] = [*counted, *columns[0]]
    parts = [f"SELECT {by}, {', '.join(part)} FROM recordings GROUP BY {by}" for part in columns]
    if len(parts) == 1:
        return parts[0], {}
    steps = {f"{aggregate.name}_{number}": part for number, part in enumerate(parts)}
    first, *others = steps
    joined = first
    for other in others:
        alike = (f"{first}.{key} IS NOT DISTINCT FROM {other}.{key}" for key in aggregate.group_by)
        joined += f" JOIN {other} ON {' AND '.join(alike)}"
    shown = ", ".join([f"{first}.*", *(f"{other}.* EXCLUDE ({by})" for other in others)])
    return f"SELECT {shown} FROM {joined}", steps


def _is_unknown(aggregate: Aggregate) -> list[str]:
    return [
        f"{column.name} = '{dates.UNKNOWN}'"
        if column.type == "string"
        else f"{column.name} IS NULL"
        for column in group_columns(aggregate)
    ]


def _credited(tables: Mapping[str, Stored], gold: Gold, wanted: Sequence[Aggregate]) -> Query:
    """Recordings with what they are grouped by and measured in, a row for each of their links."""
    measures = {n: m for aggregate in wanted for n, m in gold.measures_of(aggregate).items()}
    weights = [m.weight.column for m in measures.values() if m.weight is not None]
    measured = list(dict.fromkeys([*measures, *weights]))
    groups = {column.name: column for a in wanted for column in group_columns(a)}
    # A text that is not known is called so.
    shown = [
        f"coalesce({c.name}, '{dates.UNKNOWN}') AS {c.name}" if c.type == "string" else c.name
        for c in groups.values()
    ]
    recordings, of = tables["silver.recordings"], wanted[0].of
    if of == "recordings":
        return select(recordings, *shown, *measured)
    links = tables[f"silver.{of}"]
    own = [c for c in groups if c in links.schema.names]
    other = [c for c in groups if c not in own]
    if any(aggregate.credit == "fractional" for aggregate in wanted):
        number = "count(links.isrc) OVER (PARTITION BY recordings.isrc)"
        share = scaled(f"{CREDIT_UNIT}::DOUBLE / greatest({number}, 1)", 0)
        shown.append(f"{share} AS credit")
    return Query(
        f"""
        SELECT {", ".join(shown)}, {", ".join(f"recordings.{c}" for c in measured)}
        FROM recordings LEFT JOIN links ON links.isrc = recordings.isrc
        """,
        {
            "recordings": Dealt(select(recordings, "isrc", *measured, *other), ("isrc",)),
            "links": Dealt(select(links, "isrc", *own), ("isrc",)),
        },
    )


def _sums(name: str, measure: Measure, quantiles: tuple[int, ...]) -> list[str]:
    value, scale = scaled(name, measure.decimals), measure.decimals
    columns = [
        f"count({name}) AS {name}_n",
        f"{exact_sum(value)} AS {name}_sum_e{scale}",
        f"{exact_sum(f'{value} * {value}')} AS {name}_sumsq_e{2 * scale}",
    ]
    if measure.weight is not None:
        by = measure.weight
        weight = f"CASE WHEN {name} IS NOT NULL THEN {by.column}::BIGINT END"
        columns += [
            f"{exact_sum(f'{value} * {weight}')} AS {name}_{by.name}_weighted_sum_e{scale}",
            f"coalesce(sum({weight}), 0)::BIGINT AS {name}_{by.name}_weight_sum",
        ]
    if quantiles:
        shares = ", ".join(str(q / 100) for q in quantiles)
        columns.append(f"quantile_cont({name}::DOUBLE, [{shares}]) AS {name}_quantiles")
    return columns


def _derived(name: str, measure: Measure, quantiles: tuple[int, ...]) -> list[str]:
    scale = measure.decimals
    count, total, squares = f"{name}_n", f"{name}_sum_e{scale}", f"{name}_sumsq_e{2 * scale}"
    columns = [
        count,
        total,
        squares,
        f"{mean(total, count, scale)} AS {name}_mean",
        f"{standard_deviation(count, total, squares, scale)} AS {name}_std",
    ]
    columns += [f"{name}_quantiles[{i}] AS {name}_p{q}" for i, q in enumerate(quantiles, 1)]
    if measure.weight is not None:
        by = f"{name}_{measure.weight.name}"
        weighted, weights = f"{by}_weighted_sum_e{scale}", f"{by}_weight_sum"
        columns += [weighted, weights, f"{mean(weighted, weights, scale)} AS {by}_weighted_mean"]
    return columns


def _fractional_sums(name: str, measure: Measure) -> list[str]:
    return [
        f"count({name}) AS {name}_n",
        f"{exact_sum(f'{scaled(name, measure.decimals)} * credit')} AS {name}_total",
        f"sum(credit) FILTER (WHERE {name} IS NOT NULL) AS {name}_credit",
    ]


def _fractional_mean(name: str, measure: Measure) -> str:
    return f"{mean(f'{name}_total', f'{name}_credit', measure.decimals)} AS {name}_mean"

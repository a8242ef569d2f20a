"""Gold tables are the same in however many steps their measures are summed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from beatlake.aggregate import by_group
from beatlake.exchange import Sizes, collect
from beatlake.tables.gold import declaration
from tables_on_disk import stored

ROWS = 600


def recordings() -> pa.Table:
    """Recordings of some months, of which some are not known, and a tenth of values is missing."""
    random = np.random.default_rng(7)
    declared = declaration().measures

    def with_nulls(values: np.ndarray) -> pa.Array:
        return pa.array(values, mask=random.random(ROWS) < 0.1)

    measured = {
        name: with_nulls(
            random.integers(0, 101, ROWS)
            if measure.decimals == 0
            else random.random(ROWS).round(measure.decimals)
        )
        for name, measure in declared.items()
    }
    return pa.table(
        {
            "release_year": with_nulls(random.integers(2000, 2004, ROWS)).cast(pa.int32()),
            "release_month": with_nulls(random.integers(1, 4, ROWS)).cast(pa.int32()),
            "n_spotify_tracks": random.integers(0, 5, ROWS),
            **measured,
        }
    )


@pytest.mark.parametrize("sizes", [Sizes(10**9, 10**9, 100, 2), Sizes(2_000, 2_000, 100)])
def test_measures_in_several_steps_give_what_one_gives(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: Sizes
) -> None:
    declared = declaration()
    (by_month,) = [table for table in declared.tables if table.name == "by_month"]
    rows = recordings()
    tables = {"silver.recordings": stored(tmp_path, "recordings", rows, 3)}
    (one,) = by_group.aggregates(tables, declared, [by_month])
    monkeypatch.setattr(by_group, "ALL_HELD", 5 * ROWS)
    (several,) = by_group.aggregates(tables, declared, [by_month])
    assert (len(one.steps), len(several.steps)) == (0, 3)
    assert several.schema == one.schema

    def found(query: by_group.Query) -> list[dict[str, object]]:
        return sorted(collect(spark, query, sizes).to_pylist(), key=str)

    made = found(several)
    assert made == found(one)
    # Every month of every year that there is, those that are not known among them.
    assert len(made) == len({(r["release_year"], r["release_month"]) for r in rows.to_pylist()})
    some = next(r for r in made if (r["release_year"], r["release_month"]) == (2001, 2))
    energy = [
        row["energy"]
        for row in rows.to_pylist()
        if (row["release_year"], row["release_month"]) == (2001, 2) and row["energy"] is not None
    ]
    assert some["energy_p25"] == pytest.approx(np.percentile(energy, 25))
    assert some["n_recordings"] > len(energy)


@pytest.mark.parametrize("quantiles", [(), (50,)])
def test_a_table_may_count_and_measure_nothing(
    spark: SparkSession, tmp_path: Path, quantiles: tuple[int, ...]
) -> None:
    declared = declaration()
    (by_year,) = [table for table in declared.tables if table.name == "by_year"]
    only_counts = by_year.model_copy(update={"measures": (), "quantiles": quantiles})
    rows = recordings()
    tables = {"silver.recordings": stored(tmp_path, "recordings", rows, 1)}
    (query,) = by_group.aggregates(tables, declared, [only_counts])
    found = collect(spark, query, Sizes(10**9, 10**9, 100, 2)).to_pylist()
    years = Counter(rows.column("release_year").to_pylist())
    assert {row["release_year"]: row["n_recordings"] for row in found} == years

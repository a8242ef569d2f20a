"""Ids that files which only link or illustrate others name, and that are not in the data."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from beatlake.integrate.common import Inputs, Output, text_of
from beatlake.quality.contract import Contract, ForeignKey, contracts
from beatlake.quality.counting import Count, Counted
from beatlake.quality.rules import Rule


def orphans(inputs: Inputs) -> Output:
    """The ids that name nothing, one row per file, rule and id.

    Judged are the given files that no other given file refers to; the references of all others are
    judged where their rows are taken into a table. References to a file that is absent are left
    out: nothing is known of their targets.
    """
    given = [contracts()[name.removeprefix("bronze.")] for name in inputs.frames]
    named = {key.references for contract in given for key in contract.foreign_keys}
    linking = [contract for contract in given if contract.file not in named]
    frame = reduce(
        DataFrame.unionByName,
        [_orphans(inputs, file, key) for file in linking for key in file.foreign_keys],
    )
    counted = []
    for file in linking:
        counts = [_count(file, Rule[key.flag.upper()]) for key in file.foreign_keys]
        counted.append(Counted(frame, "silver.orphans", f"bronze.{file.file}", counts))
        frame = counted[-1].frame
    return Output(frame, counted)


def _orphans(inputs: Inputs, file: Contract, key: ForeignKey) -> DataFrame:
    rows = inputs[f"bronze.{file.file}"].dropna(subset=list(key.columns))
    if key.references in inputs.absent:
        rows = rows.limit(0)
    target = contracts()[key.references].key
    known = inputs[f"bronze.{key.references}"].select(
        *[F.col(there).alias(here) for here, there in zip(key.columns, target, strict=True)]
    )
    missing = rows.join(known, list(key.columns), "left_anti")
    return (
        missing.groupBy(text_of(key.columns).alias("reference"))
        .agg(F.count(F.lit(1)).alias("n_rows"))
        .select(F.lit(file.file).alias("file"), F.lit(key.flag).alias("rule"), "*")
    )


def _count(file: Contract, rule: Rule) -> Count:
    found = (F.col("file") == file.file) & (F.col("rule") == rule.value)
    rows = F.sum(F.when(found, F.col("n_rows")))
    return Count("flagged", rows, rule.value, F.min(F.when(found, F.col("reference"))))

"""Flags of a row: the names of the rules that it breaks, in an array.

Written with functions for which Spark generates code. `array_compact` and `array_sort` have none:
they and all that stands in them would be interpreted row by row, at several times the cost.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from beatlake.quality.rules import Rule


def no_names() -> Column:
    """An array of no names."""
    return F.array().cast("array<string>")


def named(broken: Mapping[Rule, Column]) -> Column:
    """The names of the rules whose condition holds, in their order."""
    each = [
        F.when(condition, F.array(F.lit(rule.value))).otherwise(no_names())
        for rule, condition in broken.items()
    ]
    return F.concat(*each) if each else no_names()


def merged(flags: Column | str, more: Column) -> Column:
    """The names of two arrays, each once, sorted."""
    return F.sort_array(F.array_distinct(F.concat(flags, more)))

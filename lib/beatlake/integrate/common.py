"""What the integration of every table shares: one row per key, flags, and looking things up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from beatlake.quality.counting import Count, Counted
from beatlake.quality.flags import merged, named
from beatlake.quality.rules import Rule

PROVENANCE = ("source_file", "byte_offset", "byte_length")


@dataclass(frozen=True)
class Inputs:
    """The tables a stage reads, by name, and the input files that were not given.

    A reference to a file that was not given is not an orphan: nothing is known of its target.
    """

    frames: Mapping[str, DataFrame]
    absent: frozenset[str] = frozenset()

    def __getitem__(self, table: str) -> DataFrame:
        """The frame of a table."""
        return self.frames[table]

    def bronze(self, file: str) -> DataFrame:
        """The bronze rows of a file without their provenance."""
        return self.frames[f"bronze.{file}"].drop(*PROVENANCE)


@dataclass(frozen=True)
class Output:
    """The rows of one table, and the counts to read once they are written."""

    frame: DataFrame
    counted: Sequence[Counted] = field(default=())


def one_per_key(
    frame: DataFrame, key: Sequence[str], table: str, source: str, *, all_kept: bool = True
) -> Counted:
    """The row of each key that was written last; of several, the first by content.

    The other rows of the key are counted as merged, and unless a later step counts them, the first
    ones as kept. The order compares every column except the flags, which follow from them, so it
    is total up to rows that are equal.
    """
    content = [c for c in frame.columns if c not in ("updated_on", "flags", *key)]
    order = [F.col("updated_on").desc()] if "updated_on" in frame.columns else []
    order += [F.col(c).asc_nulls_last() for c in content]
    window = Window.partitionBy(*key).orderBy(*(order or [F.lit(0)]))
    ranked = frame.withColumn("_rank", F.row_number().over(window))
    first = F.col("_rank") == 1
    repeated = F.when(~first, text_of(key))
    counts = [Count("merged", F.count_if(~first), Rule.DUPLICATE_KEY.value, F.min(repeated))]
    if all_kept:
        counts.append(Count("kept", F.count_if(first)))
    counted = Counted(ranked, table, source, counts)
    counted.frame = counted.frame.filter(first).drop("_rank")
    return counted


def known(ids: DataFrame, column: str, name: str) -> DataFrame:
    """The distinct ids of a table whose key is ``column``, under the name that links use."""
    return ids.select(F.col(column).alias(name))


def set_orphans_aside(
    frame: DataFrame, ends: Mapping[Rule, DataFrame], table: str, source: str
) -> Counted:
    """The links of which every end exists; the others are counted by the first end that does not.

    Args:
        frame: one row per link.
        ends: for each end the rule that an unknown one breaks, and its known ids, one row each,
            under the link's column name.
        table: the table that the links are meant for.
        source: where they come from.
    """
    reason = F.lit(None).cast("string")
    for rule, ids in ends.items():
        frame = look_up(frame, ids, ids.columns, f"_{rule.value}")
        reason = F.coalesce(reason, F.when(~F.col(f"_{rule.value}"), rule.value))
    columns = [c for c in frame.columns if not c.startswith("_")]
    judged = frame.select(*columns, reason.alias("_reason"))
    counts = [Count("kept", F.count_if(F.col("_reason").isNull()))]
    for rule, ids in ends.items():
        orphan = F.coalesce(F.col("_reason") == rule.value, F.lit(False))
        example = F.min(F.when(orphan, text_of(ids.columns)))
        counts.append(Count("set_aside", F.count_if(orphan), rule.value, example))
    counted = Counted(judged, table, source, counts)
    counted.frame = counted.frame.filter(F.col("_reason").isNull()).drop("_reason")
    return counted


def text_of(key: Sequence[str]) -> Column:
    """A key as text for people, its parts told apart."""
    return F.concat_ws(" / ", *[F.col(c).cast("string") for c in key])


def with_flags(frame: DataFrame, flags: Mapping[Rule, Column]) -> DataFrame:
    """The frame with rules added to its ``flags`` where their condition holds, sorted by name."""
    return frame.withColumn("flags", merged("flags", named(flags)))


def look_up(frame: DataFrame, other: DataFrame, on: Sequence[str], found: str) -> DataFrame:
    """A left join on columns of the same names that also says whether there was a match.

    ``other`` must have one row per key, so the grain of ``frame`` stays.
    """
    marked = other.withColumn(found, F.lit(True))
    joined = frame.join(marked, list(on), "left")
    return joined.withColumn(found, F.coalesce(found, F.lit(False)))

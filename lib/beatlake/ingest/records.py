"""Judged records to typed bronze rows and quarantined records, by a file's contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from beatlake.ingest.csv import SPLIT_BYTES, CsvLimits, FileSurvey, Split, scan
from beatlake.ingest.values import Column, Judge
from beatlake.quality.checks import CHECKS
from beatlake.quality.contract import SHAPES, Contract
from beatlake.quality.flags import named
from beatlake.quality.rules import Rule


@dataclass(frozen=True)
class Judged:
    """The records of a file with a verdict each: `bronze` and `quarantine` have every row once.

    ``frame`` has the contract's columns, typed, what `beatlake.ingest.values.Judge` says of the
    record, and ``source_file``.
    """

    frame: DataFrame
    contract: Contract

    def bronze(self) -> DataFrame:
        """The good records as typed rows with flags."""
        types = {name: column.type for name, column in self.contract.columns.items()}
        rules = [Rule[rule.upper()] for rule in self.contract.checks]
        broken = named({rule: CHECKS[rule](types) for rule in rules})
        return self.frame.filter(~F.col("_bad")).select(
            *types,
            F.concat(broken, "_warned").alias("flags"),
            "source_file",
            "byte_offset",
            "byte_length",
        )

    def quarantine(self) -> DataFrame:
        """The other records whole, with every reason."""
        return self.frame.filter("_bad").select(
            "raw_record",
            F.col("_reasons").alias("reasons"),
            "source_file",
            "byte_offset",
            "byte_length",
        )


def judge_of(contract: Contract) -> Judge:
    """What judges the records of a file."""
    return Judge(
        [
            Column(
                name=name,
                type=column.type,
                required=column.required,
                shape=None if column.shape is None else SHAPES[column.shape],
                min=column.min,
                max=column.max,
                allowed=column.allowed,
                severity=column.severity.value,
            )
            for name, column in contract.columns.items()
        ]
    )


def judge(
    spark: SparkSession,
    survey: FileSurvey,
    contract: Contract,
    limits: CsvLimits,
    *,
    splits: Sequence[Split] | None = None,
    split_bytes: int = SPLIT_BYTES,
) -> Judged:
    """Read a file, type every value and decide which records are set aside.

    Args:
        spark: a session.
        survey: the surveyed file.
        contract: its contract.
        limits: those of the survey.
        splits: the parts of the file to read, all of it unless given.
        split_bytes: how much a task reads.
    """
    read = scan(
        spark,
        survey,
        list(contract.columns),
        limits,
        convert=judge_of(contract),
        splits=splits,
        split_bytes=split_bytes,
    )
    names = F.array(*[F.lit(part.part.name) for part in survey.parts])
    return Judged(read.withColumn("source_file", names[F.col("part_index")]), contract)

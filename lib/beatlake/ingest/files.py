"""A CSV file to the data files of its bronze and quarantine tables, in one pass.

Workers read, judge and write; what comes back to the driver is which files they wrote and what
they counted. Nothing of it is in a table before the driver has committed it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from beatlake.datafiles import DataFileWriter, Target, Written
from beatlake.ingest.csv import CsvLimits, FileSurvey, scan
from beatlake.ingest.values import Column, Judge
from beatlake.quality.counting import Tally, added_up
from beatlake.quality.rules import Rule

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from beatlake.quality.contract import Contract


@dataclass(frozen=True)
class Ingested:
    """What the workers wrote and counted; the tallies account for every record of the file."""

    bronze: list[Written]
    quarantine: list[Written]
    tallies: list[Tally]


def judge_of(contract: Contract) -> Judge:
    """What judges the records of a file; it is pickled."""
    # Workers import this module, and need not have what reads contracts.
    from beatlake.quality.contract import SHAPES

    columns = [
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
    return Judge(
        contract.file, columns, [Rule[rule.upper()] for rule in contract.checks], contract.key
    )


def ingest(
    spark: SparkSession,
    survey: FileSurvey,
    contract: Contract,
    limits: CsvLimits,
    bronze: Target,
    quarantine: Target,
    split_bytes: int,
) -> Ingested:
    """Read a file, type every value, decide which records are set aside, and write both kinds.

    Args:
        spark: a session.
        survey: the surveyed file.
        contract: its contract.
        limits: those of the survey.
        bronze: where the good records go.
        quarantine: where those that are set aside go.
        split_bytes: how much a task reads.
    """
    names = tuple(part.part.name for part in survey.parts)
    work = _Work(judge_of(contract), names, bronze, quarantine)
    said = scan(spark, survey, list(contract.columns), limits, work, split_bytes=split_bytes)
    answers = [json.loads(answer) for answer in said]
    return Ingested(
        bronze=[Written(*file) for answer in answers for file in answer["bronze"]],
        quarantine=[Written(*file) for answer in answers for file in answer["quarantine"]],
        tallies=added_up(Tally(*tally) for answer in answers for tally in answer["tallies"]),
    )


class _Work:
    """What a worker does with a split. A class, so that workers import its code."""

    def __init__(
        self, judge: Judge, sources: Sequence[str], bronze: Target, quarantine: Target
    ) -> None:
        """For a file whose parts have these names."""
        self._judge, self._sources = judge, tuple(sources)
        self._bronze, self._quarantine = bronze, quarantine

    def __call__(self, part_index: int, batches: Iterator[pa.RecordBatch]) -> str:
        tallies: list[Tally] = []
        with DataFileWriter(self._bronze) as good, DataFileWriter(self._quarantine) as bad:
            for batch in batches:
                judgement = self._judge(batch, self._sources[part_index])
                good.add(judgement.good)
                bad.add(judgement.bad)
                tallies += judgement.tallies
            answer = {
                "bronze": [astuple(file) for file in good.finish()],
                "quarantine": [astuple(file) for file in bad.finish()],
                "tallies": [astuple(tally) for tally in added_up(tallies)],
            }
        return json.dumps(answer)

"""Raw text records to typed bronze rows and quarantined records, by a file's contract."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from beatlake.quality.checks import CHECKS
from beatlake.quality.contract import SHAPES, ColumnContract, Contract, Severity
from beatlake.quality.flags import named, present
from beatlake.quality.rules import Rule

#: Characters of an offending value that a reason keeps.
SHOWN_VALUE = 100
_REASON = "struct<rule:string,severity:string,column:string,value:string>"
# What a cast would take besides is not data but damage: `+1`, ` 1 `, `12f`, `NaN`, `2021-1-1`,
# `2021-01-01 and more`, zones, and times without a day, which become today's. Java's `$` would let
# a line break pass.
_NOTATION = {
    "double": r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\z",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\z",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?\z",
}
_DIGITS, _MINUS = (ord("0"), ord("9")), ord("-")


def typed(text: Column, kind: str) -> Column:
    """A text value as ``kind``; null when it is not written the one way PostgreSQL exports it."""
    if kind == "string":
        return text
    if kind == "boolean":
        return F.when(text == "t", True).when(text == "f", False)
    if kind in ("int", "bigint"):
        # Of what a cast takes for a whole number, only `+1` and ` 1 ` begin or end otherwise.
        first, last = F.ascii(text), F.ascii(F.right(text, F.lit(1)))
        written = (first.between(*_DIGITS) | (first == _MINUS)) & last.between(*_DIGITS)
    else:
        written = text.rlike(_NOTATION[kind])
    return F.when(written, text.try_cast(kind))


def broken_rule(column: ColumnContract, text: Column, value: Column) -> Column:
    """Null when the value is fine, else the name of the rule it breaks.

    Args:
        column: what the column promises.
        text: the value as read.
        value: the value as typed.
    """
    broken = F.when(text.isNull(), F.lit(Rule.MISSING_VALUE.value) if column.required else None)
    broken = broken.when(value.isNull(), Rule.WRONG_TYPE.value)
    if column.shape is not None:
        broken = broken.when(~value.rlike(SHAPES[column.shape]), Rule.WRONG_SHAPE.value)
    if column.min is not None:
        broken = broken.when(value < column.min, Rule.OUT_OF_RANGE.value)
    if column.max is not None:
        broken = broken.when(value > column.max, Rule.OUT_OF_RANGE.value)
    if column.allowed is not None:
        broken = broken.when(~value.isin(*column.allowed), Rule.NOT_ALLOWED.value)
    return broken


def postgres_csv(columns: list[str]) -> Column:
    """A record's text as PostgreSQL's COPY writes it: null is empty, quotes only where needed."""
    fields = [
        F.when(F.col(c).isNull(), "")
        .when(
            (F.col(c) == "") | F.col(c).rlike('[",\r\n]'),
            F.concat(F.lit('"'), F.replace(F.col(c), F.lit('"'), F.lit('""')), F.lit('"')),
        )
        .otherwise(F.col(c))
        for c in columns
    ]
    return F.concat_ws(",", *fields)


@dataclass(frozen=True)
class Judged:
    """The records of a file with a verdict each.

    ``frame`` has the raw text columns, ``_typed`` (struct of typed values) and ``_bad`` (whether
    the record is set aside); no row is lost between it and `bronze` plus `quarantine`.
    """

    frame: DataFrame
    contract: Contract

    def bronze(self) -> DataFrame:
        """The good records as typed rows with flags."""
        kept = self.frame.filter(~F.col("_bad")).select(
            "_typed.*", "_warned", "source_file", "byte_offset", "byte_length"
        )
        types = {name: column.type for name, column in self.contract.columns.items()}
        rules = [Rule[rule.upper()] for rule in self.contract.checks]
        listed = named({rule: CHECKS[rule](types) for rule in rules})
        return kept.withColumn("flags", F.concat(listed, F.col("_warned"))).drop("_warned")

    def quarantine(self) -> DataFrame:
        """The other records whole, with every reason."""
        names = list(self.contract.columns)
        by_reader = F.struct(
            F.col("defect").alias("rule"),
            F.lit(Severity.ERROR.value).alias("severity"),
            F.lit(None).cast("string").alias("column"),
            F.lit(None).cast("string").alias("value"),
        )
        by_value = F.array_compact(F.array(*self._reasons()))
        return self.frame.filter(F.col("_bad")).select(
            F.coalesce("raw_record", postgres_csv(names)).alias("raw_record"),
            F.when(F.col("defect").isNotNull(), F.array(by_reader))
            .otherwise(by_value)
            .cast(f"array<{_REASON}>")
            .alias("reasons"),
            "source_file",
            "byte_offset",
            "byte_length",
        )

    def _reasons(self) -> list[Column]:
        return [
            F.when(
                broken.isNotNull(),
                F.struct(
                    broken.alias("rule"),
                    F.lit(column.severity.value).alias("severity"),
                    F.lit(name).alias("column"),
                    F.substring(name, 1, SHOWN_VALUE).alias("value"),
                ),
            )
            for name, column, broken in _broken_rules(self.contract)
        ]


def _broken_rules(contract: Contract) -> list[tuple[str, ColumnContract, Column]]:
    return [
        (name, column, broken_rule(column, F.col(name), F.col(f"_typed.{name}")))
        for name, column in contract.columns.items()
    ]


def judge(raw: DataFrame, contract: Contract) -> Judged:
    """Type every record and decide which are set aside.

    Args:
        raw: one row per physical record: the contract's columns as text, ``defect`` and
            ``raw_record`` of records that the reader could not take apart, and provenance.
        contract: the file's contract.
    """
    values = [typed(F.col(name), c.type).alias(name) for name, c in contract.columns.items()]
    frame = raw.withColumn("_typed", F.struct(*values))
    fatal, mild = [F.col("defect").isNotNull()], []
    for _, column, broken in _broken_rules(contract):
        if column.severity is Severity.ERROR:
            fatal.append(broken.isNotNull())
        else:
            mild.append(broken)
    warned = present(mild)
    frame = frame.withColumn("_bad", reduce(or_, fatal)).withColumn("_warned", warned)
    return Judged(frame, contract)

"""Bronze and quarantine: one table of each kind per input file, derived from its contract."""

from __future__ import annotations

from beatlake.quality.contract import Contract, contracts
from beatlake.tables.spec import Column, Table

PROVENANCE = (
    Column("source_file", "string", "Input file, relative to the input directory.", False),
    Column(
        "byte_offset",
        "bigint",
        "First byte of the record in the file (uncompressed); with the file, the record's id.",
        False,
        "bytes",
    ),
    Column("byte_length", "int", "Length of the record with its line end.", False, "bytes"),
)

FLAGS = Column(
    "flags",
    "array<string>",
    "Names of the rules that the row breaks without being set aside; empty for a clean row.",
    False,
)

REASONS = Column(
    "reasons",
    "array<struct<rule:string,severity:string,column:string,value:string>>",
    "Why the record was set aside: rule, severity, column and the offending value, cut short.",
    False,
)


def bronze(contract: Contract) -> Table:
    """All columns of the file, typed, with flags and provenance; every good record is a row."""
    columns = tuple(
        Column(name, c.type, c.comment, not c.required, c.unit)
        for name, c in contract.columns.items()
    )
    return Table(
        name=f"bronze.{contract.file}",
        comment=f"{contract.comment} One row per good record of {contract.file}, as published.",
        columns=(*columns, FLAGS, *PROVENANCE),
    )


def quarantine(contract: Contract) -> Table:
    """The records of the file that were set aside, whole, with the reasons."""
    return Table(
        name=f"quarantine.{contract.file}",
        comment=f"Records of {contract.file} that were set aside, with the reasons.",
        columns=(
            Column(
                "raw_record",
                "string",
                "The record's text; bytes that are not UTF-8 stand as \\xHH, a record over 8 KiB"
                " is cut. Well-formed records are written as PostgreSQL writes them.",
                False,
            ),
            REASONS,
            *PROVENANCE,
        ),
        key=("source_file", "byte_offset"),
    )


def tables() -> list[Table]:
    """Every bronze and quarantine table."""
    listed = contracts().values()
    return [bronze(c) for c in listed] + [quarantine(c) for c in listed]

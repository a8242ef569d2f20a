"""Ops: what runs did, counted and found, and which versions were published together."""

from __future__ import annotations

from beatlake.tables.spec import Column, Table

_RUN = Column("run_id", "string", "Identifier of the run.", False)

RUNS = Table(
    name="ops.runs",
    comment="One row per run that had something to do, failed and killed ones too.",
    columns=(
        _RUN,
        Column("identity", "string", "Hash of input, settings and code that decide the content."),
        Column("started_at", "timestamp", "When the run started.", False, "UTC"),
        Column(
            "seconds",
            "double",
            "How long it took; of a killed run, until it was last seen alive.",
            False,
            "seconds",
        ),
        Column(
            "status",
            "string",
            "done, failed, refused (by a gate), or killed: it left no record itself, and the next"
            " run left this one.",
            False,
        ),
        Column("exit_code", "int", "Exit code of the process; null when killed."),
        Column("reason", "string", "Why it did not finish; null when done."),
        Column("input_directory", "string", "Directory or address that was read.", False),
        Column("absent_files", "array<string>", "Optional files that were not there.", False),
        Column("settings", "string", "Settings in force, as JSON.", False),
        Column("code_version", "string", "Version and content hash of the code.", False),
        Column(
            "stages",
            "int",
            "Stages that it carried out, which ops.stages has; null in records of before 0.1.0.",
        ),
        Column(
            "spark_version",
            "string",
            "Version of Spark; null when killed, or when Spark did not start.",
        ),
        Column("release", "bigint", "The release it published; null for none."),
    ),
    key=("run_id",),
)

STAGES = Table(
    name="ops.stages",
    comment="One row per stage that a run carried out, with what it wrote and counted.",
    columns=(
        _RUN,
        Column("stage", "string", "Name of the stage.", False),
        Column("stage_key", "string", "Hash of everything that decides its outputs.", False),
        Column("started_at", "timestamp", "When it started.", False, "UTC"),
        Column("seconds", "double", "How long it took.", False, "seconds"),
        Column(
            "outputs",
            "array<struct<table:string,version:bigint,rows:bigint>>",
            "Tables written, at the versions that the commits returned.",
            False,
        ),
        Column(
            "tallies",
            "array<struct<table:string,source:string,outcome:string,rows:bigint,rule:string,"
            "example:string>>",
            "Rows by outcome (kept, merged, set_aside, flagged), counted in the same pass.",
            False,
        ),
    ),
    key=("run_id", "stage"),
)

LEDGER = Table(
    name="ops.ledger",
    comment="Where every row of every source went: kept, merged and set aside add up to rows in.",
    columns=(
        _RUN,
        Column("table", "string", "Table that the rows were meant for.", False),
        Column("source", "string", "File or table that the rows came from.", False),
        Column("outcome", "string", "kept, merged (into a key's row) or set_aside.", False),
        Column("rule", "string", "Why rows were merged or set aside; null when kept."),
        Column("rows", "bigint", "Number of rows.", False, "rows"),
    ),
)

QUALITY = Table(
    name="ops.quality",
    comment="How many rows break each rule, set aside or flagged, with one example.",
    columns=(
        _RUN,
        Column("table", "string", "Table or file that the rows belong to.", False),
        Column("rule", "string", "Name of the rule.", False),
        Column("severity", "string", "error: set aside; warn: kept and flagged.", False),
        Column("rows", "bigint", "Number of rows that break it.", False, "rows"),
        Column("example", "string", "Smallest key among them, or the place of a record."),
        Column("meaning", "string", "The rule in a sentence.", False),
    ),
)

RELEASES = Table(
    name="ops.releases",
    comment="Published sets of table versions; the row of a release is the act of publishing it.",
    columns=(
        Column("release", "bigint", "Number of the release, counting from 1.", False),
        Column("kind", "string", "run or rollback.", False),
        _RUN,
        Column("identity", "string", "Hash of input, settings and code of the content.", False),
        Column("published_at", "timestamp", "When it was published.", False, "UTC"),
        Column(
            "manifest", "string", "The release as JSON: tables, versions, files, inputs.", False
        ),
    ),
    key=("release",),
)

TABLES = (RUNS, STAGES, LEDGER, QUALITY, RELEASES)

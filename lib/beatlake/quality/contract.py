"""The contract of each input file: columns, types, ranges, keys, and what is fatal.

A contract is data (`conf/contracts/FILE.yaml`); this module reads and checks it. It imports no
Spark, so that the command line can name missing files or describe tables at once.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from string import ascii_letters, ascii_uppercase, digits
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from beatlake.quality.rules import Rule
from beatlake.resources import conf_path

#: Stands in limits for all records that were set aside on the way to bronze, whatever the rule.
SET_ASIDE = "set_aside"

#: The length and the characters of each kind of identifier.
SHAPES = {
    "isrc": (12, ascii_uppercase + digits),
    "spotify_id": (22, ascii_letters + digits),
}


class Severity(str, Enum):
    """``error`` sets the record aside; ``warn`` keeps the row and flags it."""

    ERROR = "error"
    WARN = "warn"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnContract(_Strict):
    """What one column promises; ``severity`` says what happens to a row that breaks it.

    With ``warn``, a value that cannot be read as its type becomes null, any other offending value
    stays as it is, and the row is flagged.
    """

    type: Literal["string", "int", "bigint", "double", "boolean", "date", "timestamp"]
    comment: str
    unit: str | None = None
    required: bool = False
    shape: Literal["isrc", "spotify_id"] | None = None
    min: float | None = None
    max: float | None = None
    allowed: tuple[str, ...] | None = None
    severity: Severity = Severity.ERROR


class Limit(_Strict):
    """How many records of a file may break a rule before nothing is published.

    ``rows`` may whatever their share, and ``share`` of all records whatever their number.
    """

    rows: int = Field(ge=0)
    share: float = Field(ge=0, le=1)

    def allows(self, rows: int, total: int) -> bool:
        """Whether ``rows`` of ``total`` records are few enough.

        >>> limit = Limit(rows=10, share=0.01)
        >>> limit.allows(10, 10), limit.allows(11, 1_000), limit.allows(11, 1_100)
        (True, False, True)
        """
        return rows <= self.rows or rows <= self.share * total


#: How many orphans of each foreign key a file may have where its contract does not say.
ORPHANS = Limit(rows=100, share=0.05)


class ForeignKey(_Strict):
    """Columns that name a row of another file, and the flag of a row whose target is absent."""

    columns: tuple[str, ...]
    references: str
    flag: str


class Contract(_Strict):
    """One input file: its columns in the publisher's order, its key and its checks."""

    file: str
    required: bool
    comment: str
    key: tuple[str, ...]
    columns: dict[str, ColumnContract]
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: dict[str, Severity] = Field(default_factory=dict)
    limits: dict[str, Limit] = Field(
        default_factory=dict,
        description="By rule, or `set_aside` for all records set aside on the way to bronze.",
    )

    def limit_by_rule(self) -> dict[str, Limit]:
        """The limits stated and those that hold without: of records set aside and of orphans."""
        orphans = {key.flag: ORPHANS for key in self.foreign_keys}
        return {SET_ASIDE: Limit(rows=100, share=0.01), **orphans, **self.limits}

    @model_validator(mode="after")
    def _known_names(self) -> Contract:
        named = {*self.key, *(c for fk in self.foreign_keys for c in fk.columns)}
        unknown = named - self.columns.keys()
        if unknown:
            raise ValueError(f"{self.file}: unknown columns {sorted(unknown)}")
        rules = {*self.checks, *self.limits, *(key.flag for key in self.foreign_keys)}
        unknown = rules - {*(rule.value for rule in Rule), SET_ASIDE}
        if unknown:
            raise ValueError(f"{self.file}: unknown rules {sorted(unknown)}")
        return self


@cache
def contracts() -> dict[str, Contract]:
    """Every input file's contract by file name, required files first, then by name."""
    found = [
        Contract.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        for path in conf_path("contracts").iterdir()
        if path.name.endswith(".yaml")
    ]
    return {c.file: c for c in sorted(found, key=lambda c: (not c.required, c.file))}

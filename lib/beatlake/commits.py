"""What a commit says of its origin and of its files, and how a writer finds its own again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from beatlake.tables.spec import Table

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from beatlake.datafiles import Written

#: How far back the commit of a write is looked for among later commits of the same table.
_HISTORY = 20
#: The application under which a commit names its transaction (`Lake.record`).
APPLICATION = "beatlake"


class LakeError(Exception):
    """A table or file of the lake is not what the caller was promised."""


class OvertakenError(LakeError):
    """Another writer committed first."""


@dataclass(frozen=True)
class Stamp:
    """What a commit says about its origin, in Delta's user metadata."""

    run_id: str
    stage: str
    stage_key: str
    code_version: str
    inputs: Mapping[str, int] = field(default_factory=dict)

    def text(self, commit_id: str) -> str:
        """The stamp as JSON, with an id by which the writer finds its own commit again."""
        return json.dumps({**self.__dict__, "inputs": dict(self.inputs), "commit_id": commit_id})


@dataclass(frozen=True)
class Committed:
    """A table's version as its own commit returned it, and the rows that commit wrote."""

    table: str
    version: int
    rows: int


@contextmanager
def naming_another_commit(table: Table) -> Iterator[None]:
    """Say it as an `OvertakenError` where delta-rs finds another commit in the way."""
    from deltalake.exceptions import CommitFailedError

    try:
        yield
    except CommitFailedError as error:
        raise OvertakenError(f"Another commit to {table.name} came first.") from error


def committed_as(table: str, opened: DeltaTable, commit_id: str) -> Committed:
    """The commit that carries an id, and its version.

    Raises:
        LakeError: it is not among the newest commits.
    """
    # The newest first: a table's creation carries the same id as the rows that follow it.
    for commit in opened.history(_HISTORY):
        if user_metadata(commit).get("commit_id") == commit_id:
            metrics = commit.get("operationMetrics", {})
            rows = metrics.get("numOutputRows", metrics.get("num_added_rows", 0))
            return Committed(table, int(commit["version"]), int(rows))
    raise LakeError(
        f"The write to {table} is not among its last {_HISTORY} commits: it was skipped or"
        " overtaken. Run again."
    )


def stats(table: Table, file: Written) -> str:
    """What a commit says of a file, so that readers can pass over it."""
    found: dict[str, Any] = {"numRecords": file.rows}
    if table.bucket_by is not None and file.least is not None:
        found["minValues"] = {table.bucket_by: file.least}
        found["maxValues"] = {table.bucket_by: file.greatest}
    return json.dumps(found)


def user_metadata(commit: Mapping[str, Any]) -> dict[str, Any]:
    """The stamp in a commit's information; empty when there is none that beatlake wrote."""
    try:
        found = json.loads(commit.get("userMetadata") or "{}")
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}

"""Records of fits on folds, so that what was fitted before a kill is not fitted again.

A record is a file of its own, named by the hash of everything that its figures follow from, and
comes to be by one rename. It is taken only if it is whole and of that origin; another is fitted
anew. The directory may be removed at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from beatlake import releases


class Outcome(BaseModel):
    """What a fit on a fold gave.

    ``value`` is the task's metric on the rows that judge, None where none do; ``importances`` are
    what the model makes of each feature, where anything asked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    value: float | None
    importances: dict[str, float] = {}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    origin: dict[str, Any]
    outcome: Outcome
    sha256: str


@dataclass(frozen=True)
class Records:
    """The records of a task's fits.

    Args:
        folder: where they are; it need not be there yet. None keeps none.
        origin: what all of them follow from: tables, code, libraries.
        say: is told of records that are not taken.
    """

    folder: Path | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _: None

    def find(self, origin: Mapping[str, Any]) -> Outcome | None:
        """The outcome of a fit of this origin; None where there is no good record of one."""
        if self.folder is None:
            return None
        whole = self._whole(origin)
        path = self.folder / _name(whole)
        try:
            record = _Record.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            self.say(f"The record {path.name} is damaged: its fit is made again.")
            return None
        if record.origin != whole or record.sha256 != _hash(whole, record.outcome):
            self.say(f"The record {path.name} is not of this fit, which is made again.")
            return None
        return record.outcome

    def keep(self, origin: Mapping[str, Any], outcome: Outcome) -> None:
        """Write a record that outlives this process and the machine's next stop."""
        if self.folder is None:
            return
        whole = self._whole(origin)
        record = _Record(origin=whole, outcome=outcome, sha256=_hash(whole, outcome))
        releases.replace(self.folder / _name(whole), record.model_dump_json(indent=1))
        # The rename itself is durable once the directory is.
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _whole(self, origin: Mapping[str, Any]) -> dict[str, Any]:
        """All that an outcome follows from, as JSON gives it back."""
        whole: dict[str, Any] = json.loads(json.dumps({**self.origin, **origin}))
        return whole


def _name(origin: Mapping[str, Any]) -> str:
    return f"{hashlib.sha256(_text(origin).encode()).hexdigest()}.json"


def _hash(origin: Mapping[str, Any], outcome: Outcome) -> str:
    return hashlib.sha256(_text([origin, outcome.model_dump()]).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

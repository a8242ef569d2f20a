"""What the reader and the contracts make of the files in a directory, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from damage import MAX_BYTES, MAX_LINES
from mutations import Edit, GoodFile, moved

from beatlake.config import IngestSettings
from beatlake.ingest.csv import FileSurvey, batch_schema, read_split, splits
from beatlake.ingest.files import judge_of
from beatlake.quality.contract import contracts
from beatlake.runs.inputs import discover

SETTINGS = IngestSettings(max_record_bytes=MAX_BYTES, max_record_lines=MAX_LINES)


@dataclass
class Verdict:
    """One part: the records that were counted before any was read, and what became of them.

    ``kept`` has each bronze row's values and flags, ``aside`` each quarantined record's rules, by
    the offset of the record; ``ends`` is where the record ends.
    """

    physical: int
    notes: frozenset[str]
    kept: dict[int, tuple[tuple[Any, ...], frozenset[str]]] = field(default_factory=dict)
    aside: dict[int, list[str]] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)

    @property
    def flags(self) -> Counter[str]:
        """How many kept rows have each flag."""
        return Counter(flag for _, flags in self.kept.values() for flag in flags)

    @property
    def reasons(self) -> dict[str, int]:
        """The records set aside by their first reason, as the ledger counts them."""
        return dict(Counter(rules[0] for rules in self.aside.values()))

    def check_conserved(self) -> None:
        """Every physical record is in bronze or in quarantine, once."""
        assert self.physical == len(self.kept) + len(self.aside)
        assert self.ends.keys() == self.kept.keys() | self.aside.keys()


def surveyed(root: Path, contract: str) -> FileSurvey:
    """The survey of a file, found as a run finds it; the required files must be there."""
    return discover(str(root), SETTINGS).survey(contract)


def records(
    survey: FileSurvey, contract: str, split_bytes: int, part: int | None = None
) -> pa.Table:
    """Every record, or those of a part, as text, with place and what the reader says of it."""
    columns = list(contracts()[contract].columns)
    limits = survey.parts[0].limits
    batches = (
        batch
        for split in splits(survey, split_bytes)
        if part in (None, split.part_index)
        for batch in read_split(survey.parts[split.part_index], split, columns, limits)
    )
    return pa.Table.from_batches(batches, batch_schema(columns))


def verdicts(root: Path, contract: str) -> dict[str, Verdict]:
    """The verdict on each part of a file by the part's name."""
    survey = surveyed(root, contract)
    judge = judge_of(contracts()[contract])
    found: dict[str, Verdict] = {}
    for index, part in enumerate(survey.parts):
        verdict = Verdict(part.records, frozenset(note.value for note in part.notes))
        found[part.part.name] = verdict
        seen: Counter[int] = Counter()
        for batch in records(survey, contract, 1 << 26, index).to_batches():
            good, bad, _ = judge(batch, part.part.name)
            for row in good.to_pylist():
                values = tuple(row[column] for column in contracts()[contract].columns)
                verdict.kept[row["byte_offset"]] = values, frozenset(row["flags"])
            for row in bad.to_pylist():
                rules = [reason["rule"] for reason in row["reasons"]]
                verdict.aside[row["byte_offset"]] = rules
            for row in [*good.to_pylist(), *bad.to_pylist()]:
                verdict.ends[row["byte_offset"]] = row["byte_offset"] + row["byte_length"]
                seen[row["byte_offset"]] += 1
        assert set(seen.values()) <= {1}
    return found


def swallowed(file: GoodFile, edits: list[Edit], verdict: Verdict) -> set[int]:
    """Untouched rows that lie inside a record that begins in a touched one.

    Two stray quotes can bound a sound record, as the reader's documentation says; nothing can
    tell it from one that was meant.
    """
    places = {
        row: moved(file.record(row)[0], edits)
        for row in set(range(len(file.rows))) - file.touched(edits)
    }
    inside = {
        row
        for row, offset in places.items()
        if any(start < offset < end for start, end in verdict.ends.items())
    }
    return inside


def check_untouched(
    file: GoodFile, edits: list[Edit], clean: Verdict, verdict: Verdict, excused: Iterable[int] = ()
) -> set[int]:
    """Rows outside the damage are kept with their values and flags; gives where they are now."""
    untouched = set(range(len(file.rows))) - file.touched(edits) - set(excused)
    places = {row: moved(file.record(row)[0], edits) for row in untouched}
    for row, place in places.items():
        assert verdict.kept.get(place) == clean.kept[file.record(row)[0]], f"row {row}"
    return set(places.values())

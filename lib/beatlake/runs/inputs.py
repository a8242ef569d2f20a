"""The input files of a run: finding them, knowing them again, surveying them once."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from beatlake.config import IngestSettings
from beatlake.errors import InputError
from beatlake.ingest.csv import CsvInputError, CsvLimits, FileSurvey, Part, find_parts, survey
from beatlake.quality.contract import contracts
from beatlake.redaction import redact
from beatlake.releases import InputFile, InputPart, Release


@dataclass
class RunInputs:
    """The files under one directory or address, by contract."""

    directory: str
    settings: IngestSettings
    parts: Mapping[str, tuple[Part, ...]]
    _surveys: dict[str, FileSurvey] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def limits(self) -> CsvLimits:
        """The limits that records are read with."""
        return CsvLimits(self.settings.max_record_bytes, self.settings.max_record_lines)

    @property
    def absent(self) -> list[str]:
        """Optional files that are not there."""
        return [name for name, parts in self.parts.items() if not parts]

    def survey(self, file: str) -> FileSurvey:
        """Where the records of a present file begin, found in one pass over it, once.

        Raises:
            InputError: the file cannot be read as what its contract says.
        """
        with self._lock:
            if file not in self._surveys:
                columns = list(contracts()[file].columns)
                threads = self.settings.survey_threads
                try:
                    found = survey(self.parts[file], columns, self.limits, threads)
                except CsvInputError as error:
                    raise InputError(str(error)) from error
                self._surveys[file] = found
            return self._surveys[file]

    def surveyed(self, file: str) -> FileSurvey | None:
        """The survey of a file, if this run needed one."""
        return self._surveys.get(file)

    @property
    def _place(self) -> str:
        local = "://" not in self.directory
        return redact(os.path.realpath(self.directory) if local else self.directory)

    def _seen(self, file: str) -> list[InputPart]:
        return [
            InputPart(path=p.name, size=p.stored_bytes, modified_ns=p.modified_ns or 0)
            for p in self.parts[file]
        ]

    def _known(self, file: str, before: Release | None) -> InputFile | None:
        """What a release says of a file, if it saw the very same."""
        known = before.inputs.get(file) if before is not None else None
        seen = self._seen(file)
        if known is None or not all(part.modified_ns for part in seen):
            return None
        return known if (known.directory, known.parts) == (self._place, seen) else None

    def bytes_to_survey(self, before: Release | None) -> int:
        """How much of the files, as they are stored, no release has seen."""
        new = [parts for name, parts in self.parts.items() if self._known(name, before) is None]
        return sum(part.stored_bytes for parts in new for part in parts)

    def described(self, before: Release | None) -> dict[str, InputFile]:
        """Each present file with its content hash.

        A file whose parts have the place, names, sizes and times that a release saw is taken to
        have that release's content; the others are surveyed. The place counts because archives
        keep times to the second, and files of two drops may have been written in the same one.
        """
        found = {}
        problems = []
        for name in self.parts:
            if (known := self._known(name, before)) is not None:
                found[name] = known
                continue
            if not self.parts[name]:
                continue
            try:
                surveyed = self.survey(name)
            except InputError as error:
                problems.append(str(error))
                continue
            found[name] = InputFile(
                directory=self._place,
                parts=self._seen(name),
                sha256=surveyed.sha256,
                records=surveyed.records,
            )
        if problems:
            raise InputError("\n".join(problems))
        return found


def discover(directory: str, settings: IngestSettings) -> RunInputs:
    """The input files of a directory or address.

    Raises:
        InputError: naming every required file that is missing, or files that are not usable.
    """
    parts: dict[str, tuple[Part, ...]] = {}
    problems = []
    for name in contracts():
        try:
            parts[name] = find_parts(directory, name)
        except CsvInputError as error:
            problems.append(str(error))
    missing = [
        f"{name}.csv" for name, c in contracts().items() if c.required and not parts.get(name, True)
    ]
    if missing:
        problems.append(
            f"Required files are missing from {redact(directory)}: {', '.join(missing)}."
            " Put them there, or point --input at the directory that holds them."
        )
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))
    return RunInputs(directory, settings, parts)

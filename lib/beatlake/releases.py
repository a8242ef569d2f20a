"""Releases: which version of every table belongs together, as files that need no JVM to read.

`ops.releases` is where a release is made (one commit). On a path lake ``releases/N.json`` and
``releases/current.json`` are derived from that commit and replaced by rename, so that any tool can
find the versions and files of a release.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from beatlake.failpoints import committing
from beatlake.lake import DataFile, Lake

CURRENT = "current.json"
_NUMBER = re.compile(r"[1-9][0-9]*", re.ASCII)


class NoReleaseError(Exception):
    """The lake has no such release; the message says what to do."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReleasedTable(_Frozen):
    """One table of a release: where it is, its pinned version, and how it came about."""

    path: str
    version: int
    rows: int
    stage: str
    stage_key: str
    run_id: str
    files: list[DataFile]


class InputPart(_Frozen):
    """One input file as a run saw it; ``path`` is relative to the input directory."""

    path: str
    size: int
    modified_ns: int


class InputFile(_Frozen):
    """One input of the run: its parts, the hash of their content, and where they were.

    Releases from before ``directory`` was noted have an empty one.
    """

    parts: list[InputPart]
    sha256: str
    records: int
    directory: str = ""


class Release(_Frozen):
    """A published set of table versions.

    ``identity`` is the hash of everything that decides the content (input, settings, code): a run
    of the same identity has nothing to do. ``inputs`` lists the files that were read, by name,
    ``figures`` the key figures that the next release is compared with, ``accepted`` the drift rules
    that were broken and accepted by name.
    """

    release: int
    kind: str
    run_id: str
    identity: str
    published_at: str
    code_version: str
    inputs: dict[str, InputFile]
    absent: list[str]
    settings: dict[str, object]
    tables: dict[str, ReleasedTable]
    rolled_back_to: int | None = None
    figures: dict[str, float | None] = {}
    accepted: list[str] = []


def directory(lake: Lake) -> Path:
    """Where the release files of a path lake are.

    Raises:
        LakeError: a link leads from there out of the lake.
    """
    return lake.inside("releases")


def _file(lake: Lake, name: str) -> Path:
    return lake.inside("releases", name)


def load(lake: Lake, number: int | None = None) -> Release:
    """A release by number, or the newest.

    Raises:
        NoReleaseError: there is none, or not that one.
        LakeError: its file is a link out of the lake.
    """
    listed = numbers(lake)
    if not listed:
        raise NoReleaseError(
            f"{lake.root} holds no release yet. Make one: "
            f"beatlake run --input DIR --lake {lake.root}"
        )
    wanted = listed[-1] if number is None else number
    try:
        text = _file(lake, f"{wanted}.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        there = numbers(lake)
        if number is None and wanted not in there:
            # Since the look a newer one was published, and a clean-up has removed this one.
            return load(lake)
        known = ", ".join(str(n) for n in there)
        raise NoReleaseError(f"There is no release {wanted}; there are: {known}.") from None
    return Release.model_validate_json(text)


def numbers(lake: Lake) -> list[int]:
    """The numbers of all releases, oldest first."""
    found = directory(lake).glob("[0-9]*.json")
    return sorted(int(path.stem) for path in found if _NUMBER.fullmatch(path.stem))


def save(lake: Lake, release: Release) -> None:
    """Write ``N.json``, then ``current.json``, each by rename."""
    replace(directory(lake) / f"{release.release}.json", _text(release))
    point(lake)


def stale(lake: Lake) -> bool:
    """Whether ``current.json`` is not the newest release, because its run was stopped before."""
    listed = numbers(lake)
    try:
        current = Release.model_validate_json(_file(lake, CURRENT).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return bool(listed)
    return listed[-1:] not in ([], [current.release])


def point(lake: Lake) -> None:
    """Make ``current.json`` the newest release, by rename.

    It never stays behind: whoever wrote an older release into it late, having slept, finds the
    newer one and writes that.
    """
    newest = None
    while newest != (seen := numbers(lake)[-1]):
        newest = seen
        replace(directory(lake) / CURRENT, _text(load(lake, newest)))


def _text(release: Release) -> str:
    return json.dumps(release.model_dump(mode="json"), indent=1)


def replace(path: Path, content: str | bytes, place: str | None = None) -> None:
    """Write a file by rename, so that it is always whole.

    Args:
        path: the file.
        content: bytes, or text that is written as UTF-8.
        place: what failpoints call it; its name by default.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        with committing(place or path.name):
            os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def incomplete(lake: Lake, release: Release) -> list[str]:
    """Data files that the release names and the lake no longer has, as ``TABLE: FILE``."""
    return [
        f"{name}: {missing}"
        for name, table in release.tables.items()
        for missing in lake.missing(name, table.files)
    ]

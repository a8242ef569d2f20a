"""From a release to absolute paths inside the lake, and files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beatlake.lake import Lake
from beatlake.reading.errors import ReadingError
from beatlake.releases import ReleasedTable


def data_files(lake: Lake, name: str, table: ReleasedTable) -> list[str]:
    """Absolute paths of the data files of a released table, links resolved.

    A release is a file that anyone may have edited, so nothing it names is read outside the lake.

    Raises:
        LakeError: a path leads out of the lake.
        ReadingError: the rows promise files that are not listed.
    """
    if table.rows and not table.files:
        raise ReadingError(f"The release says {name} has {table.rows} rows but lists no file.")
    return [os.path.realpath(lake.inside(table.path, file.path)) for file in table.files]


def writable_target(lake: Lake, target: Path) -> Path:
    """``target``, when a file can be written there that is no part of the lake.

    Raises:
        ReadingError: it is a directory, its directory is missing, or it lies in the lake.
    """
    found = target.resolve()
    if found.is_dir():
        raise ReadingError(f"{target} is a directory; name a file.")
    if not found.parent.is_dir():
        raise ReadingError(f"There is no directory {found.parent} to write {target.name} to.")
    if found.is_relative_to(lake.root.resolve()):
        raise ReadingError(f"{target} is inside the lake; write it somewhere else.")
    return found


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to, in a directory of its own, that becomes ``target`` when all went well."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        written = Path(scratch) / target.name
        yield written
        with written.open("rb") as stream:
            os.fsync(stream.fileno())
        if target.exists():
            shutil.copymode(target, written)
        written.replace(target)

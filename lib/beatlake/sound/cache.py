"""A folder of fetched files by their SHA-256, and what came of every address that was asked.

``ab/abcd...`` holds the file of that hash, ``records/ab/abcd...json`` what came of the address of
that hash, ``hosts/`` when each host may be asked again. Files come in by rename, so what is there
is whole, and any number of runs may share the folder. Records name hosts at most, no addresses.
Removing ``records`` makes the next run ask for everything.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ValidationError

from beatlake.releases import replace
from beatlake.sound.outcomes import Fetched, Outcome

_SHA256 = re.compile(r"[0-9a-f]{64}")
#: No file takes as long to come in (`PreviewSettings.total_s`): what is older was left by a kill.
_LEFT_AFTER_S = 24 * 3600


class _Record(BaseModel):
    outcome: Outcome
    reason: str | None
    status: int | None
    type_said: str | None
    type_found: str | None
    sha256: str | None
    bytes: int | None
    at: datetime
    final: bool
    max_bytes: int


class Incoming:
    """A file on its way into the cache."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, chunk: bytes) -> None:
        """Add to it."""
        self._stream.write(chunk)
        self._hash.update(chunk)
        self.bytes += len(chunk)

    @property
    def sha256(self) -> str:
        """Of what has been written."""
        return self._hash.hexdigest()


class Cache:
    """The folder; it is made where it is missing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self.hosts = root / "hosts"
        for folder in (self._incoming, self.hosts):
            folder.mkdir(parents=True, exist_ok=True)
        for left in self._incoming.iterdir():
            _remove_if_left(left)

    def path(self, sha256: str) -> Path:
        """Where the file of a hash is, or would be.

        Raises:
            ValueError: it is no SHA-256 in hexadecimal.
        """
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256[:80]!r} is no SHA-256.")
        return self.root / sha256[:2] / sha256

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A file that is in the cache once the block has ended without an error."""
        handle, temporary = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(handle, "wb") as stream:
                incoming = Incoming(stream)
                yield incoming
                stream.flush()
                os.fsync(stream.fileno())
            path = self.path(incoming.sha256)
            path.parent.mkdir(exist_ok=True)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def remembered(self, address: str, max_bytes: int) -> Fetched | None:
        """What came of an address, where asking again would give no other outcome.

        None where it was never asked, its record cannot be read, its file is no longer here or not
        of its size, or its outcome was not final.
        """
        try:
            record = _Record.model_validate_json(self._record(address).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        if record.sha256 is not None and record.outcome == "ok":
            path = self.path(record.sha256)
            stands = path.is_file() and path.stat().st_size == record.bytes
        elif record.outcome == "damaged":
            stands = record.final and record.max_bytes == max_bytes
        else:
            stands = record.final
        if not stands:
            return None
        told = record.model_dump(exclude={"final", "max_bytes", "at"})
        return Fetched(address=address, at=record.at.astimezone(timezone.utc), **told)

    def remember(self, fetched: Fetched, *, final: bool, max_bytes: int) -> None:
        """Keep what came of an address."""
        told = {name: value for name, value in asdict(fetched).items() if name != "address"}
        record = _Record(**told, final=final, max_bytes=max_bytes)
        replace(self._record(fetched.address), record.model_dump_json(), "preview")

    def _record(self, address: str) -> Path:
        name = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()
        return self.root / "records" / name[:2] / f"{name}.json"


def _remove_if_left(path: Path) -> None:
    try:
        if time.time() - path.stat().st_mtime > _LEFT_AFTER_S:
            path.unlink()
    except FileNotFoundError:
        return  # Its run has just ended, or another has removed it.

"""Finding the parts of a named file and opening them, locally or at a remote address.

Everything goes through `pyarrow.fs`, so `s3://`, `gs://`, `abfss://` and `hdfs://` roots are read
by the code that reads a local directory. Limits of remote roots: credentials are those that
pyarrow finds by itself (environment, profile, instance role, or the address); every process that
reads opens the address anew; the bytes travel twice, once for the survey and once for the rows.
"""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

from pyarrow import fs as pafs

from beatlake.ingest.csv.errors import CsvInputError

# What opening and reading can raise for a file that is missing, forbidden, or damaged.
READ_ERRORS = (OSError, EOFError, zlib.error)

_SUFFIXES = (".csv", ".csv.gz")
_KINDS = {pafs.FileType.File: "a file", pafs.FileType.Directory: "a directory"}
# A remote read pays a round trip each time, so it asks for more than it is asked for.
_REMOTE_BUFFER = 16 << 20


@dataclass(frozen=True)
class Part:
    """One stored file. `stored_bytes` and `modified_ns` tell later whether it has changed."""

    root: str
    name: str
    stored_bytes: int
    modified_ns: int | None

    @property
    def gzipped(self) -> bool:
        """Whether the stored bytes are compressed; such a part cannot be split."""
        return self.name.endswith(".gz")

    @property
    def path(self) -> str:
        """Where the part lies, for people: without the credentials that an address may hold."""
        if not is_remote(self.root):
            return str(Path(self.root, self.name))
        return f"{shown_root(self.root).rstrip('/')}/{self.name}"

    def open(self, offset: int = 0) -> IO[bytes]:
        """The part's uncompressed bytes from `offset` on."""
        filesystem, base = _filesystem(self.root)
        path = f"{base}/{self.name}"
        stream: Any
        if self.gzipped:
            stored = filesystem.open_input_stream(path, compression=None)
            stream = gzip.GzipFile(fileobj=stored)
            _discard(stream, offset)
        elif offset == 0 and is_remote(self.root):
            stream = filesystem.open_input_stream(
                path, compression=None, buffer_size=_REMOTE_BUFFER
            )
        else:
            stream = filesystem.open_input_file(path)
            stream.seek(offset)
        opened: IO[bytes] = stream
        return opened

    def changed(self) -> bool:
        """Whether the stored file differs in size or time from when it was found."""
        filesystem, base = _filesystem(self.root)
        info = filesystem.get_file_info(f"{base}/{self.name}")
        return (info.size, info.mtime_ns) != (self.stored_bytes, self.modified_ns)


def is_remote(root: str) -> bool:
    """Whether the root is an address rather than a local directory."""
    return "://" in root


def shown_root(root: str) -> str:
    """The root without user, password and query.

    >>> shown_root("s3://key:secret@bucket/in?region=eu-west-1")
    's3://bucket/in'
    """
    if not is_remote(root):
        return root
    split = urlsplit(root)
    return urlunsplit((split.scheme, split.netloc.rpartition("@")[2], split.path, "", ""))


def find_parts(root: str, name: str) -> tuple[Part, ...]:
    """The parts of the file `name` below `root`, in order; empty where the file is absent.

    A file is `name.csv`, `name.csv.gz`, or a directory `name/` of `*.csv` and `*.csv.gz` parts,
    sorted by name. In a directory, entries that start with `.` or `_` are not data and ignored.

    Raises:
        CsvInputError: the root is missing, more than one form is present, a directory stands
            where a file belongs, or an entry cannot be read, is no data, or leads out of the root.
    """
    if not name or name.startswith(".") or "/" in name or "\\" in name:
        raise ValueError(f"{name!r} is not the name of a file below the root")
    root = root if is_remote(root) else str(Path(root).absolute())
    try:
        filesystem, base = _filesystem(root)
        return _find(filesystem, base, root, name)
    except OSError as error:
        raise CsvInputError(f"{shown_root(root)} cannot be listed: {one_line(error)}") from error


def _find(filesystem: Any, base: str, root: str, name: str) -> tuple[Part, ...]:
    if filesystem.get_file_info(base).type != pafs.FileType.Directory:
        raise CsvInputError(
            f"the input directory {shown_root(root)} does not exist or is not a directory"
        )
    forms = [name + suffix for suffix in _SUFFIXES]
    infos = dict(
        zip(
            [*forms, name],
            filesystem.get_file_info([f"{base}/{form}" for form in [*forms, name]]),
            strict=True,
        )
    )
    # A link whose target is gone counts as present: absent would drop the file without a word.
    present = [
        form
        for form, info in infos.items()
        if info.type != pafs.FileType.NotFound or _is_link(root, form)
    ]
    if len(present) > 1:
        raise CsvInputError(
            f"{name} is present more than once below {shown_root(root)}: {', '.join(present)}; "
            "keep one of them"
        )
    if not present:
        return ()
    if present != [name]:
        return _parts(root, {present[0]: infos[present[0]]})
    _refuse(_entry_problems(root, name, infos[name], pafs.FileType.Directory))
    entries = _entries(filesystem, base, root, name)
    if not entries:
        raise CsvInputError(
            f"the directory {_shown(root, name)} holds no *.csv or *.csv.gz part; "
            "remove it or put the parts there"
        )
    return _parts(root, dict(sorted(entries.items())))


def _entries(filesystem: Any, base: str, root: str, name: str) -> dict[str, Any]:
    """What lies in a directory of parts, hidden entries left out."""
    if is_remote(root):
        listed = filesystem.get_file_info(pafs.FileSelector(f"{base}/{name}", recursive=False))
        return {f"{name}/{i.base_name}": i for i in listed if i.base_name[0] not in "._"}
    # pyarrow's listing leaves out links whose target is gone, and with them a part's rows.
    names = [entry for entry in os.listdir(Path(root, name)) if entry[0] not in "._"]
    shown = [os.fsencode(entry).decode(errors="backslashreplace") for entry in names]
    _refuse(
        [
            f"{_shown(root, name)} holds {text}, whose name is not UTF-8; rename it"
            for entry, text in zip(names, shown, strict=True)
            if entry != text
        ]
    )
    infos = filesystem.get_file_info([f"{base}/{name}/{entry}" for entry in names])
    return {f"{name}/{entry}": info for entry, info in zip(names, infos, strict=True)}


def _parts(root: str, infos: dict[str, Any]) -> tuple[Part, ...]:
    problems = []
    for entry, info in infos.items():
        problems += _entry_problems(root, entry, info, pafs.FileType.File)
        if not entry.endswith(_SUFFIXES):
            problems.append(
                f"{_shown(root, entry)} is neither *.csv nor *.csv.gz; "
                "move it out of the directory of parts"
            )
    _refuse(problems)
    return tuple(Part(root, entry, info.size, info.mtime_ns) for entry, info in infos.items())


def _entry_problems(root: str, entry: str, info: Any, expected: Any) -> list[str]:
    shown = _shown(root, entry)
    local = not is_remote(root)
    if local:
        # Unlike `Path.resolve`, which raises something else on a link to itself.
        real_root, real = Path(os.path.realpath(root)), Path(os.path.realpath(shown))
        if not real.is_relative_to(real_root):
            return [f"{shown} is a link that leads out of {root} to {real}; copy the file instead"]
    if info.type == pafs.FileType.NotFound:
        return [f"{shown} is a link to nothing"]
    if info.type != expected:
        wanted, found = _KINDS[expected], _KINDS.get(info.type, "something else")
        is_named_wrong = info.type == pafs.FileType.Directory and entry.endswith(_SUFFIXES)
        hint = "; name a directory of parts without the .csv" if is_named_wrong else ""
        return [f"{shown} should be {wanted}, and is {found}{hint}"]
    if local and not os.access(shown, os.R_OK):
        return [f"{shown} may not be read by this user"]
    return []


def one_line(error: BaseException) -> str:
    """The error's message without line breaks, or its name if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _shown(root: str, name: str) -> str:
    return Part(root, name, 0, None).path


def _is_link(root: str, name: str) -> bool:
    return not is_remote(root) and Path(root, name).is_symlink()


def _refuse(problems: list[str]) -> None:
    if problems:
        raise CsvInputError(problems)


def _filesystem(root: str) -> tuple[Any, str]:
    if not is_remote(root):
        return pafs.LocalFileSystem(), root.rstrip("/")
    try:
        filesystem, base = pafs.FileSystem.from_uri(root)
    except ValueError as error:  # pyarrow's ArrowInvalid: a scheme or an option it does not know
        # The message may quote the address, and the address may hold a password.
        reason = one_line(error).replace(root, shown_root(root))
        raise CsvInputError(f"{shown_root(root)} cannot be opened: {reason}") from None
    return filesystem, base.rstrip("/")


def _discard(stream: IO[bytes], count: int) -> None:
    while count > 0 and (skipped := len(stream.read(min(count, 1 << 20)))):
        count -= skipped

"""How an error is told: one sentence and an exit code; the traceback of a bug goes to a file."""

from __future__ import annotations

import datetime as dt
import errno
import os
import tempfile
import traceback
from pathlib import Path

from beatlake.console import clean
from beatlake.errors import cause
from beatlake.redaction import redact

#: Exit codes of errors that do not carry their own, by the name of the class.
_EXIT_CODES = {
    "ConfigError": 2,
    "NoReleaseError": 2,
    "SetupError": 2,
    "LakeError": 2,
    "ValidationError": 2,
    "CsvInputError": 3,
}
#: What the machine, not the code, refuses.
_MACHINE = {errno.EACCES, errno.EPERM, errno.EROFS}


def explain(error: Exception, lake: Path | None) -> tuple[str, int]:
    """The sentence and exit code of an error; a bug's traceback goes to a file that it names."""
    if hasattr(error, "format_message"):
        path = getattr(getattr(error, "ctx", None), "command_path", "beatlake")
        return f"{error.format_message()}\n  see: {path} --help", 2
    names = {kind.__name__ for kind in type(error).__mro__}
    code = getattr(error, "exit_code", None)
    if code is None:
        code = next((c for name, c in _EXIT_CODES.items() if name in names), None)
    if code is None and (named := cause(error, lake)) is not None:
        return str(named), named.exit_code
    if code is None and isinstance(error, OSError) and error.errno in _MACHINE:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}.", 2
    if isinstance(code, int):
        return str(error) or type(error).__name__, code
    place = _write_traceback(error, lake)
    summary = " ".join(redact(f"{type(error).__name__}: {error}").split())[:200]
    return f"beatlake failed unexpectedly ({summary}). Its traceback is in {place}", 1


def _write_traceback(error: Exception, lake: Path | None) -> str:
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    text = clean(redact(trace), keep="\n")
    now = dt.datetime.now(dt.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    folders = [Path(tempfile.gettempdir())]
    if lake is not None and lake.is_dir() and not (lake / "logs").is_symlink():
        folders.insert(0, lake / "logs")
    for folder in folders:
        try:
            folder.mkdir(exist_ok=True)
            handle, name = tempfile.mkstemp(".log", f"error-{now}-", folder, text=True)
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(text)
        except OSError:
            continue
        return name
    return f"no file, as none could be written:\n{text}"

"""What the command line shows: progress, tables and closing words, with data made harmless.

Names and values come from files that strangers wrote. Control characters, which could move the
cursor or retitle the terminal, are spelt out, and rich's markup is never interpreted. Secrets in
what a run tells of itself are hidden.
"""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from beatlake.errors import BeatlakeError
from beatlake.redaction import redact, redacted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from beatlake.runs.report import RunReport, StageReport

Log = Literal["auto", "plain", "json"]

#: C0, DEL, C1, line separators, and marks that reverse the direction of text.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
#: Seconds between two events about Spark tasks in the JSON log.
_TASKS_EVERY_S = 5.0
_DECIMALS = 6
_SMALL = 1e-4


class UnprintableError(BeatlakeError):
    """What was asked for would garble the terminal."""

    exit_code = 2


def clean(text: str, keep: str = "") -> str:
    r"""Text that a terminal shows as it is; control characters become ``\uXXXX``.

    >>> clean("a\x1b[31mb\n")
    'a\\u001b[31mb\\u000a'
    """
    return _UNSAFE.sub(lambda m: m[0] if m[0] in keep else f"\\u{ord(m[0]):04x}", text)


def shown(value: Any) -> str:
    """A value in a cell: numbers short, nulls and nested values readable.

    >>> shown(None), shown(0.1 + 0.2), shown(True), shown([1, None])
    ('NULL', '0.3', 'true', '[1, null]')
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        tiny = 0 < abs(value) < _SMALL
        return f"{value:.6g}" if tiny else f"{round(value, _DECIMALS):.15g}"
    if isinstance(value, (list, tuple, dict)):
        return clean(json.dumps(value, ensure_ascii=False, default=str))
    return clean(str(value))


def print_table(
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    stream: TextIO | None = None,
    title: str | None = None,
) -> None:
    """Print rows under their names; as wide as they need where nobody watches."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = stream or sys.stdout
    cells = [tuple(row) for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    if title:
        table.title = Text(clean(title), style="italic")
    for column, name in enumerate(names):
        numeric = all(
            isinstance(row[column], (int, float, Decimal)) and not isinstance(row[column], bool)
            for row in cells
            if row[column] is not None
        )
        table.add_column(
            Text(clean(str(name))),
            justify="right" if cells and numeric else "left",
            overflow="fold",
        )
    for row in cells:
        table.add_row(*(Text(shown(value)) for value in row))
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 100_000
    with console.capture() as captured:
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    stream.write("".join(f"{line}\n" for line in lines))


def print_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print the answer to a query: a table, or the drawing of a plan for EXPLAIN."""
    if list(names) == ["explain_key", "explain_value"]:
        for _, plan in rows:
            sys.stdout.write(clean(str(plan), keep="\n"))
        return
    print_table(names, rows)


def print_file(path: Path, binary: bool, stream: TextIO | None = None) -> None:
    """Copy a file to standard output; on a terminal, what it would obey is spelt out.

    Raises:
        UnprintableError: it is binary and standard output is a terminal.
    """
    stream = stream or sys.stdout
    stream.flush()
    if not stream.isatty():
        with path.open("rb") as source:
            shutil.copyfileobj(source, stream.buffer)
        stream.buffer.flush()
        return
    if binary:
        raise UnprintableError("A terminal cannot show this format; name a file with --output.")
    with path.open(encoding="utf-8", newline="") as lines:
        for line in lines:
            stream.write(clean(line, keep="\r\n\t"))


def stage_line(report: StageReport) -> str:
    """What a stage did, on one line."""
    if report.reused:
        return clean(f"{report.stage}: as it was, {report.kept:,} rows")
    parts = [f"{report.rows_in:,} in", f"{report.kept:,} kept"]
    if report.merged:
        parts.append(f"{report.merged:,} merged")
    if report.set_aside:
        listed = ", ".join(f"{rule} {rows:,}" for rule, rows in sorted(report.set_aside.items()))
        parts.append(f"{sum(report.set_aside.values()):,} set aside ({listed})")
    return clean(f"{report.stage}: {', '.join(parts)}; {report.seconds:.1f} s")


class PlainReporter:
    """One line per stage, for files, pipes and schedulers."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Take the function that writes one line."""
        self._write = write
        self._lock = threading.Lock()

    def __enter__(self) -> PlainReporter:
        """Nothing to start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: Any
    ) -> None:
        """Nothing to end."""

    def _line(self, text: str) -> None:
        with self._lock:
            self._write(clean(redact(text)))

    def run_started(self, run_id: str, stages: int) -> None:
        """Name the run."""
        self._line(f"Run {run_id}: {stages} stages.")

    def stage_started(self, stage: str) -> None:
        """Say nothing: the line comes when the stage is done."""

    def tasks(self, done: int, total: int) -> None:
        """Say nothing."""

    def stage_finished(self, report: StageReport) -> None:
        """One line."""
        self._line(stage_line(report))

    def message(self, text: str) -> None:
        """One line."""
        self._line(text)


class LiveReporter(PlainReporter):
    """The same lines above a bar of stages and one of Spark tasks, on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        """Prepare the bars; they show from ``__enter__`` to ``__exit__``."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        super().__init__(lambda line: console.print(line, markup=False, soft_wrap=True))
        self._running: list[str] = []
        self._stages: TaskID | None = None
        self._tasks: TaskID | None = None

    def __enter__(self) -> LiveReporter:
        """Show the bars."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: Any
    ) -> None:
        """Remove the bars."""
        self._progress.stop()

    def run_started(self, run_id: str, stages: int) -> None:
        """Name the run and draw the bars."""
        super().run_started(run_id, stages)
        with self._lock:
            self._stages = self._progress.add_task("stages", total=stages)
            self._tasks = self._progress.add_task("Spark tasks", total=None)

    def stage_started(self, stage: str) -> None:
        """Show the stage beside the bar."""
        with self._lock:
            self._running.append(clean(stage))
            self._describe()

    def tasks(self, done: int, total: int) -> None:
        """Move the bar of Spark tasks."""
        with self._lock:
            if self._tasks is not None:
                self._progress.update(self._tasks, completed=done, total=total)

    def stage_finished(self, report: StageReport) -> None:
        """Print the line and move the bar of stages."""
        super().stage_finished(report)
        with self._lock:
            if clean(report.stage) in self._running:
                self._running.remove(clean(report.stage))
            self._describe()
            if self._stages is not None:
                self._progress.advance(self._stages)

    def _describe(self) -> None:
        if self._stages is not None:
            named = ", ".join(self._running)
            self._progress.update(self._stages, description=named[:60] or "stages")


class JsonReporter:
    """One JSON object per line: timestamp, run_id, event, fields."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream
        self._lock = threading.Lock()
        self._run_id: str | None = None
        self._tasks_at = float("-inf")

    def __enter__(self) -> JsonReporter:
        """Nothing to start."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell of the error that ended the run."""
        if error is not None:
            self.event("run_failed", error=type(error).__name__, message=str(error))

    def event(self, event: str, **fields: Any) -> None:
        """Write one event."""
        now = dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds")
        told = redacted(fields)
        record = {"timestamp": now, "run_id": self._run_id, "event": event, "fields": told}
        line = json.dumps(record, default=str)
        with self._lock:
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def run_started(self, run_id: str, stages: int) -> None:
        """Event ``run_started``; later events carry its run_id."""
        self._run_id = run_id
        self.event("run_started", stages=stages)

    def stage_started(self, stage: str) -> None:
        """Event ``stage_started``."""
        self.event("stage_started", stage=stage)

    def tasks(self, done: int, total: int) -> None:
        """Event ``tasks``, every few seconds at most."""
        now = time.monotonic()
        with self._lock:
            due = now - self._tasks_at >= _TASKS_EVERY_S
            if due:
                self._tasks_at = now
        if due:
            self.event("tasks", done=done, total=total)

    def stage_finished(self, report: StageReport) -> None:
        """Event ``stage_finished`` with the whole report."""
        self.event("stage_finished", **asdict(report))

    def message(self, text: str) -> None:
        """Event ``message``."""
        self.event("message", text=text)

    def run_finished(self, report: RunReport) -> None:
        """Event ``run_finished``: outcome, release and what was not there."""
        self._run_id = report.run_id
        self.event(
            "run_finished",
            outcome=report.outcome,
            release=report.release.release,
            seconds=report.seconds,
            absent=report.absent,
            notes=report.notes,
        )


def reporter(
    log: Log, quiet: bool, stream: TextIO | None = None
) -> PlainReporter | LiveReporter | JsonReporter:
    """The reporter for this place: bars on a terminal, lines elsewhere, JSON when asked for."""
    stream = stream or sys.stdout
    if log == "json":
        return JsonReporter(stream)
    if quiet:
        return PlainReporter(lambda line: None)
    if log == "auto" and stream.isatty():
        return LiveReporter(stream)

    def write(line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()

    return PlainReporter(write)


def closing(report: RunReport, lake: str, only: str | None = None) -> list[str]:
    """The last lines of a run: what it made and what is missing."""
    release = report.release
    if report.outcome == "nothing to do":
        return [
            clean(
                f"Nothing to do: release {release.release} of {release.published_at} was made from"
                " this input, these settings and this code. To run anyway, add --force."
            )
        ]
    if only is not None:
        return [clean(f"{only} ran alone, so nothing was published: {lake} is as it was.")]
    rows = sum(table.rows for table in release.tables.values())
    lines = [f"Not there, so left out: {', '.join(report.absent)}."] if report.absent else []
    lines += report.notes
    lines.append(
        f"Release {release.release} of {lake}: {len(release.tables)} tables, {rows:,} rows,"
        f" in {report.seconds:.1f} s (run {report.run_id})."
    )
    return [clean(line) for line in lines]


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
_MACHINE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}


def explain(error: Exception, lake: Path | None) -> tuple[str, int]:
    """The sentence and exit code of an error; a bug's traceback goes to a file that it names."""
    if hasattr(error, "format_message"):
        path = getattr(getattr(error, "ctx", None), "command_path", "beatlake")
        return f"{error.format_message()}\n  see: {path} --help", 2
    names = {kind.__name__ for kind in type(error).__mro__}
    code = getattr(error, "exit_code", None)
    if code is None:
        code = next((c for name, c in _EXIT_CODES.items() if name in names), None)
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

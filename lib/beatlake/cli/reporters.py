"""How a run is shown while it goes and when it is done: bars, lines, or JSON lines."""

from __future__ import annotations

import datetime as dt
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TextIO

from beatlake.console import clean
from beatlake.redaction import redact, redacted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from beatlake.runs.report import RunReport, StageReport

Log = Literal["auto", "plain", "json"]

#: Seconds between two events about Spark tasks in the JSON log.
_TASKS_EVERY_S = 5.0


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
            release=None if report.release is None else report.release.release,
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
    if release is None:
        return [clean(f"{only} ran alone, so nothing was published: {lake} is as it was.")]
    if report.outcome == "nothing to do":
        return [
            clean(
                f"Nothing to do: release {release.release} of {release.published_at} was made from"
                " this input, these settings and this code. To run anyway, add --force."
            )
        ]
    rows = sum(table.rows for table in release.tables.values())
    lines = [f"Not there, so left out: {', '.join(report.absent)}."] if report.absent else []
    lines += report.notes
    lines.append(
        f"Release {release.release} of {lake}: {len(release.tables)} tables, {rows:,} rows,"
        f" in {report.seconds:.1f} s (run {report.run_id})."
    )
    return [clean(line) for line in lines]

"""One writer at a time: a lease that is kept alive, and an epoch that fences off who lost it.

Whoever takes the lease commits the next epoch to `ops.releases` as a transaction that only one
taker can make, and publishes with a transaction of the same epoch. A holder that was overtaken
while it slept therefore cannot publish: its number comes too late. Who holds the lease and when it
was last seen alive is in ``releases/lease-EPOCH.json``, which decides nothing but who waits.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from beatlake import releases
from beatlake.commits import APPLICATION, Committed, OvertakenError, Stamp
from beatlake.errors import ConflictError
from beatlake.lake import Lake
from beatlake.tables import ops

#: A lease is renewed this many times before it would expire.
_BEATS = 4
#: How the file of a lease ends that was given back where the disk was full.
_OVER = ".over.json"


class Begun(BaseModel):
    """What is known of a run as it takes the lease: the columns of its record that never change."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    identity: str
    started_at: datetime
    input_directory: str
    absent_files: list[str]
    settings: str
    code_version: str


class Holder(BaseModel):
    """Who holds a lease, and when it was last seen alive; ``begun`` is None but for runs."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    host: str
    pid: int
    place: str | None
    since: datetime
    seen: datetime
    expires_s: float
    ended: bool = False
    begun: Begun | None = None

    def alive(self, now: datetime) -> bool:
        """Whether the lease is held: not given back, not expired, its process not known dead."""
        if self.ended or now - self.seen > timedelta(seconds=self.expires_s):
            return False
        return self.place is None or self.place != _place() or _runs(self.pid)


@dataclass
class Lease:
    """The right to write to a lake, until it is given back or lost."""

    lake: Lake
    epoch: int
    holder: Holder
    #: The version of `ops.releases` up to which nobody else took it.
    version: int
    _lost: str | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raise if the lease was lost.

        Raises:
            ConflictError: another run has taken it over.
        """
        with self._lock:
            seen = self.version
            while self.lake.has_version(ops.RELEASES.name, self.version + 1):
                self.version += 1
            if self._lost is None and self.version != seen:
                newest = epoch(self.lake)
                if newest != self.epoch:
                    self._lost = _taken_over(self.lake, newest)
            if self._lost is not None:
                raise ConflictError(self._lost)

    def publish(self, row: dict[str, object], stamp: Stamp) -> Committed:
        """Add a release to `ops.releases`, the one commit that publishes it.

        Raises:
            ConflictError: another run has taken the lease over.
        """
        self.check()
        try:
            return self.lake.record(ops.RELEASES, [row], stamp, "append", 2 * self.epoch + 1)
        except OvertakenError as error:
            raise ConflictError(_taken_over(self.lake, epoch(self.lake))) from error

    def give_back(self) -> None:
        """Let the next run begin at once."""
        self._ended.set()
        try:
            self._beat(ended=True)
        except OSError:
            # On a full disk there is room for another name, which says the same. What the file
            # says of a run is kept, since there was no room for a record of it either.
            path = _path(self.lake, self.epoch)
            with suppress(FileNotFoundError):
                path.replace(path.with_name(f"{path.stem}{_OVER}"))

    def keep(self) -> None:
        """Show that the holder is alive, until the lease is given back or lost."""
        while not self._ended.wait(self.holder.expires_s / _BEATS):
            try:
                self.check()
            except ConflictError:
                return
            # A full disk may have room again at the next beat, and stops the run by itself.
            with suppress(OSError):
                self._beat(ended=False)

    def _beat(self, *, ended: bool) -> None:
        seen = self.holder.model_copy(update={"seen": _now(), "ended": ended})
        releases.replace(_path(self.lake, self.epoch), seen.model_dump_json(indent=1))


def take(lake: Lake, run_id: str, expires_s: float, begun: Begun | None = None) -> Lease:
    """The lease of a lake, with its heartbeat going.

    Args:
        lake: the lake.
        run_id: who takes it.
        expires_s: how long it holds after each sign of life.
        begun: what is known of a run; whoever finds it killed records that (`left`).

    Raises:
        ConflictError: another run holds it; the message says which, where and since when.
    """
    now, held = _now(), unheld(lake)
    mine = Holder(
        run_id=run_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        place=_place(),
        since=now,
        seen=now,
        expires_s=expires_s,
        begun=begun,
    )
    stamp = Stamp(run_id, "lease", "", "", {})
    try:
        taken = lake.record(ops.RELEASES, (), stamp, "append", 2 * (held + 1))
    except OvertakenError:
        raise ConflictError(
            f"Another run took {lake.root} at the same moment. Wait for it."
        ) from None
    lease = Lease(lake, held + 1, mine, taken.version)
    lease._beat(ended=False)
    for old in _files(lake) - {_path(lake, lease.epoch), *left(lake)}:
        old.unlink(missing_ok=True)
    lease.lake = replace(lake, guard=lease.check)
    threading.Thread(target=lease.keep, daemon=True, name="lease").start()
    return lease


def unheld(lake: Lake) -> int:
    """The newest epoch of a lake that nobody holds.

    Raises:
        ConflictError: another run holds it; the message says which, where and since when.
    """
    now, held = _now(), epoch(lake)
    holder = holder_of(lake, held)
    if holder is not None and holder.alive(now):
        raise ConflictError(
            f"Run {holder.run_id} on {holder.host} (process {holder.pid}) has held {lake.root}"
            f" since {holder.since:%Y-%m-%d %H:%M:%S} UTC and was alive {_ago(now, holder.seen)}."
            f" Wait for it; if it is dead, its lease ends {holder.expires_s:g} s after its last"
            " sign of life."
        )
    return held


def epoch(lake: Lake) -> int:
    """The newest epoch of a lake; 0 before the first lease."""
    if not lake.exists(ops.RELEASES.name):
        return 0
    return (lake.open(ops.RELEASES.name).transaction_version(APPLICATION) or 0) // 2


def holder_of(lake: Lake, number: int) -> Holder | None:
    """Who took the lease of an epoch; None where nobody says so."""
    return _read(_path(lake, number))


def left(lake: Lake) -> dict[Path, Holder]:
    """The files of runs that hold the lease no more and may have left no record of themselves.

    They stay until somebody has recorded the runs (`beatlake.runs.history`).
    """
    now = _now()
    found = {path: _read(lake.inside("releases", path.name)) for path in _files(lake)}
    return {
        path: holder
        for path, holder in sorted(found.items())
        if holder is not None and holder.begun is not None and not holder.ended
        if path.name.endswith(_OVER) or not holder.alive(now)
    }


def _read(path: Path) -> Holder | None:
    try:
        return Holder.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return None


def _files(lake: Lake) -> set[Path]:
    return set(releases.directory(lake).glob("lease-*.json"))


def _path(lake: Lake, number: int) -> Path:
    return lake.inside("releases", f"lease-{number}.json")


def _taken_over(lake: Lake, newest: int) -> str:
    holder = holder_of(lake, newest)
    by = f"run {holder.run_id} on {holder.host}" if holder is not None else "another run"
    return (
        f"This run gave no sign of life for too long, and {by} has taken {lake.root} over."
        " This run published nothing after that."
    )


def _place() -> str | None:
    """Where process numbers mean what they mean here; None where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return json.dumps([boot, os.readlink("/proc/self/ns/pid")])
    except OSError:
        return None


def _runs(pid: int) -> bool:
    """Whether a process is there; a zombie that nobody has waited for is not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _ago(now: datetime, then: datetime) -> str:
    return f"{max(0.0, (now - then).total_seconds()):.0f} s ago"

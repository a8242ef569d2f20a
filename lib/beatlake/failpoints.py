"""Stopping the process hard at a chosen commit, so that tests can show what a crash leaves behind.

Every commit of a lake goes through `committing`, which makes three places: ``before:NAME``,
``during:NAME`` (data files of the table are there, its commit is not) and ``after:NAME``.
``BEATLAKE_FAILPOINT=before:gold.by_year`` kills the whole process group with SIGKILL at that place.
``BEATLAKE_FAILPOINT_TRACE=FILE`` appends the name of every commit as it is made.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "BEATLAKE_FAILPOINT"
TRACE = "BEATLAKE_FAILPOINT_TRACE"
_POLL_S = 0.001


@contextmanager
def committing(name: str, directory: Path | None = None) -> Iterator[None]:
    """Around one commit.

    Args:
        name: what is committed, such as ``gold.by_year`` or ``current.json``.
        directory: where its data files appear before it is committed, if it has any.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == f"before:{name}":
        _stop()
    ended = threading.Event()
    if wanted == f"during:{name}" and directory is not None:
        seen = set(directory.glob("*.parquet"))
        threading.Thread(target=_stop_at_new, args=(directory, seen, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
    if trace := os.environ.get(TRACE):
        with Path(trace).open("a", encoding="utf-8") as stream:
            stream.write(f"{name}\n")
    if wanted in (f"after:{name}", f"during:{name}"):
        # A write without rows has no data files to stop at.
        _stop()


def _stop_at_new(directory: Path, seen: set[Path], ended: threading.Event) -> None:
    while not ended.wait(_POLL_S):
        if set(directory.glob("*.parquet")) - seen:
            _stop()


def _stop() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)

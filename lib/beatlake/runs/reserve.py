"""Room that a lake keeps for making room: what a clean-up needs where a disk has none at all.

A clean-up takes the lease as every writer does, with a commit and a file. On a full disk it removes
the reserve first, and puts it back when it has removed what nobody needs.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from beatlake.lake import Lake

#: For the commit and the file of a lease, and the files of a release that was not finished.
_BYTES = 1 << 20


def keep(lake: Lake) -> None:
    """Have the reserve, if there is room for it."""
    path = _path(lake)
    if path.is_file() and path.stat().st_size == _BYTES:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # At random, because some file systems keep no room for what they can press together.
        path.write_bytes(os.urandom(_BYTES))
    except OSError:
        with suppress(OSError):
            path.unlink()


def free(lake: Lake) -> bool:
    """Give the room back to the disk; whether there was any."""
    try:
        _path(lake).unlink()
    except FileNotFoundError:
        return False
    return True


def _path(lake: Lake) -> Path:
    return lake.inside("releases", "reserve")

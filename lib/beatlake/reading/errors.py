"""What can be wrong with a question to the lake."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from beatlake.errors import BeatlakeError


class ReadingError(BeatlakeError):
    """What was asked for cannot be read, written out or understood; the message says why."""

    exit_code = 2


def nearest(name: str, known: Sequence[str], most: int = 3) -> list[str]:
    """Known table names that are spelt much like ``name``, with or without its layer.

    >>> nearest("by_yaer", ["gold.by_year", "silver.labels"])
    ['gold.by_year']
    """
    wanted = name.lower().replace('"', "")
    bare = wanted.rsplit(".", 1)[-1]
    scores = {
        table: max(_alike(wanted, table), _alike(bare, table.rsplit(".", 1)[-1])) for table in known
    }
    close = [table for table in known if scores[table] >= 0.6]
    return sorted(close, key=lambda table: (-scores[table], table))[:most]


def _alike(left: str, right: str) -> float:
    return difflib.SequenceMatcher(None, left, right).ratio()

"""Spark's Python workers, which run tasks one after the other."""

from __future__ import annotations

import sys
from zipimport import zipimporter


def forget_archives() -> None:
    """Drop what Python remembers of the archives on its path; it looks again where it must.

    Before every task Spark has Python refresh this memory (`importlib.invalidate_caches`), which
    reads the directories of pyspark's archives and of Spark's jars anew: 0.1 to 0.2 s of a core.
    """
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimporter):
            del sys.path_importer_cache[path]

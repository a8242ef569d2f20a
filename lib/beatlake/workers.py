"""Spark's Python workers, which run tasks one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from zipimport import zipimporter


def forget_archives() -> None:
    """Drop what Python remembers of the archives on its path; it looks again where it must.

    Before every task Spark has Python refresh this memory (`importlib.invalidate_caches`), which
    reads the directories of pyspark's archives and of Spark's jars anew: 0.1 to 0.2 s of a core.
    """
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimporter):
            del sys.path_importer_cache[path]


class Threads(int):
    """A number of threads that, where it arrives, lets libraries that use OpenMP have so many.

    Spark sets `OMP_NUM_THREADS` to `spark.task.cpus` for its Python workers, and XGBoost takes no
    more than that, whatever its parameters say. What trains in a worker is XGBoost's own code, and
    its parameters are all that reaches it.
    """

    def __reduce__(self) -> tuple[Callable[[int], int], tuple[int]]:
        """Arrive by `_allowed`, as a plain number."""
        return _allowed, (int(self),)


def _allowed(threads: int) -> int:
    import xgboost  # noqa: F401 - what is not loaded yet cannot be told
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads, user_api="openmp")
    return threads

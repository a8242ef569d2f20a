"""Spark's task progress, polled while stages run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from py4j.protocol import Py4JError

from beatlake.runs.report import Reporter

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_EVERY_S = 0.5


@contextmanager
def watched(spark: SparkSession, reporter: Reporter) -> Iterator[None]:
    """Tell the reporter of running tasks until the block ends.

    Only Spark inside this process can be asked cheaply; elsewhere nothing is told, since Spark's
    own page shows it.
    """
    if spark.conf.get("spark.beatlake.startedHere", "false") != "true":
        yield
        return
    ended = threading.Event()
    tracker = spark.sparkContext.statusTracker()

    def poll() -> None:
        while not ended.wait(_EVERY_S):
            try:
                running = [tracker.getStageInfo(i) for i in tracker.getActiveStageIds()]
            except (Py4JError, OSError):
                # Spark has died, which the run finds out and tells by itself.
                return
            known = [info for info in running if info is not None]
            reporter.tasks(
                sum(info.numCompletedTasks for info in known), sum(info.numTasks for info in known)
            )

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

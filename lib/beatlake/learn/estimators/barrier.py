"""Processes that must run at once: barrier tasks, each in a slot of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beatlake.config import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def check_slots(spark: SparkSession, what: str, workers: int, otherwise: str) -> None:
    """Find a task slot for each worker, before Spark waits for one that never comes.

    Args:
        spark: a classic session; Spark Connect has no barrier tasks.
        what: needs them, for messages.
        workers: how many run at once.
        otherwise: what to do on a session that has none, as a sentence.

    Raises:
        ConfigError: there are fewer slots, or Spark has no tasks that start together.
    """
    context = getattr(spark, "sparkContext", None)
    if context is None or "connect" in type(spark).__module__:
        raise ConfigError(
            f"{what} needs a classic Spark session with barrier tasks; Spark Connect and"
            f" serverless compute have none. {otherwise}"
        )
    if workers > context.defaultParallelism:
        raise ConfigError(
            f"{what} is to have {workers} workers, and Spark has"
            f" {context.defaultParallelism} slots."
        )

"""The device that networks are trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from beatlake.config import ConfigError
from beatlake.learn.estimators.networks.settings import NetworkSettings
from beatlake.learn.estimators.networks.tasks import by_shard, places
from beatlake.workers import forget_archives

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

_HAS = "shard long, found boolean"


def check_device(spark: SparkSession, settings: NetworkSettings) -> None:
    """Find the device that the settings name where they have a network trained.

    Raises:
        ConfigError: it is not there.
    """
    if settings.device != "cuda":
        return
    here = settings.strategy == "single"
    parts = [{"found": _has_cuda()}] if here else by_shard(spark, _Has(), _HAS, settings.shards)
    if not all(part["found"] for part in parts):
        where = "here" if here else "in every one of Spark's workers"
        raise ConfigError(
            f"The network is to train with device: cuda, which torch does not find {where};"
            " device: auto takes it where it is, and the CPU elsewhere."
        )


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


class _Has:
    """Says of each shard whether its worker has CUDA. A class, so that workers import its code."""

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        forget_archives()
        for place in places(batches):
            yield pa.RecordBatch.from_pylist([{"shard": place, "found": _has_cuda()}])

"""What all tests share: one Spark session per test process, built as beatlake builds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from beatlake.session import SparkSettings, session, stop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Embedded Spark with Delta; small, since test frames are."""
    settings = SparkSettings(
        cores=2,
        memory="2g",
        shuffle_partitions=2,
        log_file=tmp_path_factory.mktemp("spark") / "spark.log",
    )
    started = session(settings)
    yield started
    stop(started)

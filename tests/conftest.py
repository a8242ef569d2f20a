"""What all tests share: one Spark session per test process, and the lake of a first drop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beatlake.session import SparkSettings, session, stop
from small_lake import Drop, publish

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: These hold fixtures and no doctests, and a second module of this name cannot be collected as one.
collect_ignore_glob = ["conftest.py", "*/conftest.py"]

# For the JVMs of tests, which end before the optimizing compiler has earned what it costs.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Embedded Spark with Delta; small, since test frames are."""
    settings = SparkSettings(
        cores=2,
        memory="2g",
        shuffle_partitions=2,
        extra={"spark.test.secret": "hush"},
        log_file=tmp_path_factory.mktemp("spark") / "spark.log",
    )
    started = session(settings)
    yield started
    stop(started)


@pytest.fixture(scope="session")
def first_drop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Drop:
    """The first drop of the scenarios that share one, published; made in this warm process."""
    folder = Path(__file__).parent / "scenarios" / "a_value_is_changed" / "first"
    return publish(folder, tmp_path_factory.mktemp("drop"), "spark.shuffle_partitions=2")

"""The session is the same wherever it comes from, and disturbs nobody."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from pydantic import ValidationError

from beatlake import jars, resources
from beatlake.errors import SetupError
from beatlake.session import (
    SparkSettings,
    _apply,
    default_memory_mb,
    embedded_conf,
    properties,
    session,
    session_conf,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

CONF_FILES = ["session", "embedded", "cluster", "databricks"]


def describe(spark: SparkSession, table: str) -> dict[str, object]:
    return spark.sql(f"DESCRIBE DETAIL {table}").collect()[0].asDict()


def test_session_has_the_settings_of_the_files(spark: SparkSession) -> None:
    files = ("session.conf", "embedded.conf")
    wanted = {
        key: value
        for name in files
        for key, value in properties(resources.read_conf("spark", name)).items()
        if key != "spark.driver.extraJavaOptions"
    }

    assert len(wanted) > 15
    assert {key: spark.conf.get(key) for key in wanted} == wanted
    assert spark.conf.get("spark.master") == "local[2]"
    assert spark.conf.get("spark.driver.memory") == "2g"
    assert spark.conf.get("spark.sql.shuffle.partitions") == "2"


def test_java_options_reach_the_jvm(spark: SparkSession) -> None:
    runtime = spark._jvm.java.lang.management.ManagementFactory
    options = list(runtime.getRuntimeMXBean().getInputArguments())

    assert "-XX:+UseParallelGC" in options
    assert "-Xmx2g" in options


def test_times_are_utc_and_bad_casts_are_errors(spark: SparkSession) -> None:
    assert spark.sql("SELECT unix_seconds(TIMESTAMP '1970-01-02')").first()[0] == 86400
    with pytest.raises(Exception, match="CAST_INVALID_INPUT"):
        spark.sql("SELECT CAST('x' AS INT)").collect()


def test_new_tables_stay_readable_for_every_reader(spark: SparkSession, tmp_path: Path) -> None:
    """Reader version 1, and times that delta-rs reads far outside of nanoseconds' range."""
    from deltalake import DeltaTable

    path = tmp_path / "table"
    frame = spark.sql("SELECT 1L AS n, TIMESTAMP '0900-01-01' AS t")
    frame.write.format("delta").save(str(path))

    detail = describe(spark, f"delta.`{path}`")
    assert detail["minReaderVersion"] == 1
    assert detail["properties"]["delta.enableDeletionVectors"] == "false"
    table = DeltaTable(str(path))
    assert table.protocol().min_reader_version == 1
    assert table.to_pyarrow_table()["t"].to_pylist()[0].year == 900


def test_workers_run_this_python_and_import_this_beatlake(spark: SparkSession) -> None:
    def where(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow

        import beatlake

        for _ in batches:
            yield pyarrow.RecordBatch.from_pydict(
                {"python": [sys.executable], "file": [beatlake.__file__]}
            )

    frame = spark.range(1).mapInArrow(where, "python string, file string")

    (row,) = frame.collect()
    assert row.python == sys.executable
    assert Path(row.file) == Path(resources.__file__).parent / "__init__.py"


def test_session_that_is_there_is_taken_and_given_session_settings(spark: SparkSession) -> None:
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    try:
        again = session(SparkSettings(shuffle_partitions=3))

        assert again.conf.get("spark.sql.session.timeZone") == "UTC"
        assert again.conf.get("spark.sql.shuffle.partitions") == "3"
        assert again.sparkContext is spark.sparkContext
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", before)


def test_spark_messages_go_to_the_log_file(
    spark: SparkSession, capfd: pytest.CaptureFixture[str]
) -> None:
    log = Path(re.search(r'beatlake.log.file="([^"]+)"', _java_options(spark))[1])

    spark._jvm.org.apache.log4j.Logger.getLogger("planted").error("a planted message")

    assert "ERROR planted: a planted message" in log.read_text()
    assert capfd.readouterr() == ("", "")


def test_secrets_reach_spark_and_not_the_command_line_that_all_may_read(
    spark: SparkSession,
) -> None:
    words = []
    for process in psutil.Process().children(recursive=True):
        # Spark's workers come and go.
        with contextlib.suppress(psutil.NoSuchProcess):
            words += process.cmdline()

    assert spark.sparkContext.getConf().get("spark.test.secret") == "hush"
    assert any("spark.sql.extensions=" in word for word in words)
    assert not any("hush" in word for word in words)


def _java_options(spark: SparkSession) -> str:
    return spark.conf.get("spark.driver.extraJavaOptions")


class Picky:
    """The `conf` of a session that refuses some settings, as serverless does."""

    def __init__(self, refuses: Callable[[str], bool]) -> None:
        self.refuses = refuses
        self.values: dict[str, str] = {}
        self.conf = self

    def get(self, key: str, default: str | None) -> str | None:
        return self.values.get(key, default)

    def set(self, key: str, value: str) -> None:
        if self.refuses(key):
            raise RuntimeError("[CONFIG_NOT_AVAILABLE]")
        self.values[key] = value


def test_session_that_refuses_what_only_saves_time_is_accepted() -> None:
    spark = Picky(lambda key: "delta" in key)

    _apply(spark, session_conf(SparkSettings()))

    assert spark.values["spark.sql.session.timeZone"] == "UTC"
    assert not any("delta" in key for key in spark.values)


@pytest.mark.parametrize("key", ["spark.sql.session.timeZone", "spark.sql.ansi.enabled"])
def test_session_that_refuses_what_changes_results_is_an_error(key: str) -> None:
    with pytest.raises(SetupError, match=f"refuses {key}="):
        _apply(Picky(lambda asked: asked == key), session_conf(SparkSettings()))


def test_settings_of_the_user_win(tmp_path: Path) -> None:
    settings = SparkSettings(
        cores=3,
        memory="5g",
        shuffle_partitions=7,
        warehouse=tmp_path / "warehouse",
        extra={"spark.sql.session.timeZone": "UTC+0", "spark.ui.enabled": "true"},
    )

    conf = embedded_conf(settings, tmp_path, jars.verified())

    assert conf["spark.master"] == "local[3]"
    assert conf["spark.driver.memory"] == "5g"
    assert conf["spark.sql.shuffle.partitions"] == "7"
    assert conf["spark.sql.warehouse.dir"] == str(tmp_path / "warehouse")
    assert conf["spark.sql.catalogImplementation"] == "hive"
    assert conf["spark.sql.session.timeZone"] == "UTC+0"
    assert conf["spark.ui.enabled"] == "true"
    assert "spark.ui.enabled" not in session_conf(settings)


@pytest.mark.parametrize("memory", ["", "4", "4 g", "lots", "0g"])
def test_memory_that_java_would_refuse_is_refused_first(memory: str) -> None:
    with pytest.raises(ValidationError):
        SparkSettings(memory=memory)


@pytest.mark.parametrize(("total", "heap"), [(1000, 2048), (4096, 2048), (64_000, 32_000)])
def test_heap_is_half_of_the_memory_and_at_least_2_gib(total: int, heap: int) -> None:
    assert default_memory_mb(total) == heap


@pytest.mark.parametrize("name", CONF_FILES)
def test_every_setting_has_a_reason_and_is_set_once(name: str) -> None:
    lines = resources.read_conf("spark", f"{name}.conf").splitlines()
    keys = [line.split()[0] for line in lines if line and not line.startswith("#")]

    assert keys
    assert len(keys) == len(set(keys))
    assert all(len(line.split(None, 1)) == 2 for line in lines if line.startswith("spark."))


def start_apart(folder: Path, settings: str, **environ: str) -> str:
    """What a process of its own complains of when it starts a session."""
    code = f"from beatlake.session import *; session(SparkSettings({settings}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(resources.__file__).parents[1]), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_wrong_java_is_one_sentence_before_any_jvm(tmp_path: Path) -> None:
    complaint = start_apart(tmp_path, f"log_file='{tmp_path}/log'", JAVA_HOME="/nowhere")

    assert "SetupError: No working Java was found (looked at JAVA_HOME=/nowhere)" in complaint
    assert not (tmp_path / "log").exists()


def test_jvm_that_cannot_start_is_one_sentence_with_its_reason(tmp_path: Path) -> None:
    complaint = start_apart(tmp_path, f"log_file='{tmp_path}/log', memory='99999999g'")

    assert "SetupError: Spark's JVM ended as it started: Error occurred during init" in complaint
    assert "Could not reserve enough space" in complaint
    assert f"less {tmp_path}/log" in complaint


@pytest.mark.full
def test_catalog_of_a_warehouse_outlives_the_process_and_the_folder_stays_clean(
    tmp_path: Path,
) -> None:
    (here := tmp_path / "here").mkdir()
    code = """if True:
        import sys
        from pathlib import Path
        from beatlake.session import SparkSettings, session, stop
        home = Path(sys.argv[1])
        spark = session(SparkSettings(
            cores=1, memory="2g", warehouse=home / "warehouse", log_file=home / "spark.log"))
        for statement in sys.argv[2:]:
            print(spark.sql(statement).collect())
        stop(spark)
    """

    def run(*statements: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), *statements],
            cwd=here,
            env={**os.environ, "PYTHONPATH": str(Path(resources.__file__).parents[1])},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    run("CREATE SCHEMA lake", "CREATE TABLE lake.t USING delta AS SELECT 41 + 1 AS answer")

    assert "answer=42" in run("SELECT * FROM lake.t")
    assert list(here.iterdir()) == []

"""The only place that builds a SparkSession: embedded, under spark-submit, on Databricks.

The settings and their reasons are in `conf/spark/`. `session.conf` holds for every session and is
set on one that somebody else made too; `embedded.conf` holds for the Spark that beatlake starts
inside its own process, with Delta's jars from disk.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from beatlake import jars, java, resources
from beatlake.environment import available_cores, total_memory_mb
from beatlake.errors import SetupError
from beatlake.redaction import names_secret

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

_LOG4J = "log4j2.properties"
_STARTED_HERE = "spark.beatlake.startedHere"
_OLDEST = (4, 1)
_INDISPENSABLE = ("spark.sql.session.timeZone", "spark.sql.ansi.enabled")


class SparkSettings(BaseModel):
    """What a run may say about Spark; none of it changes what the tables hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cores: int | None = Field(
        None, ge=1, description="Tasks at once in embedded Spark; all cores by default."
    )
    memory: str | None = Field(
        None,
        pattern=r"^[1-9][0-9]*[mg]$",
        description="Heap of embedded Spark, such as 4g; half of the machine's, at least 2g.",
    )
    optimize_jvm: bool = Field(
        False,
        description="Whether the JVM of embedded Spark optimizes what it runs often. That pays "
        "where rows are in the JVM, as in Spark ML; those of a run are in Python workers.",
    )
    shuffle_partitions: int = Field(
        8, ge=1, description="Partitions after a shuffle; small ones are merged at run time."
    )
    task_values: int = Field(
        8_000_000,
        ge=1,
        description="Values (rows times columns) that a task of integration or aggregation holds: "
        "8,000,000 take some 100 MB, and several times as much while they are joined.",
    )
    alone_values: int | None = Field(
        None,
        ge=1,
        description="What has no more values is joined or aggregated by one task with all cores of "
        "its machine, since moving rows costs more than other machines give; by default 20,000,000 "
        "on a cluster, and as many as memory allows on one machine or where Spark's settings "
        "(spark.cores.max, spark.executor.instances) say that there are four slots at most, which "
        "stages that run side by side fill.",
    )
    bucket_rows: int = Field(
        200_000,
        ge=1,
        description="Large tables are cut by ISRC into ranges with about so many rows of audio "
        "features each, which tasks join one by one, and of which a look-up reads one.",
    )
    log_file: Path | None = Field(
        None, description="Where embedded Spark writes its own messages; the cache by default."
    )
    warehouse: Path | None = Field(
        None,
        description="Folder of a catalog that outlives the process; by default tables in the "
        "catalog are gone with the session, and tables by path are not affected.",
    )
    extra: dict[str, str] = Field(
        default_factory=dict, description="Further Spark settings; they win over all others."
    )


def session(settings: SparkSettings | None = None) -> SparkSession:
    """The Spark session of this process, with Delta and beatlake's settings.

    A session that is there already (a notebook's, a test's), or that belongs to spark-submit,
    Databricks or Spark Connect, is taken as it is and only gets the settings of `session.conf`.
    Otherwise embedded Spark starts. Whoever calls this ends with `stop`.

    Raises:
        SetupError: No suitable Java, no pyspark, no verified jars, a session of an older Spark,
            or one that refuses UTC or ANSI mode.
    """
    settings = settings or SparkSettings()
    try:
        from pyspark.sql import SparkSession as Session
    except ImportError as error:
        raise SetupError(
            f"pyspark cannot be imported ({error}).",
            "make install" if resources.checkout() else "pip install 'beatlake[local]'",
        ) from error
    spark = Session.getActiveSession()
    if spark is None and _provided(os.environ):
        spark = Session.builder.getOrCreate()
    if spark is None:
        spark = _start(settings)
    _check_version(spark.version)
    _apply(spark, session_conf(settings))
    return spark


def stop(spark: SparkSession) -> None:
    """Ends a session that `session` started; leaves one that it found."""
    if spark.conf.get(_STARTED_HERE, "false") == "true":
        spark.stop()


def cores_of_machine(spark: SparkSession) -> tuple[int, bool]:
    """How many cores a task may use that has a machine for itself, and if there are others.

    Cores are those of an executor; 1 where Spark does not say how many it has.
    """
    master = spark.conf.get("spark.master", "") or ""
    if local := re.fullmatch(r"local(?:\[(\d+|\*)(?:,\d+)?\])?", master):
        number = local[1] or "1"
        return (available_cores() if number == "*" else int(number)), False
    return int(spark.conf.get("spark.executor.cores", "1") or 1), True


def slots(spark: SparkSession) -> int | None:
    """How many tasks a cluster runs at once at most, where Spark's settings say so; None otherwise.

    Executors that are there come and go, and as a job begins there are none.
    """
    if total := spark.conf.get("spark.cores.max", ""):
        return int(total)
    dynamic = spark.conf.get("spark.dynamicAllocation.enabled", "false") == "true"
    most = "dynamicAllocation.maxExecutors" if dynamic else "executor.instances"
    executors = spark.conf.get(f"spark.{most}", "")
    cores, _ = cores_of_machine(spark)
    return int(executors) * cores if executors else None


def session_conf(settings: SparkSettings) -> dict[str, str]:
    """The settings that hold for every session and can be set on a running one."""
    return {
        **properties(resources.read_conf("spark", "session.conf")),
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        **{key: value for key, value in settings.extra.items() if _of_session(key)},
    }


def embedded_conf(
    settings: SparkSettings, scratch: Path, delta_jars: Sequence[Path]
) -> dict[str, str]:
    """Everything that embedded Spark starts with.

    Args:
        settings: What the run says.
        scratch: A folder that lives as long as the session.
        delta_jars: Delta's jars on disk.
    """
    file_conf = properties(resources.read_conf("spark", "embedded.conf"))
    warehouse = (settings.warehouse or scratch / "warehouse").absolute()
    java_options = [
        file_conf.pop("spark.driver.extraJavaOptions"),
        f'-Dderby.system.home="{warehouse.parent / "derby"}"',
        f'-Dlog4j2.configurationFile="{scratch / _LOG4J}"',
        f'-Dbeatlake.log.file="{log_file(settings)}"',
    ]
    if not settings.optimize_jvm:
        java_options.append("-XX:TieredStopAtLevel=1")
    return {
        **file_conf,
        **session_conf(settings),
        "spark.master": f"local[{settings.cores or available_cores()}]",
        "spark.driver.memory": settings.memory or f"{default_memory_mb(total_memory_mb())}m",
        "spark.driver.extraJavaOptions": " ".join(java_options),
        "spark.jars": ",".join(map(str, delta_jars)),
        "spark.local.dir": os.environ.get("SPARK_LOCAL_DIRS", str(scratch)),
        "spark.sql.warehouse.dir": str(warehouse),
        "spark.sql.catalogImplementation": "hive" if settings.warehouse else "in-memory",
        _STARTED_HERE: "true",
        **settings.extra,
    }


def properties(text: str) -> dict[str, str]:
    r"""The `key value` lines of a Spark properties file.

    >>> properties("# why\nspark.ui.enabled   false\n")
    {'spark.ui.enabled': 'false'}
    """
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))


def default_memory_mb(total_mb: int) -> int:
    """Heap in MiB: half of the memory, since Python workers and file caches need the rest.

    >>> default_memory_mb(24_000), default_memory_mb(3_000)
    (12000, 2048)
    """
    return max(2048, total_mb // 2)


def log_file(settings: SparkSettings) -> Path:
    """The file that embedded Spark writes its own messages to."""
    return (settings.log_file or resources.cache_dir() / "spark.log").absolute()


def _provided(environ: Mapping[str, str]) -> bool:
    """Whether Spark is there already: spark-submit, Databricks or Spark Connect."""
    return any(
        environ.get(name)
        for name in ("PYSPARK_GATEWAY_PORT", "DATABRICKS_RUNTIME_VERSION", "SPARK_REMOTE")
    )


def _check_version(version: str) -> None:
    """Refuse a Spark that cannot send rows to a partition by its number.

    >>> _check_version("4.1.4")

    Raises:
        SetupError: it is older than 4.1.
    """
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < _OLDEST:
        raise SetupError(
            f"This session is of Spark {version}; beatlake needs 4.1 or newer.",
            "choose a cluster or runtime with Spark 4.1",
        )


def _of_session(key: str) -> bool:
    return key.startswith(("spark.sql.", "spark.databricks."))


def _apply(spark: SparkSession, conf: Mapping[str, str]) -> None:
    for key, value in conf.items():
        if spark.conf.get(key, None) == value:
            continue
        try:
            spark.conf.set(key, value)
        except Exception as error:
            # Serverless knows only a few settings; its defaults do for all but these.
            if key in _INDISPENSABLE:
                raise SetupError(
                    f"This Spark session refuses {key}={value}, without which results would "
                    f"differ between machines ({type(error).__name__}).",
                    f"set {key} {value} where the session is made (conf/spark/databricks.conf)",
                ) from error


def _start(settings: SparkSettings) -> SparkSession:
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession as Session

    java.check()
    delta_jars = jars.verified()
    scratch = Path(tempfile.mkdtemp(prefix="beatlake-spark-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    # A file of its own: the JVM cannot read one that is inside an archive.
    log4j = resources.read_conf("spark", _LOG4J)
    (scratch / _LOG4J).write_text(log4j, encoding="utf-8")
    log = log_file(settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    settled = list(embedded_conf(settings, scratch, delta_jars).items())
    spark_conf = SparkConf(loadDefaults=False).setAll(settled)
    # The JVM starts with these on its command line, which everybody on the machine may read.
    public_conf = SparkConf(loadDefaults=False).setAll(
        [(key, value) for key, value in settled if not names_secret(key)]
    )
    with _environment(), log.open("ab") as messages:
        written = messages.tell()
        output = {"stdout": messages, "stderr": messages}
        try:
            # A process keeps its JVM: a second session starts in the first one's.
            gateway = SparkContext._gateway or launch_gateway(  # type: ignore[no-untyped-call]
                public_conf, output
            )
        except PySparkRuntimeError as error:
            raise SetupError(
                f"Spark's JVM ended as it started: {_first_messages(log, written)}.",
                f"less {log}, or other settings of spark",
            ) from error
        context = SparkContext(gateway=gateway, conf=spark_conf)
        _remember_classes(context)
        return Session(context)


def _remember_classes(context: SparkContext) -> None:
    """Keep what pyspark asks the JVM for whenever it makes a column.

    Each time the JVM would look for a class of that short name in all of Spark's jars, some
    hundreds: a fifteenth of a small run.
    """
    jvm = context._jvm
    for name in ("functions", "PythonUtils"):
        setattr(jvm, name, getattr(jvm, name))


@contextmanager
def _environment() -> Iterator[None]:
    """The environment that Spark's scripts and Python workers must see.

    Workers run this very Python and import this very beatlake; Spark is the one of the installed
    pyspark, not another that SPARK_HOME names.
    """
    import pyspark

    home = Path(__file__).parents[1]
    path = os.pathsep.join(filter(None, (str(home), os.environ.get("PYTHONPATH"))))
    wanted = {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": path,
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _first_messages(log: Path, offset: int) -> str:
    lines = log.read_bytes()[offset:].decode("utf-8", errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip() and not line.startswith("WARNING")]
    return ": ".join(said[:2]).rstrip(".") or "it gave no reason"

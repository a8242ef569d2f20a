"""The wheel and the zip archive work away from the checkout, with and without pyspark."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import packaged
from beatlake import __version__, environment

ROOT = Path(__file__).parents[1]

WITHOUT_SPARK = """if True:
    import sys
    sys.modules.update({"pyspark": None, "delta": None})
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packaged.wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def archive(wheel: Path) -> Path:
    """The same package under the name that Spark's workers import from."""
    return Path(shutil.copy(wheel, wheel.with_name(f"beatlake-{__version__}.zip")))


def python(code: str, archive: Path, folder: Path, *arguments: str) -> str:
    """What a Python prints that has the archive, but not the checkout, on its path."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(archive)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_holds_the_package_the_configuration_and_nothing_else(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())

    conf = {path.relative_to(ROOT) for path in (ROOT / "conf").rglob("*") if path.is_file()}
    code = {path.relative_to(ROOT / "lib") for path in (ROOT / "lib").rglob("*.py")}
    wanted = {f"beatlake/{path.as_posix()}" for path in conf} | {path.as_posix() for path in code}
    assert wanted <= names
    assert {name.split("/")[0] for name in names} == {
        "beatlake",
        f"beatlake-{__version__}.dist-info",
    }
    assert not [name for name in names if "__pycache__" in name]


def test_wheel_is_the_same_bytes_each_time(wheel: Path, tmp_path: Path) -> None:
    assert packaged.wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_wheel_does_not_bring_spark(wheel: Path) -> None:
    metadata = f"beatlake-{__version__}.dist-info/METADATA"
    lines = ZipFile(wheel).read(metadata).decode().splitlines()
    required = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist")]

    spark = [text for text in required if re.match("pyspark|delta-spark|pandas", text)]
    assert len(spark) == 3
    assert all("extra == 'local'" in text for text in spark)


@pytest.mark.parametrize("kind", ["wheel", "archive"])
def test_package_works_without_pyspark_and_without_the_checkout(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    packed: Path = request.getfixturevalue(kind)
    code = f"""{WITHOUT_SPARK}
    import beatlake.config, beatlake.environment, beatlake.jars, beatlake.session
    from beatlake import resources
    print(beatlake.__file__)
    print(resources.checkout(), resources.cache_dir({{"XDG_CACHE_HOME": "/c"}}))
    print(len(beatlake.jars.pinned()))
    conf = beatlake.session.session_conf(beatlake.session.SparkSettings())
    print(conf["spark.sql.ansi.enabled"])
    """

    printed = python(code, packed, tmp_path).splitlines()

    assert printed == [str(packed / "beatlake" / "__init__.py"), "None /c/beatlake", "4", "true"]


def test_help_needs_no_spark_and_no_data_engine(archive: Path, tmp_path: Path) -> None:
    code = f"""{WITHOUT_SPARK}
    sys.argv = ["beatlake", "--help"]
    from beatlake.cli import main
    try:
        main()
    finally:
        heavy = {{"pandas", "pyarrow", "polars", "duckdb", "deltalake", "numpy"}}
        print("heavy:", sorted(heavy & set(sys.modules)))
    """

    printed = python(code, archive, tmp_path)

    assert "Usage" in printed
    assert printed.splitlines()[-1] == "heavy: []"


def test_spark_submit_uses_the_archive_on_driver_and_workers(archive: Path, tmp_path: Path) -> None:
    """A session of spark-submit is taken as it is and left running."""
    import pyspark

    job = tmp_path / "job.py"
    job.write_text(
        """
import pyarrow
from beatlake import resources
from beatlake.session import session, stop

def where(batches):
    import beatlake
    from beatlake.jars import pinned
    for batch in batches:
        yield pyarrow.RecordBatch.from_pydict({"file": [beatlake.__file__], "n": [len(pinned())]})

spark = session()
stop(spark)
row, = spark.range(1).mapInArrow(where, "file string, n long").collect()
print("SESSION", spark.conf.get("spark.app.name"), spark.conf.get("spark.sql.session.timeZone"))
print("WORKER", row.file, row.n)
""",
        encoding="utf-8",
    )

    done = subprocess.run(
        [
            str(Path(pyspark.__file__).parent / "bin" / "spark-submit"),
            *("--master", "local[1]", "--driver-memory", "1g", "--name", "of-the-cluster"),
            *("--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1"),
            *("--py-files", str(archive), str(job)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "TZ": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "SESSION of-the-cluster UTC" in done.stdout
    assert re.search(rf"WORKER \S+{archive.name}/beatlake/__init__.py 4", done.stdout)


def test_lock_files_name_versions_and_hashes_only() -> None:
    for path in (ROOT / "requirements").glob("*.lock"):
        text = path.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        pinned = re.compile(r"[\w.-]+==\S+|    --hash=sha256:")
        assert len(lines) > 20
        assert not [line for line in lines if not pinned.match(line)]
        assert "://" not in text


def test_versions_are_the_same_in_the_lock_and_in_the_doctor() -> None:
    lock = (ROOT / "requirements" / "dev.lock").read_text(encoding="utf-8")

    for name, version in environment.PACKAGES.items():
        assert f"\n{name}=={version} \\\n" in lock

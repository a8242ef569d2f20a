"""The pipeline job under spark-submit, from the packaged archive and away from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import beatlake
from beatlake import jars
from beatlake.quality.contract import contracts
from beatlake.synth import generate

ROOT = Path(__file__).parents[1]
#: Prints where the package comes from, then runs the job that stands beside it.
WRAPPER = """
import runpy, sys
import beatlake
print("package:", beatlake.__file__)
sys.argv[0] = "pipeline.py"
runpy.run_path("pipeline.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the archive, the job, its settings and the five required files."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    wheel = next(folder.glob("*.whl"))
    wheel.rename(folder / "beatlake.zip")
    shutil.copy(ROOT / "jobs" / "pipeline.py", folder)
    shutil.copy(ROOT / "conf" / "spark" / "cluster.conf", folder)
    (folder / "wrapper.py").write_text(WRAPPER, encoding="utf-8")
    generate(folder / "input", scale=0.0002, seed=1, clean=True, processes=1, progress=False)
    for name, contract in contracts().items():
        if not contract.required:
            (folder / "input" / f"{name}.csv").unlink()
    return folder


def test_the_job_publishes_a_release_from_the_archive(elsewhere: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SPARK_HOME")}
    environment |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(
        [
            Path(sys.executable).parent / "spark-submit",
            "--master",
            "local[2]",
            "--properties-file",
            "cluster.conf",
            "--jars",
            ",".join(str(path) for path in jars.verified()),
            "--py-files",
            "beatlake.zip",
            "wrapper.py",
            "--input",
            "input",
            "--lake",
            "lake",
            "--log",
            "plain",
        ],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "beatlake.zip" in next(
        line for line in done.stdout.splitlines() if line.startswith("package:")
    )
    opened = beatlake.open(elsewhere / "lake")
    rows = (elsewhere / "input" / "audio_features.csv").read_bytes().count(b"\r\n") - 1
    assert opened.table("bronze.audio_features").rows == rows
    assert opened.sql("SELECT count_if(has_audio) FROM silver.recordings").fetchall() == [(rows,)]
    assert opened.release.absent == sorted(n for n, c in contracts().items() if not c.required)

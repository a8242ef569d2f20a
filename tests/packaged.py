"""The packaged archive and a job in a directory that is not the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from beatlake import __version__, jars

ROOT = Path(__file__).parents[1]
#: What `make dist` makes, and what `--py-files` is given.
ARCHIVE = f"beatlake-{__version__}.zip"


def wheel(folder: Path) -> Path:
    """Build the wheel into a folder, as `make dist` does."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1704067200"},
        capture_output=True,
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def job(folder: Path, name: str = "pipeline.py") -> Path:
    """Put the archive, a job and its settings for a cluster into a folder."""
    wheel(folder).rename(folder / ARCHIVE)
    shutil.copy(ROOT / "jobs" / name, folder)
    shutil.copy(ROOT / "conf" / "spark" / "cluster.conf", folder)
    return folder


def environment() -> dict[str, str]:
    """The environment without what leads to the checkout or to another Spark."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SPARK_HOME")}
    return {**kept, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}


def submit(master: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
    """The command that submits a job from its folder: arguments of the job, options of Spark."""
    return [
        str(Path(sys.executable).parent / "spark-submit"),
        *("--master", master, "--properties-file", "cluster.conf"),
        *("--jars", ",".join(str(path) for path in jars.verified())),
        *("--py-files", ARCHIVE, *options, *arguments),
    ]

"""The pipeline job under spark-submit, from the packaged archive and away from the checkout."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path

import pytest

import beatlake
import packaged
from beatlake import resources
from beatlake.quality.contract import contracts
from beatlake.session import properties
from small_lake import required_files, run_arguments

JAVA_OPTIONS = "spark.driver.extraJavaOptions"
#: Prints where the package comes from, then runs the job that stands beside it.
WRAPPER = """
import runpy, sys
import beatlake
print("package:", beatlake.__file__)
sys.argv[0] = "pipeline.py"
runpy.run_path("pipeline.py", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("given", "networks"),
    [
        (["--task", "genre"], ["torch_resnet"]),
        (["--task=genre_sound", "--lake", "lake"], ["torch_cnn", "torch_pooled"]),
        (["--task", "genre", "--estimator", "torch_mlp"], []),
        (["--task", "nowhere"], []),
    ],
)
def test_networks_are_those_of_the_task_unless_they_are_named(
    given: list[str], networks: list[str]
) -> None:
    job = runpy.run_path(str(Path(__file__).parents[1] / "jobs" / "torch_train.py"))
    assert job["networks"](given) == networks


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the archive, the job, its settings and the five required files."""
    folder = packaged.job(tmp_path_factory.mktemp("elsewhere"))
    (folder / "wrapper.py").write_text(WRAPPER, encoding="utf-8")
    required_files(folder / "input", clean=True)
    return folder


def test_the_job_publishes_a_release_from_the_archive(elsewhere: Path) -> None:
    embedded = resources.read_conf("spark", "embedded.conf")
    done = subprocess.run(
        packaged.submit(
            "local[2]",
            *("wrapper.py", *run_arguments("input", "lake", "spark.shuffle_partitions=2")[1:]),
            # As quick to start as the embedded one: a small job on one machine.
            options=("--driver-java-options", properties(embedded)[JAVA_OPTIONS]),
        ),
        cwd=elsewhere,
        env=packaged.environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert packaged.ARCHIVE in next(
        line for line in done.stdout.splitlines() if line.startswith("package:")
    )
    opened = beatlake.open(elsewhere / "lake")
    rows = (elsewhere / "input" / "audio_features.csv").read_bytes().count(b"\r\n") - 1
    assert opened.table("bronze.audio_features").rows == rows
    assert opened.sql("SELECT count_if(has_audio) FROM silver.recordings").fetchall() == [(rows,)]
    assert opened.release.absent == sorted(n for n, c in contracts().items() if not c.required)

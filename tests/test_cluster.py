"""A run on a real cluster outlives its executors, a worker and its driver.

Master, workers, driver and executors are processes of their own on 127.0.0.1; the job is the
packaged archive through spark-submit. ``BEATLAKE_CLUSTER_REPORT=FILE`` appends what was done and
what came of it as rows of a Markdown table.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import beatlake
import packaged
from beatlake import failpoints
from beatlake.config import load
from beatlake.lake import Lake
from beatlake.reading import OpenLake
from beatlake.runs import publishing
from beatlake.runs.report import Silent
from beatlake.runs.runner import run
from small_lake import counts, hashes, required_files
from standalone import Submitted, cluster, until

pytestmark = pytest.mark.full

#: Longest that a stage may be waited for, and a whole run.
_STAGE_S, _RUN_S = 600, 900
#: How long executors run before they are looked at, and how long the driver may take to hear of
#: what they did before they stood still.
_STEP_S, _SETTLES_S = 0.05, 0.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the archive, the job, its settings and the five required files."""
    made = packaged.job(tmp_path_factory.mktemp("cluster"))
    required_files(made / "input")
    return made


@pytest.fixture(scope="module")
def undisturbed(spark: object, folder: Path) -> OpenLake:
    """The release that embedded Spark makes when nothing happens to it."""
    settings = load(assignments=["spark.shuffle_partitions=2"], environment={})
    run(str(folder / "input"), Lake(folder / "undisturbed"), settings, Silent())
    return beatlake.open(folder / "undisturbed")


def at_work(
    job: Submitted, kind: str, chosen: Callable[[], list[psutil.Process]]
) -> tuple[str, list[psutil.Process]]:
    """The stages of a kind that run, and the executors that are chosen while they do.

    From the first of these stages on all executors run a step at a time and stand still while the
    driver is asked about them: what is chosen cannot be over before it is killed, and no task is
    too short to be met. The chosen ones are left standing.
    """

    def found() -> tuple[str, list[psutil.Process]] | None:
        if not any(stage.startswith(kind) for stage in job.running()):
            return None
        executors = job.executors()
        for executor in executors:
            executor.suspend()
        time.sleep(_SETTLES_S)
        running = ", ".join(sorted(stage for stage in job.running() if stage.startswith(kind)))
        victims = chosen() if running else []
        for executor in executors:
            if executor not in victims:
                executor.resume()
        if victims and set(victims) <= set(executors):
            return running, victims
        time.sleep(_STEP_S)
        return None

    return until(found, _STAGE_S, f"a task of {kind}")


def same(job: Submitted, lake: Path, expected: OpenLake) -> None:
    """The job ends well, with the one release that it should make and the same counts."""
    assert job.process.wait(_RUN_S) == 0, job.said()
    opened = beatlake.open(lake)
    assert hashes(opened) == hashes(expected)
    assert counts(opened) == counts(expected)
    assert [release.release for release in publishing.published(Lake(lake))] == [1]


def report(fault: str, when: str, happened: str, seconds: float) -> None:
    """A row of the report; it is only reached where the releases were equal."""
    if path := os.environ.get("BEATLAKE_CLUSTER_REPORT"):
        with Path(path).open("a", encoding="utf-8") as stream:
            if stream.tell() == 0:
                stream.write("| fault | while | what happened | seconds | equal |\n")
                stream.write("|---|---|---|---:|---|\n")
            stream.write(f"| {fault} | {when} | {happened} | {seconds:.0f} | yes |\n")


def test_executors_and_a_worker_are_killed_and_the_release_is_the_same(
    folder: Path, undisturbed: OpenLake, tmp_path: Path
) -> None:
    """An executor that reads records, all whose output others need, then a worker for good."""
    started = time.monotonic()
    with cluster(tmp_path / "cluster") as machines:
        job = Submitted(machines, folder, tmp_path / "lake")
        reading, victims = at_work(job, "ingest.", lambda: job.reading_records()[:1])
        victims[0].kill()
        joining, victims = at_work(job, "integrate.", job.reading_shuffles)
        for victim in victims:
            victim.kill()
        adding, victims = at_work(job, "aggregate.", lambda: job.busy()[:1])
        machines.lose_worker(victims[0])
        same(job, tmp_path / "lake", undisturbed)
        assert machines.alive() == 1
    trouble = job.trouble()
    assert trouble["executors lost"] == 4
    assert trouble["tasks failed"] >= 3
    assert trouble["stages done again"] >= 1
    report(
        "an executor killed, all executors killed, a worker killed for good",
        "; ".join((reading, joining, adding)),
        ", ".join(f"{number} {what}" for what, number in trouble.items()),
        time.monotonic() - started,
    )


def test_the_driver_is_killed_and_the_job_submitted_again_makes_the_same_release(
    folder: Path, undisturbed: OpenLake, tmp_path: Path
) -> None:
    """Once while tables are joined, once with data files written and not committed."""
    started = time.monotonic()
    lake, place = tmp_path / "lake", "during:gold.by_genre"
    with cluster(tmp_path / "cluster") as machines:
        first = Submitted(machines, folder, lake)
        joining, executors = at_work(first, "integrate.", first.busy)
        first.kill()
        for executor in executors:
            executor.resume()
        second = Submitted(machines, folder, lake, **{failpoints.VARIABLE: place})
        assert second.process.wait(_RUN_S) == -signal.SIGKILL, second.said()
        third = Submitted(machines, folder, lake)
        same(third, lake, undisturbed)
    records = beatlake.open(lake).table("ops.stages").arrow().to_pylist()
    runs = Counter(record["run_id"] for record in records)
    assert len(runs) == 3, "every run did some of the work"
    assert max(Counter(record["stage"] for record in records).values()) == 1
    report(
        "driver killed, submitted again, killed, submitted again",
        f"{joining}; {place}",
        f"the three runs did {', '.join(map(str, runs.values()))} stages, none twice",
        time.monotonic() - started,
    )

"""A standalone Spark cluster on this machine, and a job on it watched from outside."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import psutil
import pyspark

import packaged

Found = TypeVar("Found")

_HOST = "127.0.0.1"
_STARTS_S = 90.0
_POLL_S = 0.02
#: Five Java processes that live for minutes share this machine: the second compiler, which makes
#: code faster that runs for long, would take most of it.
_JAVA = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
#: What the README says that workers need besides Python.
_OF_WORKERS = ("pyarrow", "numpy", "duckdb")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listening:
        listening.bind((_HOST, 0))
        return int(listening.getsockname()[1])


def ask(port: int, path: str) -> Any:
    """What a Spark process answers on its web port; None where nobody answers."""
    try:
        with urlopen(f"http://{_HOST}:{port}/{path}", timeout=10) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def until(condition: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """What a condition gives, as soon as it gives something true.

    Raises:
        TimeoutError: it gave nothing for so many seconds.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(_POLL_S)
    raise TimeoutError(f"{what}: not within {seconds:g} s")


class Cluster:
    """The processes of a cluster, each the leader of its own process group."""

    def __init__(self, folder: Path, workers: int = 2, memory: str = "1g") -> None:
        """Start a master and workers of one core each; their logs go to the folder."""
        self.folder, self.memory = folder, memory
        self.python = _python_of_workers(folder)
        self._web = free_port()
        port = free_port()
        self.master = f"spark://{_HOST}:{port}"
        self._started: list[subprocess.Popen[bytes]] = []
        self._start("master", "master.Master", "--port", str(port), "--webui-port", str(self._web))
        self.workers = [self._start_worker(f"worker-{number}") for number in range(workers)]

    def _start(self, name: str, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        started = subprocess.Popen(
            [
                str(Path(pyspark.__file__).parent / "bin" / "spark-class"),
                *(f"org.apache.spark.deploy.{kind}", "--host", _HOST, *arguments),
            ],
            env={
                **packaged.environment(),
                "SPARK_DAEMON_MEMORY": "256m",
                "SPARK_DAEMON_JAVA_OPTS": _JAVA,
            },
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / f"{name}.log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._started.append(started)
        return started

    def _start_worker(self, name: str) -> psutil.Process:
        started = self._start(
            *(name, "worker.Worker", "--cores", "1", "--memory", self.memory, "--work-dir"),
            *(str(self.folder / name), "--webui-port", str(free_port()), self.master),
        )
        return psutil.Process(started.pid)

    def alive(self) -> int:
        """How many workers the master counts on."""
        state = ask(self._web, "json/") or {"workers": []}
        return sum(worker["state"] == "ALIVE" for worker in state["workers"])

    def executors(self) -> dict[str, psutil.Process]:
        """The executors that run, by their ids."""
        found = {}
        for worker in self.workers:
            for child in below(worker):
                with unless_gone():
                    command = child.cmdline()
                    if "--executor-id" in command:
                        found[command[command.index("--executor-id") + 1]] = child
        return found

    def lose_worker(self, executor: psutil.Process) -> None:
        """Kill the worker of an executor with all that it started, for good."""
        (worker,) = [worker for worker in self.workers if executor in below(worker)]
        self.workers.remove(worker)
        _kill([worker, *below(worker)])

    def stop(self) -> None:
        """Kill every process of the cluster, and those that they started."""
        living = [psutil.Process(p.pid) for p in self._started if p.poll() is None]
        _kill([process for leader in living for process in (leader, *below(leader))])
        for started in self._started:
            started.wait()


@contextmanager
def cluster(folder: Path, workers: int = 2, memory: str = "1g") -> Iterator[Cluster]:
    """A cluster with workers of one core each, stopped at the end whatever happens."""
    folder.mkdir()
    made = Cluster(folder, workers, memory)
    try:
        until(lambda: made.alive() == workers, _STARTS_S, f"{workers} workers")
        yield made
    finally:
        made.stop()


#: So few that the small input is joined in many tasks, which read what others left behind.
_TASK_VALUES = 5_000


class Submitted:
    """The pipeline job on a cluster, watched from outside."""

    def __init__(self, on: Cluster, folder: Path, lake: Path, **environment: str) -> None:
        """Submit it from a folder that `packaged.job` made, with the input there."""
        lake.mkdir(exist_ok=True)
        self._on = on
        self._web = free_port()
        self._events = lake.parent / f"{lake.name}-events-{self._web}"
        self._events.mkdir()
        self._out, self._err = (self._events / name for name in ("out", "err"))
        conf = {
            "spark.driver.host": _HOST,
            "spark.driver.extraJavaOptions": _JAVA,
            "spark.executor.extraJavaOptions": _JAVA,
            "spark.ui.port": self._web,
            # What the driver says of tasks is never older than what it knows.
            "spark.ui.liveUpdate.period": "0",
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self._events.as_uri(),
            "spark.eventLog.compress": "false",
            "spark.eventLog.rolling.enabled": "false",
        }
        options = [o for key, value in conf.items() for o in ("--conf", f"{key}={value}")]
        options += ["--executor-memory", "1g", "--executor-cores", "1"]
        self.process = subprocess.Popen(
            packaged.submit(
                on.master,
                *("pipeline.py", "--input", "input", "--lake", str(lake), "--log", "json"),
                *("--set", f"spark.task_values={_TASK_VALUES}"),
                *("--set", f"spark.alone_values={_TASK_VALUES}"),
                options=options,
            ),
            cwd=folder,
            env={
                **packaged.environment(),
                "PYSPARK_DRIVER_PYTHON": sys.executable,
                "PYSPARK_PYTHON": str(on.python),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=self._out.open("wb"),
            stderr=self._err.open("wb"),
            start_new_session=True,
        )

    def running(self) -> set[str]:
        """The stages that have started and not finished.

        Raises:
            RuntimeError: the job has ended.
        """
        if self.process.poll() is not None:
            raise RuntimeError(f"the job ended before: {self.said()}")
        stages: set[str] = set()
        for event in self.told():
            if event["event"] == "stage_started":
                stages.add(event["fields"]["stage"])
            elif event["event"] == "stage_finished":
                stages.discard(event["fields"]["stage"])
        return stages

    def told(self) -> list[dict[str, Any]]:
        """The events of the job's JSON log, whole lines only."""
        lines = self._out.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self) -> str:
        """The end of what the job and Spark's driver said."""
        return self._out.read_text()[-2000:] + self._err.read_text()[-3000:]

    def executors(self) -> list[psutil.Process]:
        """The executors that are there."""
        return list(self._on.executors().values())

    def busy(self) -> list[psutil.Process]:
        """The executors that are at a task."""
        told = {one["id"]: one["activeTasks"] for one in self._asked("executors")}
        return [process for id_, process in self._on.executors().items() if told.get(id_)]

    def reading_records(self) -> list[psutil.Process]:
        """The executors that are at a task and have started Python, which reads the input."""
        return [
            process
            for process in self.busy()
            if any("pyspark.daemon" in child.cmdline() for child in below(process))
        ]

    def reading_shuffles(self) -> list[psutil.Process]:
        """Every executor, while one is at a task that reads what other tasks left on them."""
        parents = {
            event["Stage Info"]["Stage ID"]: event["Stage Info"]["Parent IDs"]
            for event in self._logged("SparkListenerStageSubmitted")
        }
        active = [one for one in self._asked("stages?status=active") if one["numActiveTasks"]]
        reads = any(parents.get(one["stageId"]) for one in active)
        return self.executors() if reads else []

    def _asked(self, path: str) -> list[dict[str, Any]]:
        """What the driver answers about its application; nothing before it listens."""
        for application in ask(self._web, "api/v1/applications") or []:
            return list(ask(self._web, f"api/v1/applications/{application['id']}/{path}") or [])
        return []

    def _logged(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind in Spark's event log, whole lines only."""
        found = []
        for log in self._events.glob("app-*"):
            for line in log.read_text(encoding="utf-8").split("\n")[:-1]:
                # Cheaper than to parse the many events that are not wanted.
                if line.startswith(f'{{"Event":"{kind}"'):
                    found.append(json.loads(line))
        return found

    def kill(self) -> None:
        """Kill the driver, its JVM and its Python, hard."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def trouble(self) -> dict[str, int]:
        """What Spark's event log counts of executors lost, tasks failed and stages done again."""
        tasks = self._logged("SparkListenerTaskEnd")
        stages = self._logged("SparkListenerStageSubmitted")
        return {
            "executors lost": len(self._logged("SparkListenerExecutorRemoved")),
            "tasks failed": sum(t["Task End Reason"]["Reason"] != "Success" for t in tasks),
            "stages done again": sum(s["Stage Info"]["Stage Attempt ID"] > 0 for s in stages),
        }


def _python_of_workers(folder: Path) -> Path:
    """A Python that has what workers need and no other package, so not beatlake either."""
    packages = folder / "packages"
    packages.mkdir()
    for name in _OF_WORKERS:
        installed = distribution(name)
        tops = {file.parts[0] for file in installed.files or ()}
        assert tops, name
        for top in tops - {"..", "__pycache__"}:
            (packages / top).symlink_to(Path(str(installed.locate_file(top))))
    script = folder / "python"
    script.write_text(
        "#!/bin/sh\n"
        f'export PYTHONPATH="$PYTHONPATH:{packages}"\n'
        f'exec {shlex.quote(sys.executable)} -S "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script


def below(process: psutil.Process) -> list[psutil.Process]:
    """The processes that a process started, and those that they did; none if it is gone."""
    with unless_gone():
        return list(process.children(recursive=True))
    return []


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with unless_gone():
            process.kill()
    psutil.wait_procs(processes, timeout=10)


@contextmanager
def unless_gone() -> Iterator[None]:
    """Go on where a process is gone."""
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        yield

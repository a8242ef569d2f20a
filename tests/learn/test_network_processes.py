"""Networks among processes: steps that are taken together, tasks that are lost, memory, a kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sounds
import tables

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn import estimators
from beatlake.learn.estimators.networks.network import Network
from beatlake.learn.folds import Fold

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest.importorskip("torch", reason="networks need the extra torch: make torch")
pytest.importorskip("safetensors", reason="networks need the extra torch: make torch")

HERE = Path(__file__).parent
SMALL: dict[str, dict[str, Any]] = {
    "torch_mlp": {"hidden": (12,), "epochs": 4, "batch_size": 64, "dropout": 0.0},
    "torch_cnn": {"channels": (4,), "epochs": 4, "batch_size": 64, "dropout": 0.0, "masked": 0.0},
}
#: Networks on numbers, and on images.
NETWORKS = pytest.mark.parametrize("name", SMALL)
#: Fits in a session of its own on rows that `tables` or `sounds` makes; `fitted` gives a network's
#: bytes.
PRELUDE = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(HERE)!r})
import sounds, tables
from beatlake.errors import ProcessLostError
from beatlake.learn import estimators
from beatlake.learn.estimators.networks import federated, shards
from beatlake.learn.records import Records
from beatlake.session import SparkSettings, session, stop

folder, name = Path(sys.argv[1]), sys.argv[2]
if name == "torch_mlp":
    fold = tables.fold_of(tables.made("classes"), "classes", folder, watched=True)
else:
    fold = sounds.fold(*sounds.rhythms(200), folder)
parameters = {{**{SMALL!r}[name], "strategy": "federated"}}

def fitted(spark, records=None):
    model = estimators.fit(spark, name, "classes", fold, parameters, 3, records=records)
    return model.content().hex()
"""


def fold_for(name: str, folder: Path) -> Fold:
    """Rows that a network can look at."""
    if name == "torch_mlp":
        return tables.fold_of(tables.made("classes", 2000), "classes", folder, watched=True)
    made: Fold = sounds.fold(*sounds.rhythms(600), folder)
    return made


def python(code: str, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
        start_new_session=True,
    )


def test_more_processes_than_slots_are_refused_before_spark_waits(
    spark: SparkSession, tmp_path: Path
) -> None:
    fold = tables.fold_of(tables.made("classes"), "classes", tmp_path)
    with pytest.raises(ConfigError, match="3 workers, and Spark has 2 slots"):
        parameters = {**SMALL["torch_mlp"], "strategy": "data_parallel", "workers": 3}
        estimators.fit(spark, "torch_mlp", "classes", fold, parameters, 1)


def test_processes_come_to_one_sum_of_short_and_of_long_arrays_and_leave_no_thread() -> None:
    """A thread of gloo's that runs while Python ends aborts the process."""
    code = """if True:
        from pathlib import Path
        import torch
        import torch.distributed as dist
        from beatlake.learn.estimators.networks.data_parallel import add_up, group

        def gloo():
            threads = Path("/proc/self/task").glob("*/comm")
            return [name for file in threads if "gloo" in (name := file.read_text())]

        with group():
            for length in (5, 300_000):
                flat = torch.arange(length, dtype=torch.float32) % 97 * 10 ** dist.get_rank()
                add_up(flat)
                print(torch.equal(flat, torch.arange(length) % 97 * 111.0))
            # Imports more of torch.
            weights = torch.ones(3, requires_grad=True)
            optimizer = torch.optim.AdamW([weights], fused=True)
            weights.sum().backward()
            optimizer.step()
            print(bool(gloo()) or not Path("/proc/self/task").exists())
        print(gloo())
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def process(rank: str) -> subprocess.CompletedProcess[str]:
        among = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "3", "RANK": rank}
        return python(code, **among)

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(process, "012"))
    assert [done.returncode for done in found] == [0, 0, 0], found[0].stderr[-2000:]
    assert {done.stdout for done in found} == {"True\nTrue\nTrue\n[]\n"}


@pytest.mark.full
@NETWORKS
def test_processes_that_step_together_come_near_to_one_and_alone_are_one(
    name: str, spark: SparkSession, tmp_path: Path
) -> None:
    fold = fold_for(name, tmp_path)

    def fitted(**more: Any) -> Network:
        parameters = {**SMALL[name], "learning_rate": 0.01, **more}
        model = estimators.fit(spark, name, "classes", fold, parameters, 3)
        assert isinstance(model, Network)
        return model

    one = fitted()
    assert fitted(strategy="data_parallel", workers=1).content() == one.content()
    two = [fitted(strategy="data_parallel", workers=2) for _ in range(2)]
    assert two[0].content() == two[1].content()
    assert two[0].content() != one.content()
    losses = [model.facts()["losses"][-1] for model in (one, two[0])]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.full
def test_processes_that_diverge_together_say_what_to_change(
    spark: SparkSession, tmp_path: Path
) -> None:
    fold = fold_for("torch_mlp", tmp_path)
    parameters = {**SMALL["torch_mlp"], "strategy": "data_parallel", "learning_rate": 1e30}
    with pytest.raises(InputError, match="lower learning_rate"):
        estimators.fit(spark, "torch_mlp", "classes", fold, parameters, 3)


@pytest.mark.full
@NETWORKS
def test_a_task_that_is_lost_and_tried_again_changes_nothing(name: str, tmp_path: Path) -> None:
    """The first try of every second task does all its work, and is lost at its end."""
    code = f"""{PRELUDE}
class Lost:
    def __init__(self, task):
        self.task = task

    def __call__(self, batches):
        from pyspark import TaskContext

        found = list(self.task(batches))
        context = TaskContext.get()
        if context.attemptNumber() == 0 and context.partitionId() == 1:
            Path({str(tmp_path)!r}, "lost").open("a").write("x")
            raise RuntimeError("lost")
        yield from found

extra = {{"spark.master": "local[2,4]"}}
spark = session(SparkSettings(cores=2, memory="2g", extra=extra))
expected = fitted(spark)
spool, train = shards._Spool, federated._Train
shards._Spool = lambda *given: Lost(spool(*given))
federated._Train = lambda *given: Lost(train(*given))
found = fitted(spark)
stop(spark)
print(found == expected)
"""
    done = python(code, tmp_path, name)
    assert done.stdout == "True\n", done.stderr[-2000:]
    # The spooling, and four rounds.
    assert (tmp_path / "lost").read_text() == "x" * 5


@pytest.mark.full
@NETWORKS
def test_a_training_that_is_killed_goes_on_to_the_same_network(name: str, tmp_path: Path) -> None:
    code = f"""{PRELUDE}
spark = session(SparkSettings(cores=2, memory="2g"))
kept = Records(folder / "records", {{}}) if sys.argv[3] == "kept" else None
print(fitted(spark, kept))
stop(spark)
"""
    expected = python(code, tmp_path, name, "not")
    assert expected.returncode == 0, expected.stderr[-2000:]
    killed = python(code, tmp_path, name, "kept", BEATLAKE_FAILPOINT="after:round 2")
    assert killed.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "records").iterdir())) == 1
    # The first round would stop it, were it made again.
    again = python(code, tmp_path, name, "kept", BEATLAKE_FAILPOINT="after:round 1")
    assert again.returncode == 0, again.stderr[-2000:]
    assert again.stdout == expected.stdout


@pytest.mark.full
def test_a_process_that_is_lost_is_told_of_and_the_training_goes_on_to_the_same_network(
    tmp_path: Path,
) -> None:
    code = f"""{PRELUDE}
parameters["strategy"] = "data_parallel"
spark = session(SparkSettings(cores=2, memory="2g"))
kept = Records(folder / "records", {{}}) if sys.argv[3] == "kept" else None
try:
    print(fitted(spark, kept)[-1000:])
except ProcessLostError as error:
    print(error)
stop(spark)
"""
    expected = python(code, tmp_path, "torch_mlp", "not")
    assert expected.returncode == 0, expected.stderr[-2000:]
    # The first of the two processes keeps the rounds, and ends at the second of them.
    killed = python(code, tmp_path, "torch_mlp", "kept", BEATLAKE_FAILPOINT="after:round 2")
    assert "One of the 2 processes that train the network together has ended" in killed.stdout
    again = python(code, tmp_path, "torch_mlp", "kept", BEATLAKE_FAILPOINT="after:round 1")
    assert again.stdout.splitlines()[-1] == expected.stdout.splitlines()[-1]


@pytest.mark.full
@pytest.mark.parametrize("name", ["torch_mlp", "torch_cnn"])
def test_memory_does_not_grow_with_the_rows(name: str, tmp_path: Path) -> None:
    code = f"""if True:
        import json, resource, sys
        from pathlib import Path
        sys.path.insert(0, {str(HERE)!r})
        import numpy as np
        from beatlake.learn.estimators.networks.architecture import Architecture
        from beatlake.learn.estimators.networks.learner import Learner, Learning
        from beatlake.learn.estimators.networks.settings import settled
        from beatlake.learn.estimators.networks.shards import Shard
        from beatlake.learn.estimators.networks.spooled import Rows, Writer

        folder, batches = Path(sys.argv[1]), int(sys.argv[2])
        random = np.random.default_rng(1)
        name = {name!r}
        images = name == "torch_cnn"
        # As many bytes, of numbers or of images.
        rows, wide = (800, 2000) if images else (10_000, 40)
        with Writer(folder / "train-0.arrow") as train, Writer(folder / "watch-0.arrow"):
            for _ in range(batches):
                numbers = random.normal(size=(rows, wide)).astype(np.float32)
                if images:
                    numbers = random.integers(0, 256, (rows, wide), np.uint8)
                label = (numbers[:, 0] > 0).astype(float)
                weight = np.ones(rows, np.float32)
                train.add(Rows(numbers, np.zeros((rows, 0), np.int64), label, weight))
        names = ("x",) if images else tuple(f"x{{i}}" for i in range(40))
        settings = settled(name, {{"channels": (2,)}} if images else {{"hidden": (16,)}})
        of = Architecture.of(
            name, "classes", names, (), 2, settings, (40, 50) if images else None
        )
        shard = Shard(0, folder, train.rows, 0, 0.0, 0.0, "")
        size = 64 if images else 2048
        Learner(Learning(of, settings, 1), shard, size).epoch(0, of.initial(1), {{}})
        size = shard.training.path.stat().st_size
        print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, size / 2**20]))
    """
    found = []
    for batches in (20, 100):
        place = tmp_path / str(batches)
        place.mkdir()
        done = python(code, place, str(batches))
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    (few_mb, small_mb), (many_mb, large_mb) = found
    assert large_mb - small_mb > 120
    assert many_mb - few_mb < 25

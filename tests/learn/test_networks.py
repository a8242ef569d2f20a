"""Networks compute what their papers say, train the same way whoever trains, and stop and go on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tables

from beatlake.config import ConfigError
from beatlake.errors import InputError, SetupError
from beatlake.learn import registry
from beatlake.learn.algorithms import Range
from beatlake.learn.estimators import networks
from beatlake.learn.estimators.networks import federated, network, strategies
from beatlake.learn.estimators.networks.architecture import Architecture, Arrays, forward
from beatlake.learn.estimators.networks.learner import Learner, Learning
from beatlake.learn.estimators.networks.network import Network
from beatlake.learn.estimators.networks.rounds import Record, State, run
from beatlake.learn.estimators.networks.settings import NetworkSettings
from beatlake.learn.estimators.networks.shards import Shard
from beatlake.learn.estimators.networks.spooled import Rows, Spooled, Writer
from beatlake.learn.estimators.networks.weights import packed, unpacked

torch = pytest.importorskip("torch", reason="networks need the extra torch: make torch")
pytest.importorskip("safetensors", reason="networks need the extra torch: make torch")

SMALL = NetworkSettings(hidden=(12, 6), width=8, blocks=2, embedding=3, epochs=4, batch_size=64)


def architecture(name: str = "torch_mlp", kind: str = "classes") -> Architecture:
    classes = 3 if kind == "classes" else 0
    return Architecture.of(name, kind, tables.COLUMNS, tables.CATEGORIES, classes, SMALL)


def rows_of(table: pa.Table, of: Architecture) -> Rows:
    numbers, places = of.encoded(table)
    label = table.column("label").to_numpy()
    return Rows(numbers, places, label, np.ones(len(label), np.float32))


def shard_of(rows: Rows, folder: Path, place: int = 0) -> Shard:
    """Rows that train, the first hundred of which watch as well."""
    folder.mkdir(exist_ok=True)
    for name, part in (("train", rows), ("watch", rows.take(slice(0, 100)))):
        with Writer(folder / f"{name}-{place}.arrow") as writer:
            writer.add(part)
    return Shard(place, folder, len(rows), min(len(rows), 100), 0.0, 0.0, "")


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return shard_of(rows_of(tables.made("classes"), architecture()), tmp_path / "shard")


def same(first: Arrays, second: Arrays) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_a_perceptron_gives_what_the_layers_of_torch_give() -> None:
    of = architecture()
    weights = {name: torch.tensor(array) for name, array in of.initial(3).items()}
    numbers, places = (torch.tensor(a) for a in of.encoded(tables.made("classes", 50)))
    embedded = torch.nn.Embedding.from_pretrained(weights["category.0.weight"])(places[:, 0])
    layers: list[Any] = []
    for name in ("layer.0", "layer.1", "last"):
        linear = torch.nn.Linear(*weights[f"{name}.weight"].shape[::-1])
        linear.load_state_dict({k: weights[f"{name}.{k}"] for k in ("weight", "bias")})
        layers += [linear, torch.nn.ReLU()]
    expected = torch.nn.Sequential(*layers[:-1])(torch.cat([numbers, embedded], 1))
    assert torch.allclose(forward(of, weights, numbers, places), expected, atol=1e-6)


def test_a_residual_network_gives_what_its_formula_says() -> None:
    of = architecture("torch_resnet")
    random = np.random.default_rng(4)
    weights = {n: a + random.normal(0, 0.3, a.shape) for n, a in of.initial(3).items()}
    numbers, places = of.encoded(tables.made("classes", 50))

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        scaled = (x - x.mean(axis=1, keepdims=True)) / spread
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = linear("first", np.hstack([numbers, weights["category.0.weight"][places[:, 0]]]))
    for i in (0, 1):
        inner = np.maximum(linear(f"block.{i}.in", norm(f"block.{i}.norm", x)), 0)
        x = x + linear(f"block.{i}.out", inner)
    expected = linear("last", np.maximum(norm("norm", x), 0))
    tensors = {name: torch.tensor(array, dtype=torch.float32) for name, array in weights.items()}
    found = forward(of, tensors, torch.tensor(numbers), torch.tensor(places))
    assert found.numpy() == pytest.approx(expected, abs=1e-4)


def test_a_category_is_the_place_of_its_value_and_0_where_there_is_none() -> None:
    columns = dict.fromkeys(tables.COLUMNS, [0.0] * 4)
    columns["mood__0"], columns["mood__other"] = [1.0, 0.0, 0.0, 0.4], [0.0, 1.0, 0.0, 0.6]
    numbers, places = architecture().encoded(pa.table(columns))
    assert numbers.shape == (4, 2)
    # The last is what a resampler makes of two rows.
    assert places[:, 0].tolist() == [1, 3, 0, 3]


def test_a_network_needs_neither_numbers_nor_categories(tmp_path: Path) -> None:
    for columns, categories in ((("a", "b"), ()), (tables.COLUMNS[2:], tables.CATEGORIES)):
        of = Architecture.of("torch_resnet", "number", columns, categories, 0, SMALL)
        table = tables.made("number", 70)
        shard = shard_of(rows_of(table, of), tmp_path / str(len(columns)))
        weights, _ = Learner(Learning(of, SMALL, 1), shard, 32).epoch(0, of.initial(1), {})
        assert Network(of, weights).predict(None, table).values.shape == (70,)


def test_an_epoch_takes_every_row_once_in_an_order_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beatlake.learn.estimators.networks.spooled.CHUNK", 100)
    rows = rows_of(tables.made("number", 730), architecture())
    shard_of(rows, tmp_path / "s")
    spooled = Spooled(tmp_path / "s" / "train-0.arrow")
    assert [len(chunk) for chunk in spooled.chunks()] == [100] * 7 + [30]

    def epoch(seed: int) -> Iterator[Rows]:
        return spooled.batches(64, np.random.default_rng(seed))

    assert [len(batch) for batch in epoch(1)] == [64] * 11 + [26]
    orders = [np.concatenate([batch.label for batch in epoch(seed)]) for seed in (1, 1, 2)]
    assert (orders[0] == orders[1]).all()
    assert (orders[0] != orders[2]).any()
    assert sorted(orders[0]) == sorted(orders[2]) == sorted(rows.label)
    (first, *_) = epoch(1)
    place = {label: i for i, label in enumerate(rows.label)}
    for i in range(len(first)):
        whole = place[first.label[i]]
        assert (first.numbers[i] == rows.numbers[whole]).all()
        assert (first.places[i] == rows.places[whole]).all()


@pytest.mark.parametrize("name", ["torch_mlp", "torch_resnet"])
def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    name: str, shard: Shard
) -> None:
    of = architecture(name)
    found = []
    for seed in (1, 1, 2):
        torch.rand(7)  # What others draw from torch changes nothing.
        learner = Learner(Learning(of, SMALL, seed), shard, 64)
        found.append(learner.epoch(0, of.initial(1), {})[0])
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_drawing_for_a_network_leaves_the_draws_of_others_alone(shard: Shard) -> None:
    of = architecture()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Learner(Learning(of, SMALL, 1), shard, 64).epoch(0, of.initial(1), {})
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("batch", [220, 50])
def test_processes_that_step_together_take_the_step_of_one_with_all_rows(
    batch: int, tmp_path: Path
) -> None:
    """Shards of different sizes; in small batches the second has no rows for the last steps."""
    of = architecture().model_copy(update={"dropout": 0.0})
    learning = Learning(of, SMALL, 1)
    rows = rows_of(tables.made("classes", 300), of)
    rows = replace(rows, weight=np.where(rows.label == 1, 3.0, 1.0).astype(np.float32))
    parts = (slice(0, 220), slice(220, 300))
    shards = [shard_of(rows.take(p), tmp_path / "cut", i) for i, p in enumerate(parts)]
    steps = -(-220 // batch)
    barrier, sums = threading.Barrier(2), [None, None]
    found: list[tuple[Arrays, Arrays]] = [({}, {}), ({}, {})]

    def work(rank: int) -> None:
        def reduce(flat: Any) -> None:
            sums[rank] = flat.clone()
            barrier.wait()
            flat.copy_(sums[0] + sums[1])
            barrier.wait()

        # What a safetensors file holds comes in any order.
        weights = dict(sorted(of.initial(1).items(), reverse=bool(rank)))
        learner = Learner(learning, shards[rank], batch, steps, reduce)
        found[rank] = learner.epoch(0, weights, {})

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(found[0][0], found[1][0])
    assert found[0][1]["step:last.bias"] == steps
    if steps == 1:
        # One step of all rows, whose order does not matter: the first moment is a tenth of the
        # gradient. Weights themselves step by its sign, even where it is 0 but for rounding.
        whole = Learner(learning, shard_of(rows, tmp_path / "whole"), 300)
        _, moments = whole.epoch(0, of.initial(1), {})
        for name, array in moments.items():
            assert found[0][1][name] == pytest.approx(array, abs=1e-7)


def test_averages_count_each_shard_by_its_rows() -> None:
    parts = [
        (n, {"w": np.array([value], np.float32)}) for n, value in ((1, 4.0), (3, 8.0), (0, 99))
    ]
    assert federated.averaged(parts)["w"].tolist() == [7.0]
    assert federated.averaged(parts)["w"].dtype == np.float32


def test_one_federated_round_on_one_shard_is_what_a_single_process_does(shard: Shard) -> None:
    of = architecture("torch_resnet")
    settings = SMALL.model_copy(update={"strategy": "federated", "local_epochs": 4, "workers": 1})
    expected = strategies.single(
        None, Learning(of, SMALL, 1), [shard], State(of.initial(1)), Record()
    )
    train = federated._Train(Learning(of, settings, 1), (shard,), 0, packed(of.initial(1), {}))
    (batch,) = train([pa.record_batch([pa.array([0])], names=["id"])])
    (row,) = batch.to_pylist()
    assert (row["shard"], row["rows"]) == (0, 600)
    assert same(unpacked(row["weights"])[0], expected.weights)


def test_training_lowers_the_loss_and_keeps_the_best_weights(shard: Shard) -> None:
    of = architecture()
    losses = iter((3.0, 1.0, 2.0, 4.0))
    seen = []

    def judge(weights: Arrays) -> tuple[float, float]:
        seen.append(weights)
        return 2 * next(losses), 2.0

    settings = SMALL.model_copy(update={"learning_rate": 0.01})
    learner = Learner(Learning(of, settings, 1), shard, 64)
    state = run(settings, State(of.initial(1)), learner.epoch, judge, lambda _: None)
    assert (state.rounds, state.best_round, state.losses) == (4, 2, (3.0, 1.0, 2.0, 4.0))
    assert same(state.best, seen[1])
    before, after = (learner.loss(weights)[0] for weights in (of.initial(1), state.weights))
    assert after < 0.9 * before


def test_a_fit_stops_after_so_many_rounds_without_a_lower_loss(shard: Shard) -> None:
    of, settings = architecture(), NetworkSettings(epochs=50, early_stopping_rounds=3)
    losses = iter((5.0, 4.0, 4.0, 4.5, 4.1, 1.0))
    learner = Learner(Learning(of, settings, 1), shard, 64)
    state = run(
        settings, State(of.initial(1)), learner.epoch, lambda _: (next(losses), 1.0), lambda _: None
    )
    assert (state.rounds, state.best_round) == (5, 2)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(
    stop: int, shard: Shard, tmp_path: Path
) -> None:
    of = architecture("torch_resnet")
    learner = Learner(Learning(of, SMALL, 1), shard, 64)
    first = State(of.initial(1))
    expected = run(SMALL, first, learner.epoch, learner.loss, lambda _: None)
    record = Record.of(tmp_path / "rounds", {"seed": 1})

    class Killed(Exception):
        pass

    def keep(state: State) -> None:
        record.keep(state)
        if state.rounds == stop:
            raise Killed

    with pytest.raises(Killed):
        run(SMALL, first, learner.epoch, learner.loss, keep)
    found = Record.of(tmp_path / "rounds", {"seed": 1}).find()
    assert found is not None
    assert found.rounds == stop
    assert Record.of(tmp_path / "rounds", {"seed": 2}).find() is None
    state = run(SMALL, found, learner.epoch, learner.loss, record.keep)
    assert same(state.weights, expected.weights)
    assert same(state.best, expected.best)
    assert state.losses == expected.losses


def test_a_record_that_was_damaged_is_not_taken(tmp_path: Path) -> None:
    record = Record.of(tmp_path, {})
    record.keep(State({"w": np.zeros(64, np.float32)}, rounds=2))
    assert record.path is not None
    content = bytearray(record.path.read_bytes())
    content[-5] ^= 1
    record.path.write_bytes(content)
    assert record.find() is None
    record.path.write_bytes(content[:100])
    assert record.find() is None


def test_a_network_that_diverges_is_an_error_that_says_what_to_change(shard: Shard) -> None:
    of, settings = architecture(), NetworkSettings(learning_rate=1e30, epochs=3)
    learner = Learner(Learning(of, settings, 1), shard, 64)
    with pytest.raises(InputError, match="lower learning_rate"):
        run(settings, State(of.initial(1)), learner.epoch, None, lambda _: None)


@pytest.mark.parametrize("kind", ["classes", "number"])
def test_a_saved_network_predicts_the_same_in_a_fresh_process_without_spark(
    kind: str, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    of = architecture("torch_resnet", kind).model_copy(update={"center": 10.0, "scale": 2.0})
    model = Network(of, of.initial(8))
    model.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [network.WEIGHTS]
    asked = tables.made(kind, 40)
    pq.write_table(asked, tmp_path / "asked.parquet")
    answer = model.predict(None, asked)
    code = f"""if True:
        import json, sys
        sys.modules["pyspark"] = None
        from pathlib import Path
        import pyarrow.parquet as pq
        from beatlake.learn import estimators
        folder = Path({str(tmp_path)!r})
        model = estimators.load(folder, "torch_resnet", {kind!r}, {tables.COLUMNS!r})
        answer = model.predict(None, pq.read_table(folder / "asked.parquet"))
        print(json.dumps([answer.values.tolist(), {kind!r} == "classes" and answer.proba.tolist()]))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    values, proba = json.loads(done.stdout)
    assert values == answer.values.tolist()
    if kind == "classes":
        assert answer.proba is not None
        assert proba == answer.proba.tolist()
        assert np.allclose(answer.proba.sum(axis=1), 1)


def test_a_damaged_or_foreign_network_is_refused() -> None:
    of = architecture()
    content = Network(of, of.initial(1)).content()
    assert Network.parse(content, tables.COLUMNS).architecture == of
    damaged = bytearray(content)
    damaged[-3] ^= 4
    weights = of.initial(1)
    for given, columns in (
        (bytes(damaged), tables.COLUMNS),
        (content[: len(content) // 2], tables.COLUMNS),
        (b"", tables.COLUMNS),
        (content, tables.COLUMNS[::-1]),
        (packed(weights, {}), tables.COLUMNS),
        (packed({**weights, "more": weights["last.bias"]}, unpacked(content)[1]), tables.COLUMNS),
    ):
        with pytest.raises(InputError):
            Network.parse(given, columns)


def test_no_network_looks_like_a_pickle(tmp_path: Path) -> None:
    """The file begins with the length of its header, and some lengths are how pickles begin."""
    beginnings = set()
    for length in range(300):
        content = packed({"w": np.zeros(1, np.float32)}, {"said": "x" * length})
        beginnings.add(content[0])
        (tmp_path / network.WEIGHTS).write_bytes(content)
        registry._refuse_pickles(tmp_path)
        assert unpacked(content)[1] == {"said": "x" * length}
    assert len(beginnings) > 20
    assert 0x80 not in beginnings


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"hiden": (8,)}, "there is no hiden; did you mean hidden"),
        ({"width": 8}, "there is no width"),
        ({"dropout": 1.5, "epochs": 0}, "dropout: .*; epochs: "),
        ({"hidden": ()}, "hidden layers have a unit each"),
        ({"strategy": "gossip"}, "strategy: "),
    ],
)
def test_parameters_that_cannot_be_are_named(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        networks.check("torch_mlp", "classes", parameters, {})


def test_every_value_that_is_searched_over_is_looked_at() -> None:
    over = {"hidden": ((8,), (16, 8)), "learning_rate": Range(low=1e-4, high=1e-2)}
    networks.check("torch_mlp", "number", {"epochs": "3"}, over)
    with pytest.raises(ConfigError, match="dropout"):
        networks.check("torch_mlp", "classes", {}, {"dropout": (0.1, 2)})
    with pytest.raises(ConfigError, match="the label is a number"):
        networks.check("torch_mlp", "number", {"strata": "class"}, {})


def test_without_torch_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"extra torch.*torch, safetensors"):
        networks.check_installed()

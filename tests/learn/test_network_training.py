"""Networks are trained where the rows are: on shards, on samples, in tasks; the same every time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import songs
import tables
from kills import killed_and_done_again

from beatlake import cli
from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.learn import estimators, promotion, splits
from beatlake.learn.algorithms import Estimator
from beatlake.learn.estimators.networks.architecture import Architecture
from beatlake.learn.estimators.networks.network import Network
from beatlake.learn.estimators.networks.settings import NetworkSettings
from beatlake.learn.estimators.networks.shards import Shard, sampled, spool
from beatlake.learn.folds import BUCKET, BUCKETS, LABEL, STRATUM, Fold
from beatlake.learn.records import Records
from beatlake.learn.sides import Sides
from beatlake.learn.task import Splits

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

torch = pytest.importorskip("torch", reason="networks need the extra torch: make torch")
pytest.importorskip("safetensors", reason="networks need the extra torch: make torch")

SMALL: dict[str, Any] = {"hidden": (12,), "epochs": 4, "batch_size": 64}


def spooled(
    spark: SparkSession, fold: Fold, folder: Path, shards: int, **sampling: Any
) -> list[Shard]:
    kind = "classes" if fold.classes else "number"
    of = Architecture.of(
        "torch_mlp", kind, fold.columns, fold.categories, len(fold.classes), NetworkSettings()
    )
    return spool(spark, fold, of, folder, shards, **sampling)


def first_numbers(shards: list[Shard]) -> list[list[float]]:
    """The first number of every row that trains, by shard; it tells rows apart."""
    return [
        [value for chunk in shard.training.chunks() for value in chunk.numbers[:, 0].tolist()]
        for shard in shards
    ]


@pytest.mark.parametrize(
    ("strategy", "where"), [("single", "here"), ("federated", "in every one of Spark's workers")]
)
def test_a_device_that_is_not_there_is_refused(
    strategy: str, where: str, spark: SparkSession, tmp_path: Path
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    fold = tables.fold_of(tables.made("number", 50), "number", tmp_path)
    asked = {**SMALL, "device": "cuda", "strategy": strategy}
    with pytest.raises(ConfigError, match=f"torch does not find {where}; device: auto"):
        estimators.fit(spark, "torch_mlp", "number", fold, asked, 1)


def test_shards_hold_every_row_once_whatever_the_order_of_the_fold(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = tables.made("number", 500)
    fold = tables.fold_of(rows, "number", tmp_path, watched=True)
    shards = spooled(spark, fold, tmp_path / "one", 3)
    held = first_numbers(shards)
    training = [side == "train" for side in rows.column("side").to_pylist()]
    expected = rows.filter(pa.array(training))
    wanted = expected.column("a").to_numpy().astype(np.float32)
    assert sorted(value for part in held for value in part) == sorted(wanted.tolist())
    assert sum(shard.watching for shard in shards) == 50
    assert min(map(len, held)) > 100
    turned = rows.take(pa.array(np.random.default_rng(2).permutation(500)))
    fold = tables.fold_of(turned, "number", tmp_path, watched=True)
    again = spooled(spark, fold, tmp_path / "two", 3)
    assert first_numbers(again) == held
    assert [shard.sha256 for shard in again] == [shard.sha256 for shard in shards]
    label = expected.column("label").to_numpy()
    mean = sum(shard.mean * shard.rows for shard in shards) / 450
    assert mean == pytest.approx(label.mean())


def test_a_larger_sample_holds_every_smaller_one_and_each_stratum_has_its_share(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = tables.made("classes", 3000)
    fold = tables.fold_of(rows, "classes", tmp_path)
    frame = spark.read.parquet(str(fold.path))
    label = dict(zip(rows["row_id"].to_pylist(), rows["label"].to_pylist(), strict=True))
    bucket = dict(zip(rows["row_id"].to_pylist(), rows[BUCKET].to_pylist(), strict=True))
    for stratified in (False, True):
        if stratified:
            frame = frame.withColumn(STRATUM, frame[LABEL])
        taken = [
            {row.row_id for row in frame.filter(sampled(frame, share)).collect()}
            for share in (0.1, 0.2, 1.0)
        ]
        assert taken[0] < taken[1] < taken[2]
        assert len(taken[2]) == 3000
        if not stratified:
            # Whole groups: what is of one bucket is taken or left together.
            assert taken[0] == {row for row in label if bucket[row] < BUCKETS // 10}
            continue
        for one_of in (0.0, 1.0, 2.0):
            own = sum(value == one_of for value in label.values())
            for share, found in zip((0.1, 0.2), taken[:2], strict=True):
                held = sum(label[row] == one_of for row in found)
                # The last bucket takes it over the share, by its own few rows.
                assert share * own <= held <= share * own + 6


def test_a_sample_is_of_what_the_task_says(tmp_path: Path) -> None:
    found = {}
    with songs.ready(songs.made(300), tmp_path) as ready:
        (rung,) = splits.assign(ready.connection, ready.prepared, Splits(rungs=["artist"]))
        sides = Sides(ready.connection, ready.task, ready.prepared, tmp_path)
        fitted = sides.fitted(rung, watched=False)
        for name in ("class", "mood", "size", None):
            strata = {} if name is None else {"strata": name}
            asked = Estimator(name="torch_mlp", parameters={"sample": 0.5, **strata})
            if name == "size":
                with pytest.raises(ConfigError, match=r"what can be: class, mood, "):
                    sides.fold(rung, fitted, False, asked)
            else:
                found[name] = pq.read_table(sides.fold(rung, fitted, False, asked).path)
        moods = dict(ready.connection.execute("SELECT row_id, s_mood FROM prepared").fetchall())
    strata = {name: rows[STRATUM].to_pylist() for name, rows in found.items() if name}
    names = found["mood"]["row_id"].to_pylist()
    assert strata["mood"] == [moods[name] for name in names]
    assert set(strata["mood"]) == {"bright", "calm", "dark"}
    assert [float(value) for value in strata["class"]] == found["class"][LABEL].to_pylist()
    assert BUCKET in found[None].column_names
    assert STRATUM not in found[None].column_names


def test_rows_that_a_resampler_made_have_no_groups_to_be_sampled_by(
    spark: SparkSession, tmp_path: Path
) -> None:
    fold = tables.fold_of(tables.made("classes").drop_columns([BUCKET]), "classes", tmp_path)
    with pytest.raises(InputError, match="rows that a resampler made have none"):
        spooled(spark, fold, tmp_path / "shards", 1, sample=0.5)


@pytest.mark.parametrize("kind", ["classes", "number"])
@pytest.mark.parametrize("name", ["torch_mlp", "torch_resnet"])
def test_a_network_learns_what_numbers_and_categories_say(
    name: str, kind: str, spark: SparkSession, tmp_path: Path
) -> None:
    rows = tables.made(kind, 2000)
    fold = tables.fold_of(rows, kind, tmp_path, watched=True)
    parameters = {"epochs": 20, "early_stopping_rounds": 5, "learning_rate": 0.01}
    model = estimators.fit(spark, name, kind, fold, parameters, 1)
    answer = model.predict(None, rows)
    label = rows.column("label").to_numpy()
    if kind == "classes":
        assert (answer.values == label).mean() > 0.93
    else:
        assert np.corrcoef(answer.values, label)[0, 1] > 0.99
        assert answer.values.mean() == pytest.approx(label.mean(), abs=10)
    facts = model.facts()
    assert (facts["rows"], facts["watching"]) == (1800, 200)
    assert facts["losses"][facts["best_round"] - 1] == min(facts["losses"])
    assert not list(tmp_path.glob("*.shards"))


def test_federated_training_is_the_same_twice_and_with_one_shard_a_single_process(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = tables.made("classes")
    fold = tables.fold_of(rows, "classes", tmp_path, watched=True)

    def weights(**more: Any) -> dict[str, Any]:
        model = estimators.fit(spark, "torch_mlp", "classes", fold, {**SMALL, **more}, 3)
        assert isinstance(model, Network)
        return {name: array.tolist() for name, array in model.weights.items()}

    two = [weights(strategy="federated", workers=2) for _ in range(2)]
    assert two[0] == two[1]
    one = weights(strategy="federated", workers=1, local_epochs=4)
    assert one == weights()
    assert one != two[0]


@pytest.mark.parametrize("strategy", ["single", "federated"])
def test_a_fit_that_was_killed_goes_on_from_its_last_round_to_the_same_network(
    strategy: str, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tables.made("classes")
    fold = tables.fold_of(rows, "classes", tmp_path, watched=True)
    records = Records(tmp_path / "records", {"code": "1"})

    def fitted(kept: Records | None) -> Network:
        parameters = {**SMALL, "strategy": strategy}
        model = estimators.fit(spark, "torch_mlp", "classes", fold, parameters, 3, records=kept)
        assert isinstance(model, Network)
        return model

    expected = fitted(None)
    found, trained = killed_and_done_again(fitted, records, monkeypatch)
    assert trained == [3, 4]
    assert found.content() == expected.content()
    assert found.facts() == expected.facts()
    # What is done is forgotten: it would never be asked for again.
    assert not list((tmp_path / "records").iterdir())


TASK = songs.altered(
    songs.TASK,
    ("splits: {headline: artist}", "splits: {headline: artist, rungs: [random, artist]}"),
    (
        "  - {name: logistic_regression}",
        "  - {name: torch_mlp, parameters: {hidden: [16], epochs: 12, early_stopping_rounds: 4,"
        " learning_rate: 0.01, batch_size: 64}}\n"
        "  - {name: torch_resnet, parameters: {width: 16, blocks: 1, epochs: 6, sample: 0.5,"
        " strata: mood, strategy: federated, learning_rate: 0.01, batch_size: 64}}",
    ),
)


@pytest.fixture(scope="module", params=["classes", "number"])
def trained(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path, Path]]:
    folder = tmp_path_factory.mktemp(request.param)
    table = songs.write(songs.made(1200, artists=150), folder / "songs.csv")
    text = TASK
    if request.param == "number":
        text = songs.altered(TASK, ("{column: hit}", "{column: plays, kind: number}"))
    (folder / "songs.yaml").write_text(text, encoding="utf-8")
    words = ("train", "--task", folder / "songs.yaml", "--table", table, "--quiet")
    assert cli.main([*map(str, words), "--lake", str(folder / "lake")]) == 0
    yield request.param, folder / "lake", table


def test_networks_are_trained_judged_registered_and_applied_by_the_command_line(
    trained: tuple[str, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, lake, table = trained
    capsys.readouterr()
    words = ("models", "show", "songs", "--format", "json", "--lake", str(lake))
    assert cli.main(list(words)) == 0
    lines = json.loads(capsys.readouterr().out)
    headline = {
        (line["estimator"], line["rung"]): line["value"]
        for line in lines
        if line["headline_metric"] and line["estimator"].startswith("torch")
    }
    assert len(headline) == 4
    # A hit, or how often a song is played, follows from its energy, and from who made it.
    assert all(value > (0.6 if kind == "classes" else 0.1) for value in headline.values())
    for version, name in ((1, "torch_mlp"), (2, "torch_resnet")):
        found = promotion.choose(Lake(lake), "songs", version)
        assert found.manifest.estimator == name
        assert {"torch", "safetensors"} <= set(found.manifest.libraries)
        assert "network.safetensors" in found.manifest.files
        output = tmp_path / str(version)
        words = ("score", "--task", "songs", "--version", str(version), "--lake", str(lake))
        assert cli.main([*words, "--table", str(table), "--output", str(output)]) == 0
        scored = {row["row_id"]: row for row in pq.read_table(output).to_pylist()}
        kept = Lake(lake).open("ml.predictions").to_pyarrow_table().to_pylist()
        own = {row["row_id"].split("-")[0]: row for row in kept if row["estimator"] == name}
        assert len(own) > 100
        for row_id, row in own.items():
            assert scored[row_id]["predicted"] == row["predicted"] or kind == "number"
            if kind == "classes":
                expected = row["probability"]
                assert scored[row_id]["probability"] == pytest.approx(expected, abs=1e-5)
    # Half of the artists were sampled; the songs of some are more than those of others.
    found = promotion.choose(Lake(lake), "songs", 2)
    facts = found.manifest.facts
    assert 0.3 < facts["rows"] / facts["of_rows"] < 0.8
    said = f"fitted on {facts['rows']:,} of {facts['of_rows']:,} training rows, those in the first"
    said += " buckets of a hash of their groups, of each mood by itself"
    assert said in (found.folder / "card.md").read_text(encoding="utf-8")

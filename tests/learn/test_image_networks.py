"""Networks on images give what their layers say, and learn what pooled spectra cannot know."""

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
import sounds
from kills import killed_and_done_again

from beatlake import cli
from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.learn import estimators, promotion
from beatlake.learn.algorithms import IMAGING
from beatlake.learn.estimators.networks.architecture import Architecture, Arrays, forward
from beatlake.learn.estimators.networks.learner import Learner, Learning
from beatlake.learn.estimators.networks.network import Network
from beatlake.learn.estimators.networks.settings import settled
from beatlake.learn.estimators.networks.shards import Shard, spool
from beatlake.learn.estimators.networks.spooled import Rows, Spooled, Writer
from beatlake.learn.records import Records

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

torch = pytest.importorskip("torch", reason="networks need the extra torch: make torch")
pytest.importorskip("safetensors", reason="networks need the extra torch: make torch")

SMALL: dict[str, dict[str, Any]] = {
    "torch_pooled": {"epochs": 4},
    "torch_cnn": {"epochs": 4, "channels": (4, 8)},
    "torch_cnn_published": {"epochs": 4},
}


def architecture(name: str, image: tuple[int, int] = (16, 24), **more: Any) -> Architecture:
    settings = settled(name, {**SMALL[name], **more})
    of = Architecture.of(name, "classes", ("log_mel",), (), 3, settings, image)
    if name == "torch_pooled":
        ones = {"means": (0.0,) * 2 * image[0], "spreads": (1.0,) * 2 * image[0]}
        return of.model_copy(update=ones)
    return of


def table(images: np.ndarray) -> pa.Table:
    return pa.table({"log_mel": pa.array([image.tobytes() for image in images], pa.binary())})


def tensors(of: Architecture, seed: int = 3) -> dict[str, Any]:
    """Weights, with biases and norms that are not what training begins with."""
    random = np.random.default_rng(seed)
    return {
        name: torch.tensor(a + random.normal(0, 0.1, a.shape).astype(np.float32))
        for name, a in of.initial(seed).items()
    }


def layer(kind: Any, weights: dict[str, Any], name: str) -> Any:
    kind.load_state_dict({part: weights[f"{name}.{part}"] for part in ("weight", "bias")})
    return kind


def counted(of: Architecture) -> dict[str, int]:
    """Numbers of weights, a layer's bias among its own."""
    found: dict[str, int] = {}
    for name, shape in of.shapes().items():
        layer = name.rpartition(".")[0]
        found[layer] = found.get(layer, 0) + int(np.prod(shape))
    return found


def test_networks_have_the_weights_that_a_hand_counts() -> None:
    published = architecture("torch_cnn_published", (224, 224))
    # 9 x 32 + 32; (224 - 2) / 2 = 111; 64 x 3 + 3.
    assert counted(published) == {
        "convolution": 320,
        "dense": 111 * 111 * 32 * 64 + 64,
        "last": 195,
    }
    # Two channels are seen, the image and the place; four parts of mean and maximum at the end.
    assert counted(architecture("torch_cnn")) == {
        "block.0.convolution": 4 * 2 * 9 + 4,
        "block.0.norm": 8,
        "block.1.convolution": 8 * 4 * 9 + 8,
        "block.1.norm": 16,
        "last": 3 * 2 * 4 * 8 + 3,
    }
    assert counted(architecture("torch_pooled")) == {"last": 3 * 32 + 3}
    # The shape of an image is no matter to the convolutions.
    assert counted(architecture("torch_cnn", (96, 313))) == counted(architecture("torch_cnn"))


@pytest.mark.parametrize("image", [(16, 24), (5, 7), (4, 9)])
@pytest.mark.parametrize("name", IMAGING)
def test_every_shape_of_image_gives_a_number_for_each_class(
    name: str, image: tuple[int, int]
) -> None:
    of = architecture(name, image)
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (5, *image), dtype=np.uint8)
    seen, places = (torch.tensor(a) for a in of.encoded(table(images)))
    weights = tensors(of)
    for training in (False, True):
        assert forward(of, weights, seen, places, training).shape == (5, 3)
    whole = forward(of, weights, seen, places)
    assert torch.isfinite(whole).all()
    # What an image gives is its own, whatever is beside it.
    alone = torch.cat([forward(of, weights, seen[i : i + 1], places[i : i + 1]) for i in range(5)])
    assert torch.allclose(alone, whole, atol=1e-5)


def test_the_published_network_gives_what_the_layers_of_torch_give() -> None:
    of = architecture("torch_cnn_published")
    images, _ = sounds.rhythms(6)
    weights = tensors(of)
    expected = torch.nn.Sequential(
        layer(torch.nn.Conv2d(1, 32, 3), weights, "convolution"),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        layer(torch.nn.Linear(7 * 11 * 32, 64), weights, "dense"),
        torch.nn.ReLU(),
        layer(torch.nn.Linear(64, 3), weights, "last"),
    )(torch.tensor(images[:, None] / 255, dtype=torch.float32))
    seen, places = (torch.tensor(a) for a in of.encoded(table(images)))
    assert torch.allclose(forward(of, weights, seen, places), expected, atol=1e-5)


def test_the_other_network_gives_what_the_layers_of_torch_give() -> None:
    of = architecture("torch_cnn")
    images, _ = sounds.rhythms(6)
    weights = tensors(of)
    given = images / 255
    centre, variance = (f(given, axis=(1, 2), keepdims=True) for f in (np.mean, np.var))
    # With what torch's norms add to a variance.
    spread = np.sqrt(variance + 1e-5)
    place = np.broadcast_to(np.linspace(-1, 1, 16)[:, None], images.shape)
    x = torch.tensor(np.stack([(given - centre) / spread, place], axis=1), dtype=torch.float32)
    for i, (before, channels) in enumerate([(2, 4), (4, 8)]):
        x = layer(
            torch.nn.Conv2d(before, channels, 3, padding=1), weights, f"block.{i}.convolution"
        )(x)
        x = torch.nn.MaxPool2d(2)(x)
        x = layer(torch.nn.GroupNorm(channels // 2, channels), weights, f"block.{i}.norm")(x).relu()
    # 16 bands have become 4, which are the parts.
    assert x.shape == (6, 8, 4, 6)
    pooled = torch.cat([x.mean(3).flatten(1), x.max(3).values.flatten(1)], dim=1)
    expected = layer(torch.nn.Linear(64, 3), weights, "last")(pooled)
    seen, places = (torch.tensor(a) for a in of.encoded(table(images)))
    assert torch.allclose(forward(of, weights, seen, places), expected, atol=1e-5)


def test_pooled_spectra_are_mean_and_deviation_of_each_band() -> None:
    images, _ = sounds.bright(5)
    seen, places = architecture("torch_pooled").encoded(table(images))
    assert places.shape == (5, 0)
    assert seen[:, :16] == pytest.approx(images.mean(axis=2) / 255, abs=1e-6)
    assert seen[:, 16:] == pytest.approx(images.std(axis=2) / 255, abs=1e-6)


def test_an_image_is_made_smaller_by_means_and_what_is_left_over_is_cut() -> None:
    of = architecture("torch_cnn", shrink=(5, 4))
    images, _ = sounds.rhythms(3)
    seen, _ = of.encoded(table(images))
    assert seen.dtype == np.uint8
    assert seen.shape == (3, 3 * 6)
    assert seen[1].reshape(3, 6)[2, 5] == round(images[1, 10:15, 20:24].mean())


def test_masking_hides_one_stretch_of_bands_and_one_of_frames_of_each_image() -> None:
    from beatlake.learn.estimators.networks.imaging import _masked

    torch.manual_seed(1)
    masked = (_masked(torch.ones(200, 1, 16, 24), 0.25) == 0)[:, 0]
    bands, frames = masked.all(dim=2), masked.all(dim=1)
    assert (masked == (bands[:, :, None] | frames[:, None, :])).all()
    for hidden in (bands.int(), frames.int()):
        assert hidden.sum(dim=1).max() <= 0.25 * hidden.shape[1] + 1
        # No more than one stretch each, and not the same in all.
        assert (hidden.diff(dim=1) == 1).sum(dim=1).max() == 1
        assert hidden.float().mean(dim=0).min() > 0.01
    assert not (_masked(torch.ones(20, 1, 16, 24), 0.0) == 0).any()


def held(parts: list[Spooled]) -> list[bytes]:
    return [row.tobytes() for part in parts for chunk in part.chunks() for row in chunk.numbers]


def test_shards_hold_images_byte_for_byte(spark: SparkSession, tmp_path: Path) -> None:
    images, style = sounds.rhythms(300)
    fold = sounds.fold(images, style, tmp_path)
    of = architecture("torch_cnn")
    shards = spool(spark, fold, of, tmp_path / "shards", 2)
    assert sum(shard.rows for shard in shards) == 270
    trained = held([shard.training for shard in shards])
    watched = held([shard.validation for shard in shards])
    watches = np.arange(300) % 10 == 0
    assert sorted(trained) == sorted(image.tobytes() for image in images[~watches])
    assert sorted(watched) == sorted(image.tobytes() for image in images[watches])
    # Not a float more than the bytes.
    size = sum(part.path.stat().st_size for shard in shards for part in (shard.training,))
    assert size < 270 * (16 * 24 + 12) + 20_000


def test_a_chunk_of_a_spool_is_bounded_by_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beatlake.learn.estimators.networks.spooled.CHUNK_BYTES", 50 * 16 * 24)
    rows = rows_of(*sounds.rhythms(130))
    with Writer(tmp_path / "rows.arrow") as writer:
        for start in range(0, 130, 35):
            writer.add(rows.take(slice(start, start + 35)))
    spooled = Spooled(tmp_path / "rows.arrow")
    assert [len(chunk) for chunk in spooled.chunks()] == [50, 50, 30]
    assert held([spooled]) == [row.tobytes() for row in rows.numbers]
    # Batches that are larger than a chunk are made of several.
    batches = list(spooled.batches(60, np.random.default_rng(1)))
    assert [len(batch) for batch in batches] == [60, 60, 10]
    assert all(batch.numbers.dtype == np.uint8 for batch in batches)


def rows_of(images: np.ndarray, style: np.ndarray) -> Rows:
    seen, places = architecture("torch_cnn").encoded(table(images))
    return Rows(seen, places, style.astype(float), np.ones(len(style), np.float32))


@pytest.mark.parametrize("name", IMAGING)
def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    name: str, tmp_path: Path
) -> None:
    of = architecture(name)
    images, style = sounds.rhythms(90)
    seen, places = of.encoded(table(images))
    rows = Rows(seen, places, style.astype(float), np.ones(90, np.float32))
    for part in ("train", "watch"):
        with Writer(tmp_path / f"{part}-0.arrow") as writer:
            writer.add(rows)
    shard = Shard(0, tmp_path, 90, 90, 0.0, 0.0, "")
    found: list[Arrays] = []
    for seed in (1, 1, 2):
        torch.rand(7)  # What others draw from torch changes nothing.
        learning = Learning(of, settled(name, {**SMALL[name], "threads": 2}), seed)
        found.append(Learner(learning, shard, 32).epoch(0, of.initial(1), {})[0])
    assert all(np.array_equal(found[0][part], found[1][part]) for part in found[0])
    assert any(not np.array_equal(found[0][part], found[2][part]) for part in found[0])


def accuracy(spark: SparkSession, name: str, made: Any, folder: Path, **parameters: Any) -> float:
    fold = sounds.fold(*made(600), folder)
    model = estimators.fit(spark, name, "classes", fold, parameters, 1)
    images, style = made(300, seed=2)
    answer = model.predict(None, table(images))
    assert answer.proba is not None
    assert answer.proba.sum(axis=1) == pytest.approx(1)
    return float((answer.values == style).mean())


def test_pooled_spectra_tell_which_bands_are_loud_and_convolutions_when(
    spark: SparkSession, tmp_path: Path
) -> None:
    assert accuracy(spark, "torch_pooled", sounds.bright, tmp_path, epochs=20) > 0.95
    cnn = {"channels": (8, 8), "epochs": 6, "learning_rate": 0.01}
    assert accuracy(spark, "torch_cnn", sounds.bright, tmp_path, **cnn) > 0.9
    # Chance is 0.5, and 300 rows come as far from it as 0.08 once in 200 times.
    pooled = accuracy(spark, "torch_pooled", sounds.rhythms, tmp_path, epochs=20)
    assert abs(pooled - 0.5) < 0.1
    assert accuracy(spark, "torch_cnn", sounds.rhythms, tmp_path, **cnn) > 0.95
    assert accuracy(spark, "torch_cnn_published", sounds.rhythms, tmp_path, epochs=3) > 0.9


def test_a_fit_that_was_killed_goes_on_from_its_last_round_to_the_same_network(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = sounds.fold(*sounds.rhythms(200), tmp_path)
    records = Records(tmp_path / "records", {"code": "1"})

    def fitted(kept: Records | None) -> Network:
        model = estimators.fit(
            spark, "torch_cnn", "classes", fold, SMALL["torch_cnn"], 3, records=kept
        )
        assert isinstance(model, Network)
        return model

    expected = fitted(None)
    found, trained = killed_and_done_again(fitted, records, monkeypatch)
    assert found.content() == expected.content()
    assert trained == [3, 4]


def test_a_number_is_learnt_from_images_and_by_shards_that_are_averaged(
    spark: SparkSession, tmp_path: Path
) -> None:
    images, style = sounds.rhythms(400)
    fold = sounds.fold(images, 100 + 20 * style, tmp_path, classes=False)
    cnn = {"channels": (8, 8), "epochs": 8, "learning_rate": 0.01, "strategy": "federated"}
    model = estimators.fit(spark, "torch_cnn", "number", fold, cnn, 1)
    images, style = sounds.rhythms(100, seed=2)
    said = model.predict(None, table(images)).values
    assert np.corrcoef(said, style)[0, 1] > 0.8
    assert said.mean() == pytest.approx(110, abs=5)


@pytest.mark.parametrize(
    ("images", "why"),
    [([b"short"], "is of 384 bytes, and there is: 5 bytes"), ([None], "there is: none")],
)
def test_a_row_without_an_image_is_not_predicted(images: list[bytes | None], why: str) -> None:
    of = architecture("torch_cnn")
    rows = pa.table({"log_mel": pa.array(images, pa.binary())})
    with pytest.raises(InputError, match=why):
        Network(of, of.initial(1)).predict(None, rows)


TASK = songs.altered(
    sounds.TASK,
    (
        "  - {name: torch_pooled, parameters: {epochs: 20}}",
        "  - {name: torch_cnn, parameters: {channels: [8, 8], epochs: 6, learning_rate: 0.01,"
        " early_stopping_rounds: 4}}\n"
        "  - {name: torch_pooled, parameters: {epochs: 10}}",
    ),
)


@pytest.fixture(scope="module")
def trained(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("sounds")
    given = sounds.write(sounds.table(*sounds.rhythms(700)), folder / "sounds.parquet")
    (folder / "sounds.yaml").write_text(TASK, encoding="utf-8")
    words = ("train", "--task", folder / "sounds.yaml", "--table", given, "--quiet")
    assert cli.main([*map(str, words), "--lake", str(folder / "lake")]) == 0
    yield folder / "lake", given


def test_networks_on_images_are_judged_beside_the_majority_and_applied_by_the_command_line(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, given = trained
    capsys.readouterr()
    words = ("models", "show", "sounds", "--format", "json", "--lake", str(lake))
    assert cli.main(list(words)) == 0
    lines = json.loads(capsys.readouterr().out)
    value = {line["estimator"]: line["value"] for line in lines if line["headline_metric"]}
    majority = value["baseline: majority"]
    assert 0.4 < majority < 0.65
    assert value["torch_cnn"] > 0.95
    assert abs(value["torch_pooled"] - 0.5) < 0.15
    found = promotion.choose(Lake(lake), "sounds", 1)
    assert found.manifest.estimator == "torch_cnn"
    card = (found.folder / "card.md").read_text(encoding="utf-8")
    assert "majority" in card
    assert f"{majority:.3f}" in card
    assert "an image says nothing by a single value" in card
    output = tmp_path / "scored"
    words = ("score", "--task", "sounds", "--version", "1", "--lake", str(lake))
    assert cli.main([*words, "--table", str(given), "--output", str(output)]) == 0
    scored = {row["row_id"]: row for row in pq.read_table(output).to_pylist()}
    assert len(scored) == 700
    kept = Lake(lake).open("ml.predictions").to_pyarrow_table().to_pylist()
    own = [row for row in kept if row["estimator"] == "torch_cnn"]
    assert len(own) > 100
    for row in own:
        said = scored[row["row_id"]]
        assert said["predicted"] == row["predicted"]
        assert said["probability"] == pytest.approx(row["probability"], abs=1e-5)
    # The same without Spark.
    rows = pq.read_table(given)
    answer = found.load().predict(None, rows)
    names = [found.manifest.classes[i] for i in answer.values]
    assert names == [scored[name]["predicted"] for name in rows["id"].to_pylist()]


def test_a_model_of_images_is_judged_again_and_takes_no_typed_row(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, _ = trained
    words = ("score", "--task", "sounds", "--version", "1", "--lake", str(lake))
    assert cli.main([*words, "--row", "log_mel=1"]) != 0
    assert "looks at an image (log_mel), which cannot be typed" in capsys.readouterr().err
    later = sounds.table(*sounds.rhythms(150, seed=5), artists=30)
    names = pa.array([f"Later {i % 30}" for i in range(150)])
    ids = pa.array([f"l{i:03d}" for i in range(150)])
    later = later.set_column(0, "id", ids).set_column(1, "artist", names)
    again = sounds.write(later, tmp_path / "later.parquet")
    words = ("evaluate", "--task", "sounds", "--version", "1", "--lake", str(lake))
    assert cli.main([*words, "--table", str(again)]) == 0
    assert "torch_cnn" in capsys.readouterr().out

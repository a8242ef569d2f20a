"""The whole way, by the command line: train, look, promote, roll back, score; and what refuses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import songs
from deltalake import CommitProperties, Transaction, write_deltalake

from beatlake import cli
from beatlake.commits import APPLICATION
from beatlake.lake import Lake
from beatlake.learn import promotion, registry
from beatlake.learn.registry import ModelError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BOTH = songs.altered(
    songs.TASK,
    ("splits: {headline: artist}", "splits: {headline: artist, rungs: [random, artist, time]}"),
    ("slices: {mood: mood}\n", "uses: [Sorting songs for a person to hear.]\n"),
    (
        "  - {name: logistic_regression}",
        "  - {name: xgboost, parameters: {n_estimators: 60, max_depth: 3,"
        " early_stopping_rounds: 5}}\n  - {name: logistic_regression}",
    ),
)
ROW = ("energy=1.5", "tempo=120", "valence=0.5", "mood=calm")


@dataclass(frozen=True)
class Trained:
    """A lake with one training, and what it was trained from."""

    folder: Path
    lake: Path
    table: Path
    task: Path


def command(*words: str | Path) -> int:
    return cli.main([str(word) for word in words])


def shown(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert command(*words) == 0
    return json.loads(capsys.readouterr().out)


def write_task(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    table = songs.write(songs.made(1200, artists=150), folder / "songs.csv")
    task = write_task(folder / "songs.yaml", BOTH)
    lake = folder / "lake"
    assert command("train", "--task", task, "--table", table, "--lake", lake, "--quiet") == 0
    return Trained(folder, lake, table, task)


def headline(lines: Sequence[dict[str, Any]], estimator: str, rung: str) -> dict[str, Any]:
    (found,) = (
        line
        for line in lines
        if (line["estimator"], line["rung"]) == (estimator, rung) and line["headline_metric"]
    )
    return found


def test_every_rung_is_shown_with_metric_value_interval_and_rows(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(capsys, "models", "show", "songs", "--lake", trained.lake, "--format", "json")
    for rung in ("random", "artist", "time"):
        for estimator in ("xgboost", "logistic_regression"):
            line = headline(lines, estimator, rung)
            low, high = line["interval"]
            assert low < line["value"] < high
            assert line["n"] > 20
            assert line["headline"] is (rung == "artist")
    assert headline(lines, "xgboost", "random")["purged"] == 0
    assert headline(lines, "xgboost", "artist")["purged"] > 0
    # The label is what energy and fame make of it: far from chance, and far from certain.
    assert 0.6 < headline(lines, "xgboost", "artist")["value"] < 0.9


def test_the_card_answers_from_what_was_measured(trained: Trained) -> None:
    folder = registry.folder_of(Lake(trained.lake), "songs", 1)
    text = (folder / "card.md").read_text(encoding="utf-8")
    kinds = {}
    for line in text.splitlines():
        cells = [cell.strip().replace("\\", "") for cell in line.strip("|").split("|")]
        if len(cells) == 4 and re.match(r"L\d", cells[0]):
            kinds[cells[0].split()[0]] = cells[2], cells[3]
    given = songs.made(1200, artists=150)
    first, last = (find(song["released"] for song in given) for find in (min, max))
    status = {kind: answer for kind, (answer, _) in kinds.items()}
    assert status == {
        **dict.fromkeys(["L1.1", "L1.2", "L1.3", "L1.4", "L3.2"], "ruled out"),
        **dict.fromkeys(["L2", "L3.3"], "argued"),
        # The headline parts by artist alone, and the card says which rung parts by time.
        "L3.1": "found",
    }
    assert "0 rows stand on both" in kinds["L1.1"][1]
    assert f"Training rows run to {last[:4]}" in kinds["L3.1"][1]
    assert f"test rows start at {first[:4]}" in kinds["L3.1"][1]
    assert "The rungs that part by time: time 0." in kinds["L3.1"][1]
    yes = sum(song["hit"] == "yes" for song in given) / len(given)
    judged = re.search(
        r"differs most on the test side is that of (\w+), by ([+-][\d.]+) points", text
    )
    assert judged is not None
    shares = re.search(r"Base rate: (.*)", text)
    assert shares is not None
    test = float(re.search(rf"{judged[1]} ([\d.]+) %", shares[1])[1])
    population = 100 * (yes if judged[1] == "yes" else 1 - yes)
    assert float(judged[2]) == pytest.approx(test - population, abs=0.11)
    assert "beatlake ablate --task songs" in text.replace("\\", "")
    assert "Sorting songs for a person to hear" in text
    manifest = promotion.choose(Lake(trained.lake), "songs", 1).manifest
    by_rung = {rung["rung"]: rung for rung in manifest.rungs}
    assert by_rung["time"]["train_until"] < by_rung["time"]["tests_since"]
    assert manifest.train_until == by_rung["artist"]["train_until"]


def test_every_method_finds_the_energy_to_matter_most(trained: Trained) -> None:
    rows = Lake(trained.lake).open("ml.importances").to_pyarrow_table().to_pylist()
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["estimator"], row["method"]
        if key not in first or row["value"] > first[key]["value"]:
            first[key] = row
    assert set(first) == {
        *(("xgboost", method) for method in ("permutation", "contributions", "gain")),
        *(("logistic_regression", method) for method in ("permutation", "coefficients")),
    }
    # The label follows from the energy, and from who made the song.
    assert {row["feature"] for row in first.values()} == {"energy"}
    for (_, method), row in first.items():
        if method in ("permutation", "contributions"):
            assert 0 < row["low"] < row["value"] < row["high"]
        else:
            assert row["low"] is row["high"] is row["n"] is None


def test_the_promoted_model_is_the_champion_and_can_be_rolled_back(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    assert command("score", "--task", "songs", "--lake", lake, "--row", "energy=1") == 3
    assert "no champion" in capsys.readouterr().err
    assert command("models", "rollback", "songs", "--lake", lake) == 3
    assert "songs has no champion: `beatlake models promote songs" in capsys.readouterr().err
    for version in (1, 2):
        assert command("models", "promote", "songs", str(version), "--lake", lake) == 0
        verdict = promotion.choose(Lake(lake), "songs", version).manifest.verdict
        assert capsys.readouterr().out.splitlines()[-1] == verdict != ""
        (champion,) = (
            row
            for row in shown(capsys, "models", "list", "--lake", lake, "--format", "json")
            if row["champion"]
        )
        assert champion["version"] == version
    assert command("models", "rollback", "songs", "--lake", lake) == 0
    assert promotion.choose(Lake(lake), "songs").manifest.version == 1
    assert command("models", "rollback", "songs", "--lake", lake) == 3
    assert "no champion before" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "--task", "genre"),
        ("score", "--task", "genre", "--row", "energy=1"),
        ("score", "--task", "genre", "--version", "1", "--row", "energy=1"),
        ("models", "promote", "genre", "1"),
        ("models", "rollback", "genre"),
    ],
)
def test_without_any_model_the_first_thing_to_do_is_to_train_one(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*words, "--lake", tmp_path / "lake") == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "genre has no model: train one first, with `beatlake train --task genre`" in said


def test_predictions_are_the_same_in_a_fresh_process_without_spark_and_after_a_move(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = shown(
        capsys,
        *("score", "--task", "songs", "--version", "1", "--lake", trained.lake),
        *(word for value in ROW for word in ("--row", value)),
    )
    assert sum(said["probabilities"].values()) == pytest.approx(1)
    assert said["drivers"][0]["feature"] == "energy"
    moved = shutil.copytree(registry.folder_of(Lake(trained.lake), "songs", 1), tmp_path / "moved")
    code = f"""if True:
        import json, sys
        sys.modules["pyspark"] = None
        from pathlib import Path
        from beatlake.learn import registry, scoring_row
        found = registry.verified(Path({str(moved)!r}))
        print(json.dumps(scoring_row.score_row(None, found, {list(ROW)!r})))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == said


def test_the_booster_predicts_what_its_spark_model_does(
    trained: Trained, spark: SparkSession
) -> None:
    from xgboost.spark import SparkXGBClassifierModel

    found = promotion.choose(Lake(trained.lake), "songs", 1)
    random = np.random.default_rng(3)
    columns = found.manifest.columns
    values = random.normal(size=(200, len(columns)))
    frame = spark.createDataFrame(values.tolist(), [f"`{c}`".strip("`") for c in columns])
    model = SparkXGBClassifierModel.load(str(found.folder / "spark"))
    rows = model.transform(frame.coalesce(1)).select("probability").collect()
    expected = np.array([row.probability.toArray() for row in rows])

    table = pa.table({name: values[:, i] for i, name in enumerate(columns)})
    answer = found.load().predict(None, table)
    assert answer.proba == pytest.approx(expected, abs=1e-6)
    assert found.manifest.facts["rounds"] < 60


@pytest.mark.parametrize("version", [1, 2])
def test_a_table_is_scored_in_workers_as_the_driver_would(
    version: int, trained: Trained, spark: SparkSession, tmp_path: Path
) -> None:
    output = tmp_path / "scored"
    assert (
        command(
            *("score", "--task", "songs", "--version", str(version), "--lake", trained.lake),
            *("--table", trained.table, "--output", output),
        )
        == 0
    )
    scored = pq.read_table(output)
    assert scored.num_rows == len(songs.made(1200, artists=150))
    assert scored.column("in_scope").to_pylist() == [True] * scored.num_rows
    # The predictions of the training's own test side say the same of the same songs.
    kept = Lake(trained.lake).open("ml.predictions").to_pyarrow_table().to_pylist()
    estimator = {1: "xgboost", 2: "logistic_regression"}[version]
    mine = {row["row_id"].split("-")[0]: row for row in kept if row["estimator"] == estimator}
    assert len(mine) > 100
    found = {row["row_id"]: row for row in scored.to_pylist()}
    for name, row in mine.items():
        assert found[name]["predicted"] == row["predicted"]
        assert found[name]["probability"] == pytest.approx(row["probability"], abs=1e-9)


@pytest.mark.full
def test_the_same_training_gives_the_same_figures_on_one_core_and_two(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = tmp_path / "lake"
    words = ["train", "--task", trained.task, "--table", trained.table, "--lake", lake, "--quiet"]
    code = f"import sys; from beatlake.cli import main; sys.exit(main({list(map(str, words))!r} + "
    code += "['--set', 'spark.cores=1', '--set', 'spark.memory=1g']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (
        shown(capsys, "models", "show", "songs", "--lake", place, "--format", "json")
        for place in (trained.lake, lake)
    )
    assert len(first) == len(second)
    numbers = [
        [line["value"] if line["value"] is not None else -1.0 for line in lines]
        for lines in (first, second)
    ]
    # Predicted classes are the same; probabilities of Spark ML may differ in their last digits.
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9)


@pytest.mark.parametrize("change", ["damaged", "foreign", "gone", "linked", "pickled"])
def test_a_model_that_is_not_whole_is_refused(
    change: str, trained: Trained, tmp_path: Path
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    folder = registry.folder_of(Lake(lake), "songs", 1)
    booster = folder / "booster.ubj"
    if change == "damaged":
        content = bytearray(booster.read_bytes())
        content[len(content) // 2] ^= 1
        booster.write_bytes(content)
    elif change == "foreign":
        shutil.rmtree(folder)
        shutil.copytree(registry.folder_of(Lake(lake), "songs", 2), folder)
    elif change == "gone":
        booster.unlink()
    elif change == "linked":
        shutil.move(booster, tmp_path / "elsewhere.ubj")
        booster.symlink_to(tmp_path / "elsewhere.ubj")
    else:
        (folder / "extra.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError):
        promotion.choose(Lake(lake), "songs", 1)


def test_nothing_stored_is_pickle(trained: Trained) -> None:
    for path in (trained.lake / "models").rglob("*"):
        if path.is_file():
            assert path.suffix not in (".pkl", ".pickle", ".joblib")
            assert not path.read_bytes().startswith((b"\x80\x03", b"\x80\x04", b"\x80\x05"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROW[1:], "energy is missing"),
        ((*ROW, "enrgy=1"), "enrgy is no feature (near: energy)"),
        (("energy=loud", *ROW[1:]), "energy takes a number, and 'loud' is none"),
        ((*ROW, "energy=2"), "energy is given twice"),
    ],
)
def test_a_row_that_does_not_fit_is_told_by_the_feature(
    row: tuple[str, ...], said: str, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for value in row for word in ("--row", value)]
    code = command("score", "--task", "songs", "--version", "1", "--lake", trained.lake, *words)
    assert code == 3
    assert said in capsys.readouterr().err


def test_a_worse_model_is_not_promoted_over_the_champion(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    assert command("models", "promote", "songs", "1", "--lake", lake) == 0
    shuffled = songs.made(1200, artists=150)
    labels = np.random.default_rng(5).permutation([song["hit"] for song in shuffled])
    for song, label in zip(shuffled, labels, strict=True):
        song["hit"] = str(label)
    table = songs.write(shuffled, tmp_path / "shuffled.csv")
    text = songs.altered(
        songs.TASK, ("splits: {headline: artist}", "splits: {headline: artist, rungs: [artist]}")
    )
    task = write_task(tmp_path / "songs.yaml", text)
    assert command("train", "--task", task, "--table", table, "--lake", lake, "--quiet") == 0
    lines = shown(capsys, "models", "show", "songs", "--lake", lake, "--format", "json")
    # Shuffled labels score at chance: the interval holds the share of the commonest class or half.
    found = headline(lines, "logistic_regression", "artist")
    assert found["interval"][0] - 0.02 < 0.5 < found["interval"][1] + 0.02
    assert command("models", "promote", "songs", "3", "--lake", lake) == 3
    assert "Version 3 is worse than the champion, version 1" in capsys.readouterr().err
    assert promotion.choose(Lake(lake), "songs").manifest.version == 1


def rewritten(lake: Path, made: Callable[[dict[str, Any], int], dict[str, Any] | None]) -> None:
    """Replace what the second version is recorded to have predicted, of that of the first.

    The scores that the registry has stay as they are.
    """
    place = Lake(lake)
    table = place.open("ml.predictions").to_pyarrow_table()
    rows = sorted(table.to_pylist(), key=lambda row: row["row_id"])
    first = [row for row in rows if row["estimator"] == "xgboost"]
    second = [made({**row, "estimator": "logistic_regression"}, i) for i, row in enumerate(first)]
    kept = [*first, *(row for row in second if row is not None)]
    path = place.path("ml.predictions")
    write_deltalake(path, pa.Table.from_pylist(kept, table.schema), mode="overwrite")


def always_wrong_in_ten(row: dict[str, Any], i: int) -> dict[str, Any]:
    wrong = "no" if row["label"] == "yes" else "yes"
    return {**row, "predicted": wrong} if i % 10 == 0 else row


def test_a_promotion_goes_by_the_paired_difference_that_compare_gives(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    rewritten(lake, always_wrong_in_ten)
    words = ("models", "compare", "songs", "2", "1", "--lake", lake, "--format", "json")
    (line,) = (line for line in shown(capsys, *words) if line["metric"] == "accuracy")
    assert line["first_is"] == "worse"
    low, high = line["interval"]
    numbers = (
        f"on the {line['n']:,} test rows that both predicted: accuracy {line['first']:.4f} against"
        f" {line['second']:.4f} (difference {line['difference']:+.4f}, 95 % interval {low:+.4f} to"
        f" {high:+.4f})."
    )
    # Its own score lies within the champion's interval.
    known = registry.events(Lake(lake))
    one, two = (known.registered("songs", version) for version in (1, 2))
    assert one is not None
    assert two is not None
    assert two["value"] > one["low"]

    assert command("models", "promote", "songs", "1", "--lake", lake) == 0
    assert "than the champion" not in capsys.readouterr().out
    assert command("models", "promote", "songs", "2", "--lake", lake) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "Version 2 is not promoted." in said
    assert f"Version 2 is worse than the champion, version 1, {numbers}" in said
    assert promotion.choose(Lake(lake), "songs").manifest.version == 1


def test_a_promotion_says_how_the_version_compares_with_the_champion_before(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    rewritten(lake, always_wrong_in_ten)
    assert command("models", "promote", "songs", "2", "--lake", lake) == 0
    capsys.readouterr()
    assert command("models", "promote", "songs", "1", "--lake", lake) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Version 1 is the champion of songs."
    assert said[1].startswith("Version 1 is better than the champion before, version 2, on the")
    assert "own interval" not in said[1]


@pytest.mark.parametrize("why", ["no row in common", "a damaged champion"])
def test_without_a_paired_difference_a_promotion_goes_by_the_champions_interval_and_says_so(
    why: str, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    assert command("models", "promote", "songs", "1", "--lake", lake) == 0
    if why == "no row in common":
        rewritten(lake, lambda row, i: None)
        reason = "Versions 2 and 1 of songs have predicted no test row in common."
    else:
        (registry.folder_of(Lake(lake), "songs", 1) / "booster.ubj").unlink()
        reason = "booster.ubj is gone."
    capsys.readouterr()
    assert command("models", "promote", "songs", "2", "--lake", lake) == 0
    said = capsys.readouterr().out.splitlines()[1]
    assert "on the artist rung is not worse than the champion's" in said
    assert "This goes by the champion's own interval" in said
    assert reason in said


def test_without_a_paired_difference_what_is_beyond_the_champions_interval_is_refused(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = shutil.copytree(trained.lake, tmp_path / "lake")
    rewritten(lake, lambda row, i: None)
    place = Lake(lake)
    table = place.open("ml.models").to_pyarrow_table()
    rows = [row | ({"value": 0.1} if row["version"] == 2 else {}) for row in table.to_pylist()]
    version = place.open("ml.models").transaction_version(APPLICATION)
    properties = CommitProperties(app_transactions=[Transaction(APPLICATION, version)])
    write_deltalake(
        place.path("ml.models"),
        pa.Table.from_pylist(rows, table.schema),
        mode="overwrite",
        commit_properties=properties,
    )
    assert command("models", "promote", "songs", "1", "--lake", lake) == 0
    assert command("models", "promote", "songs", "2", "--lake", lake) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "accuracy 0.1000 of version 2 on the artist rung is worse than the champion's" in said
    assert "This goes by the champion's own interval" in said


def test_a_leak_ends_with_exit_code_5_and_registers_nothing(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        {**s, "energy": float(s["hit"] == "yes") + i / 1e6} for i, s in enumerate(songs.made())
    ]
    table = songs.write(given, tmp_path / "songs.csv")
    task = write_task(tmp_path / "songs.yaml", songs.TASK)
    lake = tmp_path / "lake"
    assert command("train", "--task", task, "--table", table, "--lake", lake) == 5
    assert "single_feature_auc: energy: AUC 1.000" in capsys.readouterr().err
    assert not lake.exists()


@pytest.mark.parametrize(
    ("n", "change", "said"),
    [
        (3, {}, "error"),
        (200, {"hit": "yes"}, "nothing to tell apart"),
        (200, {"energy": None, "tempo": None, "valence": None, "mood": None}, "No feature"),
    ],
)
def test_a_table_that_nothing_can_be_learnt_from_is_an_error_in_a_sentence(
    n: int,
    change: dict[str, Any],
    said: str,
    spark: SparkSession,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [{**song, **change} for song in songs.made(n)]
    table = songs.write(given, tmp_path / "songs.csv")
    task = write_task(tmp_path / "songs.yaml", songs.TASK)
    code = command("train", "--task", task, "--table", table, "--lake", tmp_path / "lake")
    assert code in (2, 3)
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error

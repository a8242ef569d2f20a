"""Choices on group folds: what they see, what they take, and that a kill loses no fit."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import songs
from sklearn.tree import DecisionTreeClassifier
from trees import Trees

from beatlake import cli
from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.learn import estimators, registry, splits, task_files
from beatlake.learn.algorithms import Range, Search
from beatlake.learn.candidates import candidates
from beatlake.learn.records import Outcome, Records
from beatlake.learn.sides import Sides
from beatlake.learn.splits import FITTING
from beatlake.learn.tuning import Settled, Tuner

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SEARCHED = songs.altered(
    songs.TASK,
    (
        "  - {name: logistic_regression}",
        "  - {name: xgboost, parameters: {n_estimators: 8}, search: {over: {max_depth: [1, 3]},"
        " folds: 3}}",
    ),
    ("splits: {headline: artist}", "splits: {headline: artist, rungs: [artist]}"),
)


def found_in(given: list[dict[str, Any]], folder: Path, name: str, folds: int) -> dict[str, Any]:
    """The songs of each side of each inner split of a rung, and of the rung's own test side."""
    by_track = {song["track"]: song for song in given}
    with songs.ready(given, folder) as ready:
        rungs = {
            r.name: r for r in splits.assign(ready.connection, ready.prepared, ready.task.splits)
        }

        def sides(table: str) -> dict[str, list[dict[str, Any]]]:
            dealt: dict[str, list[dict[str, Any]]] = {}
            for recording, side in ready.connection.execute(
                f"SELECT recording, side FROM prepared JOIN {table} USING (row_id)"
            ).fetchall():
                dealt.setdefault(side, []).append(by_track[recording.removeprefix("0:")])
            return dealt

        inner = splits.inner(ready.connection, rungs[name], ready.task.splits.salt, folds)
        return {"folds": [sides(r.table) for r in inner], "rung": sides(rungs[name].table)}


def artists(dealt: list[dict[str, Any]]) -> set[str]:
    return {name for song in dealt for name in re.split(r" feat\. ", song["artist"].lower())}


@pytest.mark.parametrize("name", ["recording", "artist", "time", "artist_time"])
def test_folds_split_no_group_and_hold_no_test_row(name: str, tmp_path: Path) -> None:
    found = found_in(songs.made(600), tmp_path, name, 3)
    tested = {song["track"] for song in found["rung"]["test"]}
    judged: list[str] = []
    for fold in found["folds"]:
        fitting = [song for side in FITTING for song in fold.get(side, [])]
        tracks = {song["track"] for song in fold["test"]}
        assert len(fitting) > 50
        assert len(tracks) > 10
        assert not tracks & {song["track"] for song in fitting}
        assert not tested & (tracks | {song["track"] for song in fitting})
        if "artist" in name:
            assert not artists(fold["test"]) & artists(fitting)
        judged += [song["track"] for song in fold["test"]]
    trained = [song["track"] for side in FITTING for song in found["rung"].get(side, [])]
    # Every row that may train judges once, and every recording in one fold.
    assert sorted(judged) == sorted(trained)


def test_a_grid_is_every_combination_in_the_order_of_the_file() -> None:
    grid = Search(over={"b": (2, 1), "a": (True, 0.5)})
    assert candidates(grid, "any", 1) == [
        {"b": 2, "a": True},
        {"b": 2, "a": 0.5},
        {"b": 1, "a": True},
        {"b": 1, "a": 0.5},
    ]


def test_draws_are_the_same_for_a_seed_and_cover_their_ranges() -> None:
    search = Search(
        over={
            "depth": Range(low=1, high=6),
            "rate": Range(low=0.001, high=1.0, scale="log"),
            "kind": ("a", "b"),
        },
        draws=600,
    )
    drawn = candidates(search, "xgboost", 42)
    assert drawn == candidates(search, "xgboost", 42)
    assert drawn != candidates(search, "xgboost", 43)
    assert drawn != candidates(search, "random_forest", 42)
    assert len({json.dumps(one) for one in drawn}) == 600
    depths = np.bincount([int(one["depth"]) for one in drawn])  # type: ignore[arg-type]
    # 100 of each are expected, with a standard deviation of 9.
    assert depths[0] == 0
    assert (depths[1:] > 60).all()
    assert len(depths) == 7
    rates = np.log10([float(one["rate"]) for one in drawn])  # type: ignore[arg-type]
    # Even on the log scale: a third of the draws lies in each power of ten.
    shares = np.histogram(rates, bins=[-3, -2, -1, 0])[0] / 600
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08)
    assert rates.min() >= -3
    assert rates.max() <= 0


def test_more_draws_than_there_are_combinations_are_a_grid() -> None:
    search = Search(over={"a": (1, 2), "b": (1, 2)}, draws=50)
    assert candidates(search, "any", 1) == candidates(Search(over=search.over), "any", 1)
    few = candidates(Search(over={"a": Range(low=1, high=3)}, draws=50), "any", 1)
    assert sorted(one["a"] for one in few) == [1, 2, 3]  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("{over: {max_depth: {low: 1, high: 3}}}", "max_depth is a range, which needs `draws`"),
        ("{over: {max_depth: {low: 3, high: 3}}, draws: 2}", "`low` lies below `high`"),
        ("{over: {eta: {low: 0, high: 3, scale: log}}, draws: 2}", "lies above 0"),
        ("{over: {max_depth: [1, 1]}}", "max_depth needs values, each once"),
        ("{over: {n_estimators: [1, 2]}}", "n_estimators is both set and searched over"),
        ("{over: {early_stopping_rounds: [1, 2]}}", "cannot be searched over"),
        ("{over: {max_depth: [1, 2]}, fold: 3}", "fold; did you mean folds?"),
    ],
)
def test_a_search_that_cannot_be_is_told(search: str, said: str) -> None:
    text = songs.altered(SEARCHED, ("{over: {max_depth: [1, 3]}, folds: 3}", search))
    with pytest.raises(ConfigError) as error:
        task_files.parse(text.replace(" folds: 3}}", "}"), "songs.yaml")
    assert said in str(error.value)


def test_a_parameter_that_is_searched_over_must_be_known() -> None:
    text = songs.altered(SEARCHED, ("max_depth: [1, 3]", "max_deep: [1, 3]"))
    with pytest.raises(ConfigError, match="did you mean max_depth"):
        estimators.check(task_files.parse(text, "songs"))


@pytest.fixture
def trees(monkeypatch: pytest.MonkeyPatch) -> Trees:
    made = Trees()
    monkeypatch.setattr(estimators, "fit", made)
    return made


def settled(
    given: list[dict[str, Any]],
    folder: Path,
    text: str = SEARCHED,
    records: Records | None = None,
    spark: SparkSession | None = None,
    parallel: int = 1,
) -> Settled:
    """What the headline rung of some songs settles for the task's first estimator."""
    with songs.ready(given, folder, text) as ready:
        rungs = splits.assign(ready.connection, ready.prepared, ready.task.splits)
        (rung,) = (r for r in rungs if r.name == ready.task.splits.headline)
        sides = Sides(ready.connection, ready.task, ready.prepared, folder)
        tuner = Tuner(sides, spark, records or Records(), parallel)  # type: ignore[arg-type]
        return tuner.settle(rung, ready.task.estimators[0])


def test_after_a_kill_only_what_was_not_done_is_fitted(trees: Trees, tmp_path: Path) -> None:
    given = songs.made()
    origin = {"inputs": {"songs.csv": "one"}}
    records = Records(tmp_path / "records", origin)
    code = f"""if True:
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import songs, test_tuning, trees
        from beatlake.learn import estimators
        folder = Path({str(tmp_path)!r})
        made = estimators.fit = trees.Trees()
        made.stops_at = 4
        made.stop = lambda: os.kill(os.getpid(), signal.SIGKILL)
        records = test_tuning.Records(folder / "records", {origin!r})
        test_tuning.settled(songs.made(), folder, records=records)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list((tmp_path / "records").glob("*.json"))) == 4
    (tmp_path / "rows.duckdb").unlink()
    first = settled(given, tmp_path, records=records)
    assert trees.made == 2
    # Nothing is left to fit, and what comes of it is what comes without records.
    again = settled(given, tmp_path, records=records)
    assert trees.made == 2
    assert first == again == settled(given, tmp_path)
    assert trees.made == 8
    # Another version of the table is another search; the same rows dealt otherwise are, too.
    settled(given, tmp_path, records=Records(tmp_path / "records", {"inputs": {}}))
    assert trees.made == 14
    salted = songs.altered(SEARCHED, ("headline: artist,", "headline: artist, salt: other,"))
    settled(given, tmp_path, salted, records)
    assert trees.made == 20


def test_a_fit_that_fails_ends_the_search_and_keeps_what_was_done(
    trees: Trees, spark: SparkSession, tmp_path: Path
) -> None:
    def fail() -> None:
        raise InputError("too deep")

    trees.stops_at, trees.stop = 3, fail
    given = songs.made()
    text = songs.altered(SEARCHED, ("max_depth: [1, 3]", "max_depth: [1, 2, 3, 4]"))
    records = Records(tmp_path / "records")
    with pytest.raises(InputError, match="too deep"):
        settled(given, tmp_path, text, records, spark=spark, parallel=2)
    kept = len(list((tmp_path / "records").glob("*.json")))
    assert 3 <= kept < 12
    (tmp_path / "rows.duckdb").unlink()
    trees.made, trees.stops_at = 0, None
    settled(given, tmp_path, text, records)
    assert trees.made == 12 - kept


def test_candidates_side_by_side_choose_the_same(
    trees: Trees, spark: SparkSession, tmp_path: Path
) -> None:
    given = songs.made()
    text = songs.altered(SEARCHED, ("max_depth: [1, 3]", "max_depth: [1, 2, 3, 4]"))
    one_by_one = settled(given, tmp_path, text)
    assert settled(given, tmp_path, text, spark=spark, parallel=3) == one_by_one
    assert trees.made == 24


def test_a_record_that_is_damaged_or_of_another_fit_is_fitted_again(tmp_path: Path) -> None:
    said: list[str] = []
    records = Records(tmp_path, {"code": "1"}, said.append)
    origins: list[dict[str, Any]] = [{"fold": fold} for fold in range(3)]
    for origin in origins:
        records.keep(origin, Outcome(value=0.1 + origin["fold"], importances={"a": 1 / 3}))
    assert records.find(origins[1]) == Outcome(value=1.1, importances={"a": 1 / 3})
    assert records.find({"fold": 4}) is None
    assert Records(tmp_path, {"code": "2"}).find(origins[1]) is None
    assert not said

    by_fold = {json.loads(path.read_text())["origin"]["fold"]: path for path in tmp_path.iterdir()}
    by_fold[0].write_text(by_fold[0].read_text().replace("0.1", "0.9"))
    by_fold[1].write_text(by_fold[2].read_text())
    by_fold[2].write_text(by_fold[2].read_text()[:-9])
    assert [records.find(origin) for origin in origins] == [None, None, None]
    assert [line.split(" ", 3)[3] for line in said] == [
        "is not of this fit, which is made again.",
        "is not of this fit, which is made again.",
        "is damaged: its fit is made again.",
    ]
    records.keep(origins[0], Outcome(value=0.1))
    assert records.find(origins[0]) == Outcome(value=0.1)


def test_the_choice_does_not_see_the_test_side(trees: Trees, tmp_path: Path) -> None:
    given = songs.made()
    rung = found_in(given, tmp_path, "artist", 3)["rung"]
    tested = {song["track"] for song in rung["test"]}
    other = [
        {**s, "energy": 9.0, "tempo": 1.0, "hit": "no", "mood": "loud"}
        if s["track"] in tested
        else s
        for s in given
    ]
    assert settled(given, tmp_path) == settled(other, tmp_path)
    train = [{**s, "energy": -(s["energy"] ** 3)} if s["track"] not in tested else s for s in given]
    assert settled(given, tmp_path) != settled(train, tmp_path)


ON_NUMBERS = songs.altered(
    songs.TASK,
    ("    text: {features: [{name: mood, form: category}]}\n", "  scale: none\n"),
    (
        "  - {name: logistic_regression}",
        "  - {name: decision_tree, search: {over: {max_depth: [1, 3]}, folds: 3}}",
    ),
    ("splits: {headline: artist}", "splits: {headline: recording}"),
)
NUMBERS = ["energy", "tempo", "valence"]


def numbers(given: list[dict[str, Any]], folder: Path) -> list[list[float]]:
    """Features, label and fold of every song that may train on the recording rung."""
    folds = found_in(given, folder, "recording", 3)["folds"]
    return [
        [*(float(song[name]) for name in NUMBERS), float(song["hit"] == "yes"), float(k)]
        for k, fold in enumerate(folds)
        for song in fold["test"]
    ]


def test_scores_of_folds_are_those_that_scikit_learn_finds(trees: Trees, tmp_path: Path) -> None:
    from sklearn.model_selection import PredefinedSplit, cross_val_score

    given = songs.made()
    (choice,) = settled(given, tmp_path, ON_NUMBERS).choices
    rows = np.array(numbers(given, tmp_path))
    for candidate, depth in zip(choice.candidates, (1, 3), strict=True):
        expected = cross_val_score(
            DecisionTreeClassifier(max_depth=depth, random_state=0),
            rows[:, :3],
            rows[:, 3],
            cv=PredefinedSplit(rows[:, 4]),
        )
        assert candidate.parameters == {"max_depth": depth}
        assert candidate.values == pytest.approx(expected, abs=1e-12)
    means = [candidate.mean for candidate in choice.candidates]
    assert choice.chosen == int(np.argmax(means))


@pytest.mark.full
def test_scores_of_folds_are_those_that_spark_finds_with_fold_col(
    spark: SparkSession, tmp_path: Path
) -> None:
    from pyspark.ml.classification import DecisionTreeClassifier as SparkTree
    from pyspark.ml.evaluation import MulticlassClassificationEvaluator
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

    given = songs.made()
    (choice,) = settled(given, tmp_path, ON_NUMBERS, spark=spark, parallel=2).choices
    frame = spark.createDataFrame(numbers(given, tmp_path), [*NUMBERS, "label", "fold"])
    assembled = VectorAssembler(inputCols=NUMBERS, outputCol="features").transform(
        frame.selectExpr("* except (fold)", "int(fold) as fold")
    )
    tree = SparkTree(seed=42)
    found = CrossValidator(
        estimator=tree,
        estimatorParamMaps=ParamGridBuilder().addGrid(tree.maxDepth, [1, 3]).build(),
        evaluator=MulticlassClassificationEvaluator(metricName="accuracy"),
        numFolds=3,
        foldCol="fold",
    ).fit(assembled)
    assert [one.mean for one in choice.candidates] == pytest.approx(found.avgMetrics, abs=1e-12)
    assert choice.chosen == int(np.argmax(found.avgMetrics))


@pytest.mark.full
def test_xgboost_is_searched_with_early_stopping(spark: SparkSession, tmp_path: Path) -> None:
    text = songs.altered(
        SEARCHED,
        (
            "{n_estimators: 8}, search: {over: {max_depth: [1, 3]}, folds: 3}",
            "{n_estimators: 40, early_stopping_rounds: 3}, search: {draws: 2, folds: 2,"
            " over: {learning_rate: {low: 0.001, high: 0.3, scale: log}}}, elimination: {folds: 2}",
        ),
    )
    found = settled(songs.made(800, artists=120), tmp_path, text, spark=spark, parallel=2)
    search, elimination = found.choices
    assert len({one.parameters["learning_rate"] for one in search.candidates}) == 2
    assert found.estimator.parameters == search.candidates[search.chosen].parameters
    assert "energy" in found.features
    assert elimination.candidates[-1].values == search.candidates[search.chosen].values


def test_too_many_folds_for_the_groups_are_told(trees: Trees, tmp_path: Path) -> None:
    text = songs.altered(SEARCHED, ("folds: 3", "folds: 20"))
    with pytest.raises(InputError, match="too few artists for so many folds"):
        settled(songs.made(80, artists=12), tmp_path, text)


def test_features_are_eliminated_as_scikit_learn_does(trees: Trees, tmp_path: Path) -> None:
    from sklearn.feature_selection import RFECV
    from sklearn.model_selection import PredefinedSplit

    text = songs.altered(
        ON_NUMBERS,
        (
            "search: {over: {max_depth: [1, 3]}, folds: 3}",
            "parameters: {max_depth: 2}, elimination: {folds: 3}",
        ),
    )
    given = songs.made()
    found = settled(given, tmp_path, text)
    (choice,) = found.choices
    rows = np.array(numbers(given, tmp_path))
    theirs = RFECV(
        DecisionTreeClassifier(max_depth=2, random_state=0), cv=PredefinedSplit(rows[:, 4])
    ).fit(rows[:, :3], rows[:, 3])
    expected = theirs.cv_results_["mean_test_score"]
    assert [one.features for one in choice.candidates] == [1, 2, 3]
    assert [one.mean for one in choice.candidates] == pytest.approx(expected, abs=1e-12)
    assert list(found.features) == np.array(NUMBERS)[theirs.support_].tolist()


def test_features_that_say_nothing_are_eliminated(trees: Trees, tmp_path: Path) -> None:
    text = songs.altered(
        songs.TASK,
        ("  - {name: logistic_regression}", "  - {name: random_forest, elimination: {folds: 2}}"),
    )
    found = settled(songs.made(1200, artists=150), tmp_path, text)
    (choice,) = found.choices
    # A hit follows from the energy and the artist; tempo, valence and mood are drawn by chance.
    assert "energy" in found.features
    assert [one.features for one in choice.candidates] == [1, 2, 3, 4]
    assert choice.candidates[0].mean > 0.6
    assert "energy" not in choice.dropped
    assert set(choice.dropped) | set(found.features) == {"energy", "tempo", "valence", "mood"}
    # Two folds on the way down to one feature, and the way on the whole side.
    assert trees.made == 2 * 4 + len(choice.dropped)
    best = max(fmean(one.values) for one in choice.candidates)
    assert choice.candidates[choice.chosen].mean == best


def test_choices_are_in_the_table_the_manifest_the_card_and_what_is_shown(
    trees: Trees, spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = songs.altered(
        SEARCHED,
        ("rungs: [artist]", "rungs: [random, artist]"),
        ("folds: 3}}", "folds: 3}, elimination: {folds: 3, step: 2}}"),
    )
    task_file = tmp_path / "songs.yaml"
    task_file.write_text(text, encoding="utf-8")
    table = songs.write(songs.made(), tmp_path / "songs.csv")
    lake = tmp_path / "lake"
    words = ["train", "--task", str(task_file), "--table", str(table), "--lake", str(lake)]
    assert cli.main([*words, "--quiet"]) == 0

    rows = Lake(lake).open("ml.tuning").to_pyarrow_table().to_pylist()
    # Two depths, and four and two features, on three folds of two rungs.
    assert len(rows) == 2 * 3 * (2 + 2)
    found = registry.verified(registry.folder_of(Lake(lake), "songs", 1))
    search, elimination = found.manifest.choices
    for rung in ("random", "artist"):
        mine = [r for r in rows if r["rung"] == rung and r["step"] == "search"]
        means = {
            place: fmean(r["value"] for r in mine if r["candidate"] == place) for place in (1, 2)
        }
        chosen = {r["candidate"] for r in mine if r["chosen"]}
        assert chosen == {max(means, key=lambda place: means[place])}
        if rung == "artist":
            assert chosen == {search["chosen"] + 1}
            (parameters,) = {r["parameters"] for r in mine if r["chosen"]}
            assert json.loads(parameters) == found.manifest.parameters
    assert found.manifest.parameters["max_depth"] in (1, 3)
    kept = elimination["candidates"][elimination["chosen"]]["features"]
    assert {c.feature for c in found.fitted.columns} | set(elimination["dropped"]) == {
        *("energy", "tempo", "valence", "mood")
    }
    assert len({c.feature for c in found.fitted.columns}) == kept
    card = (found.folder / "card.md").read_text(encoding="utf-8")
    assert "Parameters, every combination." in card
    assert "| max_depth 3 |" in card.replace("\\", "")
    assert "parameters: training rows" in card

    weighed = Lake(lake).open("ml.importances").to_pyarrow_table().to_pylist()
    assert {row["method"] for row in weighed} == {"permutation", "impurity"}
    assert {row["feature"] for row in weighed} == {c.feature for c in found.fitted.columns}
    assert found.manifest.importances[0]["feature"] == "energy"
    assert "accuracy gets when the feature is permuted among test rows" in card

    capsys.readouterr()
    show = ["models", "show", "songs", "--lake", str(lake), "--format", "json"]
    assert cli.main(show) == 0
    lines = json.loads(capsys.readouterr().out)
    by_rung = {line["rung"]: line for line in lines if line["tuning"]}
    assert {line["metric"] for line in by_rung.values()} == {found.manifest.metric}
    for rung in ("random", "artist"):
        tried = [(c["step"], c["features"], c["values"]) for c in by_rung[rung]["tuning"]]
        assert [step for step, *_ in tried] == ["search"] * 2 + ["elimination"] * 2
        assert [n for _, n, _ in tried] == [4, 4, 2, 4]
        assert all(len(values) == 3 for *_, values in tried)
    asked = [c for choice in found.manifest.choices for c in choice["candidates"]]
    for shown, candidate in zip(by_rung["artist"]["tuning"], asked, strict=True):
        assert {key: shown[key] for key in candidate} == candidate
    assert [c["chosen"] for c in by_rung["artist"]["tuning"]].count(True) == 2
    assert [line["rung"] for line in lines if line["importances"]] == ["artist"]
    assert by_rung["artist"]["importances"] == found.manifest.importances

    # The same command again fits what it registers, and nothing on a fold.
    made = trees.made
    assert cli.main([*words, "--quiet"]) == 0
    assert trees.made - made == 2

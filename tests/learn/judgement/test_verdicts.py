"""Baselines by hand, and whether a model beats them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from judged_sides import classes_of, music, numbers_of, popularity

from beatlake.errors import InputError
from beatlake.learn.judgement import (
    Predictions,
    Training,
    baselines,
    beats,
    classification,
    difference,
    regression,
)


def training(p: Predictions) -> Training:
    return Training(p.y_true, p.group, p.slices)


def test_baselines_of_classes_by_hand() -> None:
    slices = {"genre": np.array(["x", "x", "x", "y"]), "year": np.array(["1", "1", "2", "1"])}
    train = Training(np.array([1, 1, 0, 2]), np.array(["a", "a", "b", "c"]), slices)
    test = classes_of(
        [0, 0, 0],
        [0, 0, 0],
        group=["a", "new", "new"],
        slices={"genre": np.array(["x", "x", "z"]), "year": np.array(["1", "2", "9"])},
        classes=("p", "q", "r"),
    )

    found = baselines(train, test, salt="s")

    assert list(found) == ["majority", "stratified", "genre and year", "artist"]
    assert found["majority"].y_pred.tolist() == [1, 1, 1]
    shares = np.array([0.25, 0.5, 0.25])
    assert found["majority"].proba == pytest.approx(np.tile(shares, (3, 1)))
    # Genre x holds (1, 2, 0) rows, and the shares of all rows count as two more.
    x = (np.array([1, 2, 0]) + 2 * shares) / 5
    x_in_1 = (np.array([0, 2, 0]) + 2 * x) / 4
    x_in_2 = (np.array([1, 0, 0]) + 2 * x) / 3
    assert found["genre and year"].proba == pytest.approx(np.array([x_in_1, x_in_2, shares]))
    assert found["genre and year"].y_pred.tolist() == [1, 0, 1]
    a = (np.array([0, 2, 0]) + 2 * x_in_1) / 4
    assert found["artist"].proba == pytest.approx(np.array([a, x_in_2, shares]))


def test_baselines_of_numbers_by_hand() -> None:
    train = Training(
        np.array([1.0, 2.0, 9.0]), np.array(["a", "b", "b"]), {"year": np.array(["1", "1", "2"])}
    )
    test = numbers_of([0.0, 0.0], [0.0, 0.0], ["b", "new"], slices={"year": np.array(["1", "3"])})

    found = baselines(train, test, salt="s")

    assert list(found) == ["mean", "median", "stratified", "year", "artist"]
    assert found["mean"].y_pred.tolist() == [4, 4]
    assert found["median"].y_pred.tolist() == [2, 2]
    in_1 = (3 + 2 * 4) / 4
    assert found["year"].y_pred == pytest.approx([in_1, 4])
    # Artist b has one row of year 1.
    assert found["artist"].y_pred == pytest.approx([(2 + 2 * in_1) / 3, 4])


def test_stratified_draws_training_labels_by_the_rows_name() -> None:
    y = np.repeat([0, 1, 2, 3], [50, 30, 15, 5])
    test = classes_of(np.zeros(20_000, dtype=int), np.zeros(20_000, dtype=int))
    train = Training(y, y.astype(str))

    found = baselines(train, test, salt="s")["stratified"].y_pred

    assert np.bincount(found) / 20_000 == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.012)
    back = dataclasses.replace(test, row_id=test.row_id[::-1])
    assert (baselines(train, back, salt="s")["stratified"].y_pred == found[::-1]).all()
    assert (baselines(train, test, salt="t")["stratified"].y_pred != found).any()


def test_a_slicing_that_is_the_label_is_no_baseline() -> None:
    p = music(np.random.default_rng(0), 50)
    of_label = np.array(["a", "b", "c", "d"])[p.y_true]
    p = dataclasses.replace(p, slices={"genre": of_label, "year": p.slices["genre"]})

    assert list(baselines(training(p), p, salt="")) == ["majority", "stratified", "year", "artist"]


def test_rows_of_the_training_side_in_another_order_change_nothing() -> None:
    p = popularity(np.random.default_rng(0), 50)
    p = dataclasses.replace(p, y_true=p.y_true + 0.1)
    mixed = np.random.default_rng(1).permutation(p.n)
    moved = Training(p.y_true[mixed], p.group[mixed], {"year": p.slices["year"][mixed]})

    one, other = (baselines(train, p, salt="s") for train in (training(p), moved))

    assert list(one) == list(other)
    assert all((one[name].y_pred == other[name].y_pred).all() for name in one)


def test_an_empty_training_side_is_refused() -> None:
    with pytest.raises(InputError, match="no row to take a baseline from"):
        baselines(Training(np.array([]), np.array([])), numbers_of([1.0], [1.0]), salt="")


def test_a_model_of_one_feature_stands_beside_the_others() -> None:
    p = popularity(np.random.default_rng(0), 10)

    assert baselines(training(p), p, salt="", one_feature=p)["one feature"] is p


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "log_loss", "pr_auc", "ece"])
def test_a_difference_is_that_of_both_scores(metric: str) -> None:
    p = music(np.random.default_rng(0), 60)
    other = baselines(training(p), p, salt="s")["majority"]

    found = difference(p, other, metric=metric, salt="s", resamples=50)

    judged = [classification(side, salt="s", resamples=50).score(metric) for side in (p, other)]
    assert (found.first, found.second) == (judged[0].value, judged[1].value)
    assert found.value == found.first - found.second
    assert (found.n, found.groups) == (p.n, 60)


def test_a_model_does_not_differ_from_itself() -> None:
    p = popularity(np.random.default_rng(0), 40)

    found = difference(p, p, metric="rmse", salt="s")

    assert (found.value, found.low, found.high) == (0, None, None)
    assert found.interval == "no interval: all draws of artists are alike"
    assert found.first_is == "not told apart"


def test_pairing_tells_apart_what_two_intervals_do_not() -> None:
    # The second model errs by a little more on every row, the rows of one artist alike.
    p = popularity(np.random.default_rng(0), 40)
    worse = dataclasses.replace(p, y_pred=p.y_true + 1.02 * (p.y_pred - p.y_true))

    found = difference(p, worse, metric="mae", salt="s")

    one, other = (regression(side, salt="s").score("mae") for side in (p, worse))
    assert one.high is not None
    assert other.low is not None
    assert one.high > other.low
    assert found.first_is == "better"


def test_a_model_with_a_signal_beats_its_baselines() -> None:
    p = popularity(np.random.default_rng(0), 200)
    train = popularity(np.random.default_rng(1), 200)
    given = baselines(training(train), dataclasses.replace(p, group=p.group), salt="s")

    verdict = beats(p, given, metric="mae", salt="s")

    assert verdict.beaten
    assert verdict.sentence.startswith("The model beats all of its 5 baselines: mae ")
    # Less is better: the strongest baseline has the smallest error.
    assert verdict.strongest == min(given, key=lambda n: verdict.differences[n].second)


def test_a_model_without_a_signal_does_not() -> None:
    p = popularity(np.random.default_rng(0), 100)
    noise = dataclasses.replace(p, y_pred=np.random.default_rng(1).normal(20, 3, p.n))

    verdict = beats(noise, baselines(training(p), p, salt="s"), metric="mae", salt="s")

    assert not verdict.beaten
    assert "does not beat the baselines mean, median" in verdict.sentence


def test_shuffled_labels_do_not_beat_the_majority() -> None:
    p = music(np.random.default_rng(0), 100)
    shuffled = np.random.default_rng(1).permutation(p.y_true)
    p = dataclasses.replace(p, y_true=shuffled)
    majority = {"majority": baselines(training(p), p, salt="s")["majority"]}

    for metric in ("accuracy", "log_loss"):
        verdict = beats(p, majority, metric=metric, salt="s")
        assert not verdict.beaten
        assert verdict.sentence.startswith("The model does not beat the baseline majority:")


def test_one_artist_tells_nothing_apart() -> None:
    p = numbers_of([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], ["a"] * 3)
    other = dataclasses.replace(p, y_pred=np.array([9.0, 9.0, 9.0]))

    verdict = beats(p, {"nine": other}, metric="mae", salt="s")

    assert not verdict.beaten
    assert verdict.differences["nine"].first_is == "not told apart"
    assert "no interval: one artist" in verdict.sentence


def test_a_false_alarm_is_rare() -> None:
    # Two models that err alike: the interval of their difference leaves out 0 in 5 % of sides.
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        p = popularity(rng, 60)
        noise = rng.normal(size=(2, p.n))
        one, other = (dataclasses.replace(p, y_pred=p.y_pred + extra) for extra in noise)
        found = difference(one, other, metric="mae", salt=str(seed), resamples=200)
        alarms += found.first_is != "not told apart"
    assert alarms <= 12


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"row_id": np.array(["a", "b", "z"])}, "row_id of 1 of 3"),
        ({"y_true": np.array([1.0, 2.0, 4.0])}, "y_true of 1 of 3"),
        ({"group": np.array(["q", "y", "z"])}, "group of 1 of 3"),
    ],
)
def test_models_of_other_rows_are_not_compared(changed: dict, sentence: str) -> None:
    p = numbers_of([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], ["x", "y", "z"])
    p = dataclasses.replace(p, row_id=np.array(["a", "b", "c"]))

    with pytest.raises(InputError, match=sentence):
        difference(p, dataclasses.replace(p, **changed), metric="mae", salt="")
    with pytest.raises(InputError, match=sentence):
        beats(p, {"other": dataclasses.replace(p, **changed)}, metric="mae", salt="")


def test_models_of_other_classes_or_of_fewer_rows_are_not_compared() -> None:
    three = classes_of([0, 1, 2], [0, 1, 2])

    with pytest.raises(InputError, match="3 and 2 rows"):
        difference(three, classes_of([0, 1], [0, 1]), metric="accuracy", salt="")
    with pytest.raises(InputError, match="classes differ"):
        difference(three, numbers_of([0, 1, 2], [0, 1, 2]), metric="accuracy", salt="")


def test_a_metric_that_a_model_does_not_give_is_named() -> None:
    p = classes_of([0, 1], [0, 1])
    with pytest.raises(InputError, match="The first model gives no log_loss"):
        difference(p, p, metric="log_loss", salt="")
    with pytest.raises(InputError, match="spearman is not available for the baseline flat"):
        q = numbers_of([0, 1], [0, 1])
        flat = dataclasses.replace(q, y_pred=np.zeros(2))
        beats(q, {"flat": flat}, metric="spearman", salt="")
    with pytest.raises(InputError, match="no baseline"):
        beats(p, {}, metric="accuracy", salt="")

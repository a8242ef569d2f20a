"""Metrics of classifications against scikit-learn, published examples and counts by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from judged_sides import CLASSES, classes_of, music
from sklearn import metrics as sk

from beatlake.errors import InputError
from beatlake.learn.judgement import Predictions, classification, regression

THIRD = np.full(3, 1 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_scikit_learn(seed: int) -> None:
    p = music(np.random.default_rng(seed), 60)
    assert p.proba is not None

    judged = {s.metric: s.value for s in classification(p, salt="", resamples=2).scores[:9]}

    one = [sk.average_precision_score(p.y_true == k, p.proba[:, k]) for k in range(4)]
    assert judged == pytest.approx(
        {
            "accuracy": sk.accuracy_score(p.y_true, p.y_pred),
            "balanced_accuracy": sk.balanced_accuracy_score(p.y_true, p.y_pred),
            "macro_f1": sk.f1_score(p.y_true, p.y_pred, average="macro"),
            "top_2": sk.top_k_accuracy_score(p.y_true, p.proba, k=2),
            "top_3": sk.top_k_accuracy_score(p.y_true, p.proba, k=3),
            "log_loss": sk.log_loss(p.y_true, p.proba),
            "pr_auc": np.mean(one),
            "brier": np.square(np.eye(4)[p.y_true] - p.proba).sum(axis=1).mean(),
            "ece": judged["ece"],
        },
        abs=1e-12,
    )


def test_examples_that_scikit_learn_publishes() -> None:
    # Of log_loss, brier_score_loss and average_precision_score, in this order.
    spam = classes_of(
        [1, 0, 0, 1],
        [1, 0, 0, 1],
        [[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]],
        classes=("ham", "spam"),
    )
    assert classification(spam, salt="").score("log_loss").value == pytest.approx(0.21616, abs=5e-6)
    sure = np.array([0.1, 0.9, 0.8, 0.3])
    rain = classes_of(
        [0, 1, 1, 0], [0, 1, 1, 0], np.stack([1 - sure, sure], axis=1), classes=("dry", "rain")
    )
    # Over both classes, so twice the score of the one.
    assert classification(rain, salt="").score("brier").value == pytest.approx(2 * 0.0375)
    sure = np.array([0.1, 0.4, 0.35, 0.8])
    ranked = classes_of(
        [0, 0, 1, 1], [0, 0, 0, 1], np.stack([1 - sure, sure], axis=1), classes=("no", "yes")
    )
    other = sk.average_precision_score([1, 1, 0, 0], 1 - sure)
    pr_auc = classification(ranked, salt="").score("pr_auc").value
    assert pr_auc == pytest.approx((0.8333333333 + other) / 2)


def test_calibration_by_hand() -> None:
    # Ten rows of confidence .8 of which six are right, and ten of .55 of which seven are.
    proba = np.array([[0.8, 0.2]] * 10 + [[0.55, 0.45]] * 10)
    true = [0] * 6 + [1] * 4 + [0] * 7 + [1] * 3
    judged = classification(classes_of(true, [0] * 20, proba, classes=("a", "b")), salt="")

    assert judged.score("ece").value == pytest.approx((10 * 0.2 + 10 * 0.15) / 20)
    assert [(b.n, b.confidence, b.accuracy) for b in judged.calibration] == [
        (10, pytest.approx(0.55), pytest.approx(0.7)),
        (10, pytest.approx(0.8), pytest.approx(0.6)),
    ]
    assert all(b.low < b.confidence <= b.high for b in judged.calibration)


def test_chance_gives_a_calibrated_model_the_error_that_is_said() -> None:
    rng = np.random.default_rng(5)
    errors, expected = [], []
    for _ in range(60):
        proba = rng.dirichlet(np.ones(4), 500)
        true = (proba.cumsum(axis=1) > rng.random(500)[:, None]).argmax(axis=1)
        judged = classification(classes_of(true, proba.argmax(axis=1), proba), salt="", resamples=2)
        errors.append(judged.score("ece").value)
        expected.append(judged.score("ece_by_chance").value)

    assert np.mean(errors) == pytest.approx(np.mean(expected), rel=0.06)


def test_what_stands_beside_the_scores() -> None:
    proba = np.array(
        [
            [0.7, 0.1, 0.1, 0.1],
            [0.1, 0.9, 0.0, 0.0],
            [0.6, 0.2, 0.2, 0.0],
            [0.5, 0.5, 0.0, 0.0],
            [0.6, 0.1, 0.3, 0.0],
        ]
    )
    judged = classification(
        classes_of([0, 1, 2, 1, 2], [0, 1, 0, 0, 0], proba, ["b", "b", "a", "c", "a"]), salt=""
    )

    assert judged.n == 5
    assert judged.groups == 3
    assert judged.base_rate == {"ambient": 0.2, "house": 0.4, "techno": 0.4, "trance": 0}
    assert judged.unpredicted == ("techno",)
    pairs = [(pair.true, pair.predicted, pair.n, pair.share) for pair in judged.pairs]
    assert pairs == [("techno", "ambient", 2, 1.0), ("house", "ambient", 1, 0.5)]
    assert [e.row_id for e in judged.right] == ["row 0000001", "row 0000000"]
    # Of two that are equally sure, the one whose name is first.
    assert [(e.row_id, e.group, e.confidence) for e in judged.wrong] == [
        ("row 0000002", "a", 0.6),
        ("row 0000004", "a", 0.6),
        ("row 0000003", "c", 0.5),
    ]


def test_slices_are_judged_as_if_alone() -> None:
    p = music(np.random.default_rng(1), 80)
    judged = classification(p, salt="s", resamples=50)

    for value in "xyz":
        rows = np.flatnonzero(p.slices["genre"] == value)
        assert p.proba is not None
        alone = Predictions(
            p.y_true[rows],
            p.y_pred[rows],
            p.proba[rows],
            p.classes,
            p.group[rows],
            p.row_id[rows],
        )
        for score in classification(alone, salt="s", resamples=50).scores:
            if score.metric not in {"pr_auc", "ece", "ece_by_chance"}:
                found = judged.score(score.metric, ("genre", value))
                assert found.value == pytest.approx(score.value, abs=1e-12)
                assert (found.n, found.groups) == (score.n, score.groups)


def test_a_slicing_of_many_values_keeps_the_largest() -> None:
    # 150 years: of the first 99, two rows each; of the others, one.
    year = np.r_[np.repeat(np.arange(99), 2), np.arange(99, 150)] + 1000
    y = np.zeros(len(year), dtype=int)
    judged = classification(classes_of(y, y, slices={"year": year}), salt="", resamples=2)

    lines = {s.slice[1]: s.n for s in judged.scores if s.slice and s.metric == "accuracy"}
    assert len(lines) == 100
    assert lines["51 smaller values together"] == 51
    assert sum(lines.values()) == len(year)


def test_a_slicing_without_values_is_one_of_unknown_ones() -> None:
    p = classes_of([0, 1], [0, 1], slices={"genre": np.array([None, None], dtype=object)})

    judged = classification(p, salt="")

    assert judged.score("accuracy", ("genre", "unknown")).n == 2
    with pytest.raises(KeyError):
        judged.score("accuracy", ("genre", "Techno"))


def test_rows_in_another_order_change_nothing_to_the_last_digit() -> None:
    p = music(np.random.default_rng(2), 50)
    assert p.proba is not None
    mixed = np.random.default_rng(3).permutation(p.n)
    moved = Predictions(
        p.y_true[mixed],
        p.y_pred[mixed],
        p.proba[mixed],
        p.classes,
        p.group[mixed],
        p.row_id[mixed],
        {name: values[mixed] for name, values in p.slices.items()},
    )

    one, other = (classification(side, salt="s", resamples=40) for side in (p, moved))

    assert one.to_rows() == other.to_rows()
    for part in ("right", "wrong", "calibration", "pairs", "base_rate", "unpredicted"):
        assert getattr(one, part) == getattr(other, part)
    assert (one.confusion == other.confusion).all()


def test_another_salt_draws_other_artists() -> None:
    p = music(np.random.default_rng(2), 50)

    one, other = (classification(p, salt=s, resamples=40).score("accuracy") for s in ("a", "b"))

    assert one.value == other.value
    assert (one.low, one.high) != (other.low, other.high)


def test_without_probabilities_there_is_what_needs_none() -> None:
    judged = classification(classes_of([0, 1, 2, 3], [0, 1, 2, 2]), salt="")

    assert [s.metric for s in judged.scores] == ["accuracy", "balanced_accuracy", "macro_f1"]
    assert judged.right == judged.wrong == judged.calibration == ()


def test_two_classes_have_no_top_2() -> None:
    judged = classification(
        classes_of([0, 1], [0, 1], [[0.9, 0.1], [0.2, 0.8]], classes=("no", "yes")), salt=""
    )

    assert not {s.metric for s in judged.scores} & {"top_2", "top_3"}


def test_one_class_only() -> None:
    proba = np.tile(np.array([0.7, 0.1, 0.1, 0.1]), (3, 1))
    judged = classification(classes_of([0, 0, 0], [0, 0, 0], proba), salt="")

    assert judged.score("accuracy").value == 1
    pr_auc = judged.score("pr_auc")
    assert (pr_auc.value, pr_auc.low, pr_auc.high) == (None, None, None)
    assert str(pr_auc) == "pr_auc not available (not available for these rows)"


def test_three_rows_of_one_artist_have_no_interval() -> None:
    judged = classification(classes_of([0, 1, 2], [0, 1, 1], group=["a"] * 3), salt="")

    accuracy = judged.score("accuracy")
    assert accuracy.value == pytest.approx(2 / 3)
    assert (accuracy.low, accuracy.high) == (None, None)
    assert (accuracy.n, accuracy.groups) == (3, 1)
    assert accuracy.interval == "no interval: one artist"


def test_a_class_that_is_never_predicted_counts_nothing_to_f1() -> None:
    judged = classification(classes_of([0, 0, 1, 1], [0, 0, 0, 0]), salt="")

    # F1 of class 0 is 2 x 2 / (2 + 4).
    assert judged.score("macro_f1").value == pytest.approx((2 / 3 + 0) / 2)
    assert judged.score("balanced_accuracy").value == 0.5
    assert judged.unpredicted == ("house",)


def test_equal_probabilities_rank_in_the_order_of_the_classes() -> None:
    judged = classification(
        classes_of([0, 1, 2], [0, 0, 0], np.tile(THIRD, (3, 1)), classes=CLASSES[:3]), salt=""
    )

    assert judged.score("accuracy").value == pytest.approx(1 / 3)
    assert judged.score("top_2").value == pytest.approx(2 / 3)
    # A constant score ranks nothing: the average precision is the share of the class.
    assert judged.score("pr_auc").value == pytest.approx(1 / 3)


def test_a_true_class_of_no_probability_costs_a_finite_loss() -> None:
    judged = classification(
        classes_of([1, 0], [0, 0], [[1.0, 0.0], [1.0, 0.0]], classes=("a", "b")), salt=""
    )

    assert judged.score("log_loss").value == pytest.approx(-np.log(1e-15) / 2)


def test_rows_of_a_table_keep_scores_and_slices() -> None:
    p = music(np.random.default_rng(4), 20)
    judged = classification(p, salt="", resamples=10)

    rows = judged.to_rows()

    assert len(rows) == len(judged.scores)
    assert {row["slice_name"] for row in rows} == {None, "genre"}
    assert all(row["n"] >= row["groups"] > 0 for row in rows)
    assert {"metric", "value", "low", "high", "interval"} <= rows[0].keys()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"y_pred": np.array([0, np.nan])}, "y_pred holds float64"),
        ({"y_pred": np.array([0, 4])}, "y_pred is not a code of one of the 4 classes in 1 of 2"),
        ({"y_true": np.array([-1, 0])}, "y_true is not a code of one of the 4 classes in 1 of 2"),
        ({"proba": np.full((2, 4), np.nan)}, "does not add up to 1 in 2 of 2 rows, first 'row 000"),
        ({"proba": np.array([[0.5, 0.5, 0.1, 0.0]] * 2)}, "does not add up to 1 in 2"),
        ({"proba": np.array([[1.5, -0.5, 0.0, 0.0]] * 2)}, "proba is negative"),
        ({"proba": np.full((2, 3), 1 / 3)}, r"shape \(2, 3\) for 4 classes"),
        ({"group": np.array(["a"])}, "group holds 1 values and y_true 2"),
        ({"slices": {"year": np.array([1])}}, "slice 'year' holds 1 values"),
        ({"row_id": np.array(["a", "a"])}, "1 of 2 rows repeat a name, such as 'a'"),
    ],
)
def test_predictions_that_cannot_be_judged_are_refused(changed: dict, sentence: str) -> None:
    fine = classes_of([0, 1], [0, 1])

    with pytest.raises(InputError, match=sentence):
        dataclasses.replace(fine, **changed)


def test_no_rows_are_refused() -> None:
    with pytest.raises(InputError, match="not one row"):
        classes_of(np.array([], dtype=int), np.array([], dtype=int))


def test_all_problems_are_listed() -> None:
    with pytest.raises(InputError) as refused:
        classes_of([0, 9], [9, 0], np.ones((2, 4)))

    assert str(refused.value).count("\n") == 3


def test_a_regression_is_not_a_classification() -> None:
    with pytest.raises(InputError, match="classes and not of a regression"):
        regression(classes_of([0, 1], [0, 1]), salt="")

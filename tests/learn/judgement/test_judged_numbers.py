"""Metrics of regressions against scikit-learn, scipy and published examples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from judged_sides import classes_of, numbers_of, popularity
from scipy import stats
from sklearn import metrics as sk

from beatlake.errors import InputError
from beatlake.learn.judgement import classification, regression


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_those_of_scikit_learn_and_scipy(seed: int) -> None:
    p = popularity(np.random.default_rng(seed), 60)

    judged = {s.metric: s.value for s in regression(p, salt="", resamples=2).scores if not s.slice}

    assert judged == pytest.approx(
        {
            "mae": sk.mean_absolute_error(p.y_true, p.y_pred),
            "rmse": sk.root_mean_squared_error(p.y_true, p.y_pred),
            "r2": sk.r2_score(p.y_true, p.y_pred),
            "spearman": stats.spearmanr(p.y_true, p.y_pred).statistic,
            "mean_residual": np.mean(p.y_true - p.y_pred),
        },
        abs=1e-12,
    )


def test_examples_that_scikit_learn_publishes() -> None:
    judged = regression(numbers_of([3, -0.5, 2, 7], [2.5, 0.0, 2, 8]), salt="")

    assert judged.score("mae").value == 0.5
    assert judged.score("rmse").value == pytest.approx(np.sqrt(0.375))
    assert judged.score("r2").value == pytest.approx(0.948608, abs=5e-7)


def test_spearman_of_the_published_worked_example() -> None:
    # IQ and hours of television a week: rho = -29/165, the standard worked example of the measure.
    iq = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    hours = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]

    judged = regression(numbers_of(iq, hours), salt="")

    assert judged.score("spearman").value == pytest.approx(-29 / 165)


def test_residuals_by_slice() -> None:
    slices = {
        "genre": np.array(["Techno", "Techno", "House"]),
        "year": np.array([2001, 2002, 2001]),
    }
    judged = regression(numbers_of([10.0, 20.0, 30.0], [12.0, 14.0, 30.0], slices=slices), salt="")

    assert judged.score("mean_residual", ("genre", "Techno")).value == 2
    assert judged.score("mae", ("genre", "Techno")).value == 4
    assert judged.score("mean_residual", ("year", "2001")).value == -1
    assert judged.score("r2", ("genre", "House")).value is None
    assert judged.score("rmse", ("genre", "House")).n == 1


def test_base_rate_and_deciles_of_residuals() -> None:
    true = np.arange(11.0)
    judged = regression(numbers_of(true, np.zeros(11)), salt="")

    assert judged.residuals == pytest.approx(true)
    assert judged.base_rate == pytest.approx(
        {
            "mean": 5,
            "standard deviation": np.sqrt(10),
            "min": 0,
            "q25": 2.5,
            "median": 5,
            "q75": 7.5,
            "max": 10,
            "share of zeros": 1 / 11,
        }
    )


def test_constant_predictions_rank_nothing() -> None:
    judged = regression(numbers_of([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]), salt="")

    assert judged.score("r2").value == 0
    assert judged.score("spearman").value is None
    assert judged.score("spearman").interval == "not available for these rows"


@pytest.mark.parametrize("constant", [0.1, 7.0, 1e9 + 0.1])
def test_a_constant_truth_has_no_variance_to_explain(constant: float) -> None:
    judged = regression(numbers_of([constant] * 3, [1.0, 2.0, 3.0]), salt="")

    assert judged.score("r2").value is None
    assert judged.score("spearman").value is None
    assert judged.score("mae").value is not None


def test_r2_keeps_its_digits_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=50)
    predicted = true + rng.normal(size=50)

    near, far = (
        regression(numbers_of(true + shift, predicted + shift), salt="").score("r2").value
        for shift in (0, 1e7)
    )

    assert near == pytest.approx(far, abs=1e-7)


def test_rows_in_another_order_change_nothing_to_the_last_digit() -> None:
    p = popularity(np.random.default_rng(2), 50)
    mixed = np.random.default_rng(3).permutation(p.n)
    moved = dataclasses.replace(
        p,
        y_true=p.y_true[mixed],
        y_pred=p.y_pred[mixed],
        group=p.group[mixed],
        row_id=p.row_id[mixed],
        slices={name: values[mixed] for name, values in p.slices.items()},
    )

    assert regression(p, salt="s").to_rows() == regression(moved, salt="s").to_rows()
    assert regression(p, salt="s").base_rate == regression(moved, salt="s").base_rate


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(wrong: float) -> None:
    with pytest.raises(InputError, match="not a finite number in 1 of 2 rows, first 'row"):
        numbers_of([1.0, 2.0], [1.0, wrong])


def test_texts_are_refused() -> None:
    with pytest.raises(InputError, match="a regression needs numbers"):
        numbers_of(["a"], [1.0])


def test_probabilities_of_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="a regression has none"):
        dataclasses.replace(numbers_of([1.0], [1.0]), proba=np.ones((1, 1)))


def test_a_classification_is_not_a_regression() -> None:
    with pytest.raises(InputError, match="predictions of a regression and have no classes"):
        classification(numbers_of([1.0], [1.0]), salt="")
    with pytest.raises(InputError, match="predictions of classes"):
        regression(classes_of([0], [0]), salt="")

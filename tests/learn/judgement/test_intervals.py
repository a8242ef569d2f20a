"""Intervals: against published figures, theory, the exact bootstrap and simulated truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from judged_sides import classes_of, genres, music, numbers_of, popularity
from scipy import stats
from sklearn import metrics as sk

from beatlake.learn.judgement import Predictions, classification, regression
from beatlake.learn.judgement.bootstrap import (
    EXACT,
    FEW,
    LINEAR,
    Blocks,
    draws,
    interval,
    one_hot,
    seed_of,
)


def test_standard_error_of_the_mouse_data() -> None:
    # Efron and Tibshirani 1993, "An Introduction to the Bootstrap", table 2.1: survival in days of
    # the treated mice, and the bootstrap standard error of their mean for endless draws.
    mice = np.array([94, 197, 16, 38, 99, 141, 23])
    sums = Blocks.of({"n": np.ones(7), "days": mice}).drawn(np.arange(7), 20_000, seed_of("mice"))

    means = sums["days"] / sums["n"]

    assert means.mean() == pytest.approx(86.86, abs=0.5)
    assert means.std() == pytest.approx(23.36, abs=0.4)


def test_a_draw_holds_as_many_groups_as_there_are_and_each_as_often() -> None:
    drawn = np.concatenate(list(draws(5, 4_000, seed_of("draws"))))

    assert drawn.shape == (4_000, 5)
    assert (drawn.sum(axis=1) == 5).all()
    # A group is drawn once on average, with the variance of a binomial of 5 at 1/5.
    assert drawn.mean(axis=0) == pytest.approx(np.ones(5), abs=0.06)
    assert drawn.var(axis=0) == pytest.approx(np.full(5, 0.8), abs=0.1)


def test_draws_are_the_same_however_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = np.concatenate(list(draws(7, 30, 1)))
    monkeypatch.setattr("beatlake.learn.judgement.bootstrap._WEIGHTS", 20)

    assert (np.concatenate(list(draws(7, 30, 1))) == at_once).all()


def test_interval_of_a_mean_is_that_of_students_t() -> None:
    values = np.random.default_rng(0).normal(10, 3, 12)
    sums = Blocks.of({"n": np.ones(12), "x": values}).drawn(np.arange(12), 60_000, seed_of("t"))

    ends, how = interval(sums["x"] / sums["n"], values.mean(), 12)

    assert how == f"{EXACT}; {FEW}"
    assert ends is not None
    half = stats.t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
    assert ends[1] - ends[0] == pytest.approx(2 * half, rel=0.03)
    assert sum(ends) / 2 == pytest.approx(values.mean(), abs=0.1)


def test_sums_of_groups_are_those_of_their_rows() -> None:
    group = np.array([0, 1, 0, 2])
    blocks = Blocks.of({"n": np.ones(4), "class": one_hot(np.array([0, 1, 1, 1]), 2)})

    sums = blocks.drawn(group, 50, seed_of("sums"))

    weights = np.concatenate(list(draws(3, 50, seed_of("sums"))))
    assert (sums["n"] == weights @ [2, 1, 1]).all()
    assert (sums["class"] == weights @ [[1, 1], [0, 1], [0, 1]]).all()


def exactly(p: Predictions, metric: Callable[..., float]) -> np.ndarray:
    """A metric in the draws that a judgement makes, from the weighted rows themselves."""
    weights = np.concatenate(list(draws(len(p.groups.names), 400, seed_of("s"))))
    return np.array([metric(p, weight[p.groups.of]) for weight in weights])


def precision(p: Predictions, weight: np.ndarray) -> float:
    assert p.proba is not None
    return float(
        np.mean(
            [
                sk.average_precision_score(p.y_true == k, p.proba[:, k], sample_weight=weight)
                for k in range(p.proba.shape[1])
            ]
        )
    )


def spearman(p: Predictions, weight: np.ndarray) -> float:
    rows = np.repeat(np.arange(p.n), weight.astype(int))
    return float(stats.spearmanr(p.y_true[rows], p.y_pred[rows]).statistic)


@pytest.mark.parametrize(
    ("side", "judge", "metric", "of"),
    [
        (music, classification, "pr_auc", precision),
        (popularity, regression, "spearman", spearman),
    ],
)
def test_linearised_intervals_are_near_those_of_weighted_rows(
    side: Callable[..., Predictions],
    judge: Callable[..., object],
    metric: str,
    of: Callable[..., float],
) -> None:
    p = side(np.random.default_rng(0), 80)
    judged = judge(p, salt="s", resamples=400).score(metric)

    ends, _ = interval(exactly(p, of), 0, 80)

    assert judged.interval.startswith(LINEAR)
    assert ends is not None
    width = ends[1] - ends[0]
    assert judged.value == pytest.approx(of(p, np.ones(p.n)), abs=1e-12)
    assert (judged.low, judged.high) == (
        pytest.approx(ends[0], abs=0.15 * width),
        pytest.approx(ends[1], abs=0.15 * width),
    )


def covered(judge, side, truth: dict[str, float], times: int = 100) -> dict[str, float]:
    """How often the interval of each metric holds the truth, over sides of 60 artists."""
    held = dict.fromkeys(truth, 0)
    for k in range(times):
        judged = judge(side(np.random.default_rng(1000 + k)), salt=str(k), resamples=200)
        for metric, value in truth.items():
            score = judged.score(metric)
            held[metric] += score.low <= value <= score.high
    return {metric: count / times for metric, count in held.items()}


def truth_of(judge, side, metrics: list[str]) -> dict[str, float]:
    judged = judge(side, salt="", resamples=2)
    return {metric: judged.score(metric).value for metric in metrics}


def test_intervals_of_classes_cover_the_truth() -> None:
    # 20,000 artists stand for all of them.
    truth = truth_of(
        classification,
        music(np.random.default_rng(7), 20_000),
        ["accuracy", "balanced_accuracy", "macro_f1", "top_2", "log_loss", "brier", "pr_auc"],
    )

    found = covered(classification, lambda rng: music(rng, 60), truth)

    # 100 sides hold a share of 0.95 to 0.04 either way. Average precision is known to be high where
    # rows are few, and says so.
    assert found.pop("pr_auc") >= 0.8
    assert min(found.values()) >= 0.87, found


def test_intervals_of_numbers_cover_the_truth() -> None:
    truth = truth_of(
        regression,
        popularity(np.random.default_rng(7), 20_000),
        ["mae", "rmse", "r2", "spearman", "mean_residual"],
    )

    found = covered(regression, lambda rng: popularity(rng, 60), truth)

    assert min(found.values()) >= 0.87, found


def test_intervals_of_f1_over_many_classes_cover_the_truth() -> None:
    # 300 rows over 32 classes: a draw of them holds fewer, and F1 falls with them.
    truth = truth_of(classification, genres(np.random.default_rng(7), 40_000), ["macro_f1"])

    found = covered(classification, lambda rng: genres(rng, 300), truth)

    assert found["macro_f1"] >= 0.87, found


def test_average_precision_of_few_rows_has_no_interval() -> None:
    few = classification(genres(np.random.default_rng(0), 300), salt="s").score("pr_auc")
    more = classification(genres(np.random.default_rng(0), 3_000), salt="s").score("pr_auc")

    assert (few.low, few.high) == (None, None)
    assert few.value is not None
    assert few.interval == "no interval: fewer than 30 rows per class"
    assert more.low is not None


def test_drawing_rows_instead_of_artists_would_promise_too_much() -> None:
    def by_row(rng: np.random.Generator) -> Predictions:
        p = popularity(rng, 60)
        return dataclasses.replace(p, group=p.row_id)

    truth = truth_of(regression, popularity(np.random.default_rng(7), 20_000), ["mean_residual"])

    found = covered(regression, by_row, truth)

    assert found["mean_residual"] < 0.85, found


def test_few_artists_are_said_to_be_few() -> None:
    of = np.repeat(np.arange(29), 3).astype(str)
    y = np.random.default_rng(0).integers(0, 3, 87)

    few = classification(classes_of(y, y * 0, group=of), salt="").score("accuracy")
    more = classification(classes_of(y, y * 0), salt="").score("accuracy")

    assert few.interval.endswith(FEW)
    assert FEW not in more.interval


def test_a_metric_that_draws_do_not_give_has_no_interval() -> None:
    # Two artists: half of the draws hold one of them alone, and a constant truth.
    judged = regression(numbers_of([1, 1, 2, 2], [1, 2, 3, 4], ["a", "a", "b", "b"]), salt="")

    r2 = judged.score("r2")
    assert r2.value is not None
    assert (r2.low, r2.high) == (None, None)
    assert r2.interval == "no interval: most draws of artists do not give this metric"


def test_few_artists_who_are_all_right_promise_nothing() -> None:
    judged = classification(classes_of([0, 1, 2, 3], [0, 1, 2, 3]), salt="")

    accuracy = judged.score("accuracy")
    assert (accuracy.value, accuracy.low, accuracy.high) == (1, None, None)
    assert accuracy.interval == "no interval: all draws of artists are alike"


def test_salts_and_purposes_are_kept_apart() -> None:
    assert (
        len({seed_of("a", "bc"), seed_of("ab", "c"), seed_of("a", "b", "c"), seed_of("abc")}) == 4
    )

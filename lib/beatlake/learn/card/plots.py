"""The pictures of a model: the ladder, and where it is right and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from beatlake.learn.card.canvas import BLUE, GREY, ORANGE, figure, label, png, styled
from beatlake.learn.card.document import number
from beatlake.learn.card.facts import Rung, Weight
from beatlake.learn.judgement import Score
from beatlake.learn.judgement.predictions import Array
from beatlake.learn.judgement.scores import LESS_IS_BETTER, CalibrationBin

#: Up to this many classes a cell has room for its number.
_ROOM = 14
#: Lines that a picture of slices or features has room for.
LINES = 40
#: Where the columns beside the ladder begin, in widths of its axes.
_VALUE, _CHANGE = 1.02, 1.11
_MARK: dict[str, dict[str, Any]] = {
    "o": {"markersize": 6, "linestyle": ""},
    "|": {"markersize": 11, "markeredgewidth": 2, "linestyle": ""},
}


def ladder(rungs: Sequence[Rung], metric: str, headline: str) -> bytes:
    """The metric down the ladder with its intervals, the fall from the first rung, the baselines.

    A rung that is not available keeps its line and says why.
    """
    with styled():
        made, axes = figure(0.9 + 0.42 * len(rungs))
        first = next((rung.score.value for rung in rungs if rung.score is not None), None)
        for place, rung in enumerate(rungs):
            _rung(axes, place, rung, first, is_headline=rung.name == headline)
        axes.set_yticks(range(len(rungs)), [label(rung.name, 14) for rung in rungs])
        for tick, rung in zip(axes.get_yticklabels(), rungs, strict=True):
            tick.set_fontweight("bold" if rung.name == headline else "normal")
        axes.set_ylim(len(rungs) - 0.4, -0.6)
        better = "less is better" if metric in LESS_IS_BETTER else "more is better"
        axes.set_xlabel(f"{metric} ({better}), 95 % interval over artists")
        if first is not None:
            axes.axvline(first, color=GREY, linewidth=0.8, linestyle=":")
        axes.grid(axis="x")
        marks = (("o", BLUE, BLUE, "model, headline"), ("o", BLUE, "white", "model, other rungs"))
        for mark, edge, fill, name in (*marks, ("|", ORANGE, ORANGE, "strongest baseline")):
            axes.plot([], [], mark, color=edge, markerfacecolor=fill, label=name, **_MARK[mark])
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, columnspacing=1.2
        )
        for across, name in ((_VALUE, "value"), (_CHANGE, "change")):
            axes.annotate(
                name,
                (across, 1),
                xycoords="axes fraction",
                xytext=(0, 3),
                textcoords="offset points",
                fontsize=7.5,
                color=GREY,
            )
        return png(made)


def _rung(axes: Axes, place: int, rung: Rung, first: float | None, *, is_headline: bool) -> None:
    beside: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "va": "center",
        "fontsize": 7.5,
    }
    if rung.score is None or rung.score.value is None:
        why = f"not available: {rung.unavailable}" if rung.unavailable else "not available"
        axes.text(0.01, place, label(why, 90), color=GREY, style="italic", **beside)
        return
    value = rung.score.value
    if rung.score.low is not None and rung.score.high is not None:
        ends = [[value - rung.score.low], [rung.score.high - value]]
        axes.errorbar(value, place, xerr=np.maximum(ends, 0), color=BLUE, capsize=3, linewidth=1.4)
    fill = BLUE if is_headline else "white"
    # Above the line of the first rung and the ends of its own interval.
    axes.plot(value, place, "o", color=BLUE, markerfacecolor=fill, zorder=5, **_MARK["o"])
    if rung.baseline is not None:
        axes.plot(rung.baseline, place, "|", color=ORANGE, **_MARK["|"])
    weight = "bold" if is_headline else "normal"
    axes.text(_VALUE, place, number(value), fontweight=weight, **beside)
    if first is not None and value != first:
        axes.text(_CHANGE, place, f"{value - first:+.3f}", fontweight=weight, **beside)


def confusion(counts: Array, classes: Sequence[str]) -> bytes:
    """Where the rows of each true class went, as shares of the class."""
    return shares(counts, classes, classes, "predicted", "true")


def shares(
    counts: Array, rows: Sequence[str], columns: Sequence[str], across: str, down: str
) -> bytes:
    """A table of counts as shares of its lines, darker for more; numbers where there is room."""
    with styled():
        wide = len(columns)
        made, axes = figure(min(6.3, 1.6 + 0.34 * len(rows)) if wide <= _ROOM else 6.0)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        # The darkest shade is the largest share: many classes would all be pale otherwise.
        most = max(float(share.max()), 0.01)
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=most, aspect="auto")
        size = 8 if wide <= _ROOM else 6
        axes.set_xticks(range(wide), [label(name, 20) for name in columns], fontsize=size)
        axes.set_yticks(range(len(rows)), [label(name, 20) for name in rows], fontsize=size)
        axes.tick_params(axis="x", rotation=90 if wide > 6 else 0, length=0)
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel=across, ylabel=down)
        axes.spines[:].set_visible(False)
        if wide <= _ROOM:
            for (i, j), value in np.ndenumerate(share):
                ink = "white" if value > 0.6 * most else "black"
                shown = f"{value:.2f}" if counts[i, j] else ""
                axes.text(j, i, shown, ha="center", va="center", color=ink, fontsize=7)
        made.colorbar(image, ax=axes, shrink=0.8, label="share of the line's rows")
        return png(made)


def calibration(bins: Sequence[CalibrationBin]) -> bytes:
    """How often the model is right beside how sure it is, over how many rows."""
    with styled():
        made, _ = figure(4.2)
        made.clear()
        upper, lower = made.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], ":", color=GREY, label="as often right as sure")
        sure = [one.confidence for one in bins]
        right = [one.accuracy for one in bins]
        upper.plot(sure, right, "o-", color=BLUE, markersize=5, label="model")
        upper.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
        upper.legend(frameon=False, loc="upper left")
        upper.grid()
        lower.bar(
            [one.low for one in bins],
            [one.n for one in bins],
            width=[one.high - one.low for one in bins],
            align="edge",
            color=GREY,
            edgecolor="white",
        )
        lower.set(xlabel="probability of the predicted class", ylabel="rows")
        return png(made)


def slices(scores: Sequence[Score], overall: Score) -> bytes:
    """One metric by the values of a slicing, with intervals; those of most rows if too many.

    Args:
        scores: of one slicing, in the order of its values.
        overall: the metric over all rows, drawn as a line.
    """
    shown = [score for score in scores if score.value is not None and score.slice is not None]
    if len(shown) > LINES:
        least = sorted(score.n for score in shown)[-LINES]
        shown = [score for score in shown if score.n >= least][:LINES]
    values = np.array([score.value for score in shown], dtype=float)
    ends = [
        (score.low, score.high) if score.low is not None else (score.value, score.value)
        for score in shown
    ]
    names = [f"{label(score.slice[1], 24)} ({score.n:,})" for score in shown if score.slice]
    return _lines(names, values, np.array(ends, dtype=float), scores[0].metric, overall.value)


def importances(found: Sequence[Weight], by: str) -> bytes:
    """How much each feature matters, with intervals where there are."""
    shown = found[:LINES]
    ends = [
        (one.value, one.value) if one.low is None or one.high is None else (one.low, one.high)
        for one in shown
    ]
    values = np.array([one.value for one in shown], dtype=float)
    names = [label(one.feature) for one in shown]
    return _lines(names, values, np.array(ends, dtype=float), by, None)


def _lines(
    names: Sequence[str], values: Array, ends: Array, across: str, overall: float | None
) -> bytes:
    with styled():
        made, axes = figure(0.9 + 0.19 * max(3, len(names)))
        places = np.arange(len(names))
        if len(names):
            reach = np.abs(np.stack([values - ends[:, 0], ends[:, 1] - values]))
            axes.errorbar(
                values, places, xerr=reach, fmt="o", color=BLUE, markersize=4, linewidth=1.2
            )
        if overall is not None:
            axes.axvline(overall, color=GREY, linestyle=":", label=f"all rows {number(overall)}")
            axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
        axes.set_yticks(places, list(names))
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlabel(label(across, 80))
        axes.grid()
        return png(made)

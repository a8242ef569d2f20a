"""Which pictures a card has, and what each shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from beatlake.learn.card import cluster_plots, plots
from beatlake.learn.card.document import Picture, with_interval
from beatlake.learn.card.facts import CardFacts
from beatlake.learn.judgement import Judgement

#: By what they show; a slicing's is named by `by`.
Pictures: TypeAlias = Mapping[str, Picture]
LADDER = "ladder"


def drawn(facts: CardFacts) -> tuple[dict[str, Picture], dict[str, bytes]]:
    """The pictures by what they show, and their files by name."""
    pictures: dict[str, Picture] = {}
    files: dict[str, bytes] = {}

    def add(shows: str, caption: str, content: bytes, file: str = "") -> None:
        name = f"{file or shows}.png"
        if name in files:
            name = f"{file}_{hashlib.sha256(shows.encode()).hexdigest()[:8]}.png"
        pictures[shows], files[name] = Picture(name, caption), content

    if facts.rungs:
        shown = plots.ladder(facts.rungs, facts.metric, facts.headline)
        add(LADDER, _ladder_caption(facts), shown)
    if facts.judgement is not None:
        _judged(facts.judgement, facts.metric, add)
    for by, weights in [*facts.importances.items()][:1]:
        shown = plots.importances(weights, by)
        add("importance", f"Features that matter most: {by}.", shown)
    if facts.clusters is not None:
        if cluster_plots.has_radar(facts.clusters):
            which = "each cluster"
            if len(facts.clusters.clusters) > cluster_plots.PROFILES:
                which = f"the {cluster_plots.PROFILES} largest clusters"
            caption = (
                f"Profile of {which}, from the 5th percentile of all rows to the 95th, beside the"
                " mean of all (dotted)."
            )
            add("radar", caption, cluster_plots.radar(facts.clusters))
        if facts.clusters.table is not None:
            names = [*(str(k) for k in facts.clusters.clusters), "noise"]
            table = facts.clusters.table
            shown = plots.shares(
                table, names[: len(table)], facts.clusters.truth, "label", "cluster"
            )
            add("clusters", "What each cluster holds, as shares of its rows.", shown)
    if facts.sweep:
        add("sweep", "Indices by the number of clusters.", cluster_plots.sweep(facts.sweep))
    return pictures, files


def _judged(judgement: Judgement, metric: str, add: Callable[..., None]) -> None:
    if judgement.confusion is not None and len(judgement.classes) > 1:
        shown = plots.confusion(judgement.confusion, judgement.classes)
        add("confusion", "What each true class was taken for, as shares of the class.", shown)
    if judgement.calibration:
        caption = "How often the model is right when it is so sure."
        add("calibration", caption, plots.calibration(judgement.calibration))
    given = {score.metric for score in judgement.scores if score.slice is not None}
    if judgement.kind == "regression":
        metric = "mean_residual"
    elif metric not in given:
        metric = "accuracy"
    names = dict.fromkeys(score.slice[0] for score in judgement.scores if score.slice is not None)
    for name in names:
        scores = [
            score
            for score in judgement.scores
            if score.slice is not None and score.slice[0] == name and score.metric == metric
        ]
        if sum(score.value is not None for score in scores) > 1:
            shown = plots.slices(scores, judgement.score(metric))
            what = "True minus predicted" if metric == "mean_residual" else metric
            caption = f"{what} by {name} (rows), 95 % intervals over artists."
            add(by(name), caption, shown, _file(name))


def by(name: str) -> str:
    """What the picture of a slicing shows: no slicing takes the place of another picture."""
    return f"by {name}"


def _file(name: str) -> str:
    """A file's name for a slicing, whatever its own is: letters, digits and underscores."""
    kept = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return f"by_{kept or hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _ladder_caption(facts: CardFacts) -> str:
    read = [
        f"{rung.name} {with_interval(rung.score) if rung.score else 'not available'}"
        for rung in facts.rungs
    ]
    return f"{facts.metric} down the ladder: {'; '.join(read)}."

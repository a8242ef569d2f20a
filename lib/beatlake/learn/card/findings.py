"""What a card says about a judgement, and about clusters."""

from __future__ import annotations

from collections.abc import Iterator

from beatlake.learn.card.document import Paragraph, Picture, Section, Table, table, with_interval
from beatlake.learn.card.facts import CardFacts
from beatlake.learn.card.pictures import Pictures, by
from beatlake.learn.judgement import Judgement, Score

#: Slices that a table of the card shows; the table of metrics holds all.
_SLICES = 60
#: And what it shows of each beside the headline's metric, as far as the page is wide.
_BY_SLICE, _COLUMNS = ("accuracy", "log_loss", "mean_residual", "mae"), 3


def judged(judgement: Judgement, metric: str, pictures: Pictures) -> Iterator[Section]:
    """All metrics, where the model is right and wrong, and each slicing."""
    overall = [score for score in judgement.scores if score.slice is None]
    blocks: list[Paragraph | Table | Picture] = [
        table(
            f"{judgement.n:,} rows of {judgement.groups:,} artists;"
            f" {judgement.resamples:,} draws of artists per interval.",
            ("metric", "value (95 % interval)", "how"),
            [[score.metric, with_interval(score), score.interval] for score in overall],
            ".n.",
        ),
        table(
            "Base rate: what the test side holds.",
            ("class" if judgement.classes else "figure", "value"),
            list(judgement.base_rate.items()),
            ".n",
        ),
    ]
    if judgement.residuals:
        marks = [f"{place * 10} %" for place in range(len(judgement.residuals))]
        blocks.append(
            table("Quantiles of true minus predicted.", marks, [judgement.residuals], "n" * 11)
        )
    yield Section("All metrics", tuple(blocks))
    errors = tuple(_errors(judgement, pictures))
    if errors:
        yield Section("Where it is right and wrong", errors)
    by_name: dict[str, list[Score]] = {}
    for score in judgement.scores:
        if score.slice is not None:
            by_name.setdefault(score.slice[0], []).append(score)
    for name, scores in by_name.items():
        parts: list[Picture | Table] = [_slices(name, scores, metric)]
        if by(name) in pictures:
            parts.insert(0, pictures[by(name)])
        yield Section(f"By {name}", tuple(parts))


def _errors(judgement: Judgement, pictures: Pictures) -> Iterator[Picture | Table | Paragraph]:
    if judgement.unpredicted:
        yield Paragraph(f"Never predicted: {', '.join(judgement.unpredicted)}.", strong=True)
    yield from (pictures[name] for name in ("confusion", "calibration") if name in pictures)
    if judgement.pairs:
        yield table(
            "The commonest confusions.",
            ("true", "predicted", "rows", "share of the true class"),
            [[pair.true, pair.predicted, pair.n, pair.share] for pair in judgement.pairs],
            "..nn",
        )
    for title, examples in (("right", judgement.right), ("wrong", judgement.wrong)):
        if examples:
            yield table(
                f"The most confident predictions that are {title}.",
                ("row", "artist", "true", "predicted", "confidence"),
                [[e.row_id, e.group, e.true, e.predicted, e.confidence] for e in examples],
                "....n",
            )


def _slices(name: str, scores: list[Score], metric: str) -> Table:
    given = {score.metric for score in scores}
    metrics = [one for one in dict.fromkeys((metric, *_BY_SLICE)) if one in given][:_COLUMNS]
    lines: dict[str, dict[str, Score]] = {}
    for score in scores:
        assert score.slice is not None
        lines.setdefault(score.slice[1], {})[score.metric] = score
    shown = sorted(lines, key=lambda value: -next(iter(lines[value].values())).n)[:_SLICES]
    left = len(lines) - len(shown)
    more = f" The {left} smallest are in the table of metrics." if left else ""
    rows: list[list[object]] = []
    for value, by_metric in lines.items():
        if value in shown:
            one = next(iter(by_metric.values()))
            cells = [with_interval(by_metric.get(metric)) for metric in metrics]
            rows.append([value, one.n, one.groups, *cells])
    return table(
        f"Scores by {name}, with 95 % intervals over the artists of each.{more}",
        (name, "rows", "artists", *metrics),
        rows,
        ".nn" + "n" * len(metrics),
    )


def clusters(facts: CardFacts, pictures: Pictures) -> Iterator[Paragraph | Table | Picture]:
    """What is said about clusters; nothing where there are none."""
    found = facts.clusters
    if found is not None:
        outside = f"; {found.noise:,} rows are noise and belong to none" if found.noise else ""
        yield Paragraph(f"{found.n:,} rows in {len(found.clusters):,} clusters{outside}.")
        yield table(
            "How compact they are, and what they share with labels that they never saw.",
            ("metric", "value (95 % interval)", "rows", "how"),
            [[s.metric, with_interval(s), s.n, s.interval] for s in found.scores],
            ".nn.",
        )
        lines = zip(found.clusters, found.sizes, found.means.tolist(), strict=True)
        yield table(
            "Means in the features' own units.",
            ("cluster", "rows", *found.features),
            [[str(cluster), size, *means] for cluster, size, means in lines],
            ".n" + "n" * len(found.features),
        )
        if found.table is not None:
            named = [*(str(cluster) for cluster in found.clusters), "noise"]
            counts = zip(named, found.table.tolist(), strict=False)
            yield table(
                "Rows by cluster and label.",
                ("cluster", *found.truth),
                [[name, *line] for name, line in counts],
                "." + "n" * len(found.truth),
            )
    yield from (pictures[name] for name in ("radar", "clusters", "sweep") if name in pictures)
    if facts.sweep:
        yield table(
            "By the number of clusters asked for.",
            tuple(facts.sweep[0]),
            [list(line.values()) for line in facts.sweep],
            "n" * len(facts.sweep[0]),
        )

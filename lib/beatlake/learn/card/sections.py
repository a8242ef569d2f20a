"""What a card says, in order, from the facts of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean

from beatlake.learn.card.document import (
    Listed,
    Paragraph,
    Picture,
    Section,
    Table,
    number,
    table,
    with_interval,
)
from beatlake.learn.card.facts import CardFacts, Rung, Variant, Weight
from beatlake.learn.card.findings import clusters, judged
from beatlake.learn.card.pictures import LADDER, Pictures
from beatlake.learn.card.questionnaire import Answer, answers, headline


def sections(facts: CardFacts, pictures: Pictures) -> tuple[Section, ...]:
    """The card's sections; those that have nothing to say are left out.

    Args:
        facts: of the run.
        pictures: files that were drawn, by what they show.
    """
    # Clusters predict nothing that could leak.
    asked = () if facts.judgement is None else answers(facts)
    of_judgement: list[Section] = []
    if facts.judgement is not None:
        of_judgement += judged(facts.judgement, facts.metric, pictures)
    found = [
        _summary(facts, asked),
        Section("The ladder of splits", tuple(_ladder(facts, pictures))),
        Section("Beside its baselines", tuple(_baselines(facts))),
        *of_judgement,
        Section("Clusters", tuple(clusters(facts, pictures))),
        Section("Features", tuple(_features(facts, pictures))),
        Section("Choices", tuple(_choices(facts))),
        Section("Class imbalance", tuple(_imbalance(facts))),
        Section("Gates", tuple(_gates(facts))),
        Section("Leakage questionnaire", tuple(_questionnaire(asked))),
        Section("Uses and limits", tuple(_uses(facts))),
        Section("How it was made", tuple(_made(facts))),
    ]
    return tuple(section for section in found if section.blocks)


def _summary(facts: CardFacts, asked: Iterable[Answer]) -> Section:
    blocks: list[Paragraph | Listed] = [Paragraph(facts.question)]
    rung = headline(facts)
    if rung is not None and rung.score is not None:
        score = rung.score
        blocks.append(
            Paragraph(
                f"On the rung {rung.name!r} ({rung.promise}): {score.metric}"
                f" {with_interval(score)}, from {score.n:,} rows of {score.groups:,} artists.",
                strong=True,
            )
        )
    if facts.verdict is not None:
        blocks.append(Paragraph(facts.verdict.sentence, strong=not facts.verdict.beaten))
    items = []
    if facts.judgement is not None and facts.judgement.kind == "regression":
        mean, spread = (facts.judgement.base_rate[name] for name in ("mean", "standard deviation"))
        items.append(f"Base rate: mean {number(mean)}, standard deviation {number(spread)}.")
    elif facts.judgement is not None:
        rates = sorted(facts.judgement.base_rate.items(), key=lambda rate: -rate[1])
        shown = ", ".join(f"{name} {100 * share:.1f} %" for name, share in rates[:5])
        more = f" and {len(rates) - 5} more" if len(rates) > 5 else ""
        items.append(f"Base rate: {shown}{more}.")
    by_status: dict[str, list[str]] = {}
    for answer in asked:
        by_status.setdefault(answer.status, []).append(answer.kind)
    if by_status:
        leaks = "; ".join(f"{status}: {', '.join(kinds)}" for status, kinds in by_status.items())
        items.append(f"Kinds of leak: {leaks}.")
    if facts.gates:
        failed = [gate for gate in facts.gates if not gate.passed]
        named = "; ".join(
            f"{gate.name} ({gate.acknowledged or 'not acknowledged'})" for gate in failed
        )
        looked = sum(gate.looked for gate in facts.gates)
        passed = f"Gates: {looked - len(failed)} of {len(facts.gates)} passed"
        if aside := len(facts.gates) - looked:
            passed += f", {aside} could not look"
        items.append(f"{passed}. Not passed: {named}." if failed else f"{passed}.")
    return Section("In short", (*blocks, *([Listed(tuple(items))] if items else [])))


def _ladder(facts: CardFacts, pictures: Pictures) -> Iterator[Picture | Table | Paragraph]:
    if not facts.rungs:
        return
    if LADDER in pictures:
        yield pictures[LADDER]
    first = next((rung for rung in facts.rungs if rung.score is not None), None)
    yield table(
        f"{facts.metric} on every rung; the headline is {facts.headline!r}."
        " Random rows flatter: that rung never stands for the model.",
        (
            "rung",
            "keeps apart",
            f"{facts.metric} (95 % interval)",
            "change from first",
            "baseline",
            "train",
            "test",
            "purged",
            "test rows that share",
        ),
        [_rung(rung, first) for rung in facts.rungs],
        "..nnnnnn.",
    )
    dated = [rung for rung in facts.rungs if rung.train_until or rung.tests_since]
    if dated:
        yield table(
            "Days that training rows run to, and that test rows begin with.",
            ("rung", "training until", "test since"),
            [[rung.name, rung.train_until, rung.tests_since] for rung in dated],
        )


def _rung(rung: Rung, first: Rung | None) -> list[object]:
    if rung.score is None:
        why = f"not available: {rung.unavailable or 'no reason given'}"
        return [rung.name, rung.promise, why, *[None] * 6]
    change = None
    if first is not None and first.score is not None and rung is not first:
        value, start = rung.score.value, first.score.value
        change = None if value is None or start is None else f"{value - start:+.3f}"
    shared = ", ".join(f"{thing}: {rows:,}" for thing, rows in rung.shared.items())
    sizes = [rung.train, rung.test, rung.purged]
    return [
        rung.name,
        rung.promise,
        with_interval(rung.score),
        change,
        rung.baseline,
        *sizes,
        shared or "not counted",
    ]


def _baselines(facts: CardFacts) -> Iterator[Paragraph | Table]:
    if facts.verdict is None:
        return
    yield Paragraph(facts.verdict.sentence, strong=not facts.verdict.beaten)
    yield table(
        f"{facts.verdict.metric} of the model and of each baseline on the same rows,"
        " and the interval of the paired difference.",
        ("baseline", "its value", "the model's", "difference (95 % interval)", "the model is"),
        [
            [
                name,
                found.second,
                found.first,
                _signed(found.value, found.low, found.high),
                found.first_is,
            ]
            for name, found in facts.verdict.differences.items()
        ],
        ".nnn.",
    )


def _signed(value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"{value:+.3f}"
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def _features(facts: CardFacts, pictures: Pictures) -> Iterator[Table | Picture | Paragraph]:
    if facts.features:
        yield table(
            "What the model may look at.",
            ("group", "features", "when they are known, and why they may be used", "hindsight"),
            [[g.name, ", ".join(g.features), g.known, g.hindsight] for g in facts.features],
        )
    if "importance" in pictures:
        yield pictures["importance"]
    if facts.importances:
        yield _importances(facts.importances)
    if facts.ablation:
        yield _variants("The same task without a group of features.", facts.ablation)
    elif len(facts.features) > 1 and facts.judgement is not None:
        yield Paragraph(
            "What each group is worth was not looked at here: beatlake ablate --task"
            f" {facts.task} does, on the headline rung."
        )


def _importances(by: Mapping[str, tuple[Weight, ...]]) -> Table:
    """Features by what each method says, in the order of the first."""
    methods = [{one.feature: one for one in weights} for weights in by.values()]
    named = dict.fromkeys(name for method in methods for name in method)
    return table(
        "What the model makes of each feature (95 % interval over artists, where there is one).",
        ("feature", *by),
        [[name, *(_weight(method.get(name)) for method in methods)] for name in named],
        "." + "n" * len(methods),
    )


def _weight(one: Weight | None) -> str:
    if one is None:
        return ""
    if one.low is None or one.high is None:
        return number(one.value)
    return f"{number(one.value)} ({number(one.low)} to {number(one.high)})"


def _choices(facts: CardFacts) -> Iterator[Table]:
    for one in facts.tried:
        folds = range(1, max((len(values) for _, values, _ in one.rows), default=0) + 1)
        yield table(
            f"{one.title} Compared by the mean of {one.metric} over folds of the training side;"
            " no test row has a part in it.",
            ("candidate", "mean", *(f"fold {fold}" for fold in folds), "chosen"),
            [[name, fmean(values), *values, chosen] for name, values, chosen in one.rows],
            ".n" + "n" * len(folds),
        )


def _imbalance(facts: CardFacts) -> Iterator[Table | Paragraph]:
    if not facts.imbalance:
        return
    yield _variants("Each resampler, fitted on training rows alone, beside none.", facts.imbalance)
    if not any(variant.wrong for variant in facts.imbalance):
        yield Paragraph(
            f"What the same resampler gives before the split: beatlake resampling --task"
            f" {facts.task}."
        )
    for variant in facts.imbalance:
        if variant.wrong:
            yield Paragraph(f"{variant.name} is wrong: {variant.wrong}", strong=True)


def _variants(caption: str, variants: tuple[Variant, ...]) -> Table:
    metrics = list(dict.fromkeys(s.metric for one in variants for s in one.scores))
    rows: list[list[object]] = []
    for one in variants:
        by_metric = {score.metric: score for score in one.scores}
        name = f"{one.name} (wrong)" if one.wrong else one.name
        rows.append([name, *(with_interval(by_metric.get(metric)) for metric in metrics)])
    return table(caption, ("variant", *metrics), rows, "." + "n" * len(metrics))


def _gates(facts: CardFacts) -> Iterator[Table]:
    if facts.gates:
        yield table(
            "What each rung promises, tested before a score was shown.",
            ("gate", "passed", "what was found", "acknowledged"),
            [
                [g.name, g.passed if g.looked else "could not look", g.found, g.acknowledged]
                for g in facts.gates
            ],
        )


def _questionnaire(asked: tuple[Answer, ...]) -> Iterator[Paragraph | Table]:
    if not asked:
        return
    yield Paragraph(
        "The eight kinds of leak of Kapoor and Narayanan (2023), answered from what this run"
        " measured on its headline rung. What was not measured is not known."
    )
    yield table(
        "",
        ("kind", "question", "answer", "evidence"),
        [[f"{a.kind} {a.name}", a.question, a.status, a.evidence] for a in asked],
    )


def _uses(facts: CardFacts) -> Iterator[Paragraph | Listed]:
    for title, items in (("It may be used for:", facts.uses), ("Its limits:", facts.limits)):
        if items:
            yield Paragraph(title)
            yield Listed(items)


def _made(facts: CardFacts) -> Iterator[Table]:
    given: Mapping[str, Mapping[str, object]] = {
        "Estimator": {"name": facts.estimator, **facts.parameters},
        "Tables read": facts.inputs,
        "Libraries": facts.libraries,
        "Run": {"created": facts.created, "salt": facts.salt},
    }
    for title, values in given.items():
        if values:
            yield table(title, ("what", "value"), [[k, _exact(v)] for k, v in values.items()])


def _exact(value: object) -> str:
    """A setting as it was given: 0.00012345 is not 0.00012."""
    return str(value)

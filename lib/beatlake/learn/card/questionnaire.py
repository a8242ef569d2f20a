"""The leakage questionnaire, answered from what the run measured.

The eight kinds are those of Kapoor and Narayanan 2023, "Leakage and the reproducibility crisis in
machine-learning-based science", Patterns 4 (9), whose model info sheets ask for an argument against
each. An answer is never better than its evidence: what was not measured is "not known".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from beatlake.learn.card.document import number
from beatlake.learn.card.facts import BEFORE, TRAINING, CardFacts, Rung

Status: TypeAlias = Literal["ruled out", "found", "acknowledged", "argued", "not known"]

_ONE = {"recording": "a recording", "artist": "an artist"}
#: The share of a class may differ by this much between the test side and the population.
_REPRESENTATIVE = 0.05


@dataclass(frozen=True)
class Answer:
    """One kind of leak: what is asked, what the run knows, and what follows from it.

    ``argued`` is for what no count can rule out and for which the card gives reasons.
    """

    kind: str
    name: str
    question: str
    status: Status
    evidence: str


def answers(facts: CardFacts) -> tuple[Answer, ...]:
    """All eight, in the order of the paper; an acknowledged leak keeps its evidence."""
    found = []
    for kind, (name, question, answer) in _QUESTIONS.items():
        status, evidence = answer(facts)
        reason = facts.leakage.acknowledged.get(kind)
        if reason and status == "found":
            status, evidence = "acknowledged", f"{evidence} Acknowledged: {reason}"
        found.append(Answer(kind, name, question, status, evidence))
    return tuple(found)


def headline(facts: CardFacts) -> Rung | None:
    """The rung that the model is judged by; None where the ladder lacks it."""
    return next((rung for rung in facts.rungs if rung.name == facts.headline), None)


def _test_set(facts: CardFacts) -> tuple[Status, str]:
    rung = headline(facts)
    if rung is None or not rung.test:
        return "found", f"The rung {facts.headline!r} has no test side."
    sides = f"The rung {rung.name!r} has {rung.train:,} training and {rung.test:,} test rows."
    both = facts.leakage.shared.get("row")
    if both is None:
        return "not known", f"{sides} Nobody counted the rows that stand on both sides."
    return ("found" if both else "ruled out"), f"{sides} {both:,} rows stand on both."


def _shared(facts: CardFacts, thing: str) -> tuple[Status, str]:
    rung, both = headline(facts), facts.leakage.shared.get(thing)
    share = f"{_ONE[thing]} with a training row"
    if both is None or rung is None:
        return "not known", f"Nobody counted the test rows that share {share}."
    counted = f"{both:,} of {rung.test:,} test rows share {share}."
    purged = f" {rung.purged:,} training rows were purged before." if rung.purged else ""
    return ("found" if both else "ruled out"), counted + purged


def _on_training_alone(what: str, where: Mapping[str, str] | None) -> tuple[Status, str]:
    if where is None:
        return "not known", f"The run does not say on which rows {what}."
    if not where:
        return "ruled out", f"There is nothing of the kind: {what} on no rows."
    wrong = {
        name: rows for name, rows in where.items() if rows != TRAINING and not rows.endswith(BEFORE)
    }
    listed = "; ".join(f"{name}: {rows}" for name, rows in (wrong or where).items())
    return ("found" if wrong else "ruled out"), f"{listed}."


def _preprocessing(facts: CardFacts) -> tuple[Status, str]:
    return _on_training_alone("scalers, encoders and resamplers were fitted", facts.leakage.fitted)


def _selection(facts: CardFacts) -> tuple[Status, str]:
    return _on_training_alone("features and parameters were chosen", facts.leakage.selected)


def _duplicates(facts: CardFacts) -> tuple[Status, str]:
    status, evidence = _shared(facts, "recording")
    # The same recording under another name, on the headline rung.
    for gate in facts.gates:
        if gate.name == f"same_sound_on_both_sides ({facts.headline})":
            evidence += f" By sound, {gate.found}."
            status = status if gate.passed else "found"
    return status, evidence


def _legitimate(facts: CardFacts) -> tuple[Status, str]:
    leakage = facts.leakage
    hindsight = [group.name for group in facts.features if group.hindsight]
    problems = []
    if leakage.from_label:
        problems.append(f"Made from the label's column: {', '.join(leakage.from_label)}.")
    if leakage.too_good:
        good = ", ".join(f"{name} ({how})" for name, how in leakage.too_good.items())
        problems.append(f"Gives the label nearly by itself: {good}.")
    if hindsight:
        problems.append(f"Known only afterwards: {', '.join(hindsight)}.")
    if problems:
        return "found", " ".join(problems)
    if leakage.from_label is None or leakage.too_good is None:
        return "not known", "Lineage and strength of single features were not both looked at."
    reasons = "; ".join(f"{group.name}: {group.known}" for group in facts.features)
    looked = "No feature's lineage holds the label, and none gives it by itself."
    return "argued", f"{looked} {reasons}." if reasons else looked


def _temporal(facts: CardFacts) -> tuple[Status, str]:
    until, start = facts.leakage.train_until, facts.leakage.test_from
    if until is None or start is None:
        return "not known", "The rows of one side or of both have no date."
    # A year and a day compare as years: within the year nothing is known.
    precision = min(len(until), len(start))
    dates = f"Training rows run to {until}, test rows start at {start}"
    if until[:precision] < start[:precision]:
        return "ruled out", f"{dates}."
    timed = [
        f"{rung.name} {number(rung.score.value)}"
        for rung in facts.rungs
        if "time" in rung.name and rung.score is not None and rung.score.value is not None
    ]
    beside = f" The rungs that part by time: {', '.join(timed)}." if timed else ""
    return "found", f"{dates}: the score says nothing about later rows than those seen.{beside}"


def _independence(facts: CardFacts) -> tuple[Status, str]:
    return _shared(facts, "artist")


def _sampling(facts: CardFacts) -> tuple[Status, str]:
    leakage, judgement = facts.leakage, facts.judgement
    if not leakage.population:
        return "not known", "The task does not say which rows the claim is about."
    out = ", ".join(f"{rows:,} {reason}" for reason, rows in leakage.dropped.items())
    said = f"The claim is about {leakage.population}. Taken out before the split: {out or 'none'}."
    if judgement is None or not leakage.base_rate:
        return "argued", said
    apart = {
        name: judgement.base_rate.get(name, 0.0) - share
        for name, share in leakage.base_rate.items()
    }
    if judgement.kind != "classification":
        shown = ", ".join(f"{name} {number(value)}" for name, value in apart.items())
        return "argued", f"{said} Test side less population: {shown}."
    name = max(apart, key=lambda name: abs(apart[name]))
    most = f"{name}, by {100 * apart[name]:+.1f} points"
    shown = f"{said} The share that differs most on the test side is that of {most}."
    return ("found" if abs(apart[name]) > _REPRESENTATIVE else "argued"), shown


_Answer: TypeAlias = Callable[[CardFacts], tuple[Status, str]]
_QUESTIONS: Mapping[str, tuple[str, str, _Answer]] = {
    "L1.1": (
        "No test set",
        "Is the model judged on rows that it was not fitted on?",
        _test_set,
    ),
    "L1.2": (
        "Pre-processing on both sides",
        "Was everything that is fitted, resamplers too, fitted on training rows alone?",
        _preprocessing,
    ),
    "L1.3": (
        "Selection on both sides",
        "Were features and parameters chosen on training rows alone?",
        _selection,
    ),
    "L1.4": ("Duplicates", "Does a recording stand on both sides?", _duplicates),
    "L2": (
        "Illegitimate features",
        "Is every feature known when a prediction is made, and none the label in disguise?",
        _legitimate,
    ),
    "L3.1": (
        "Temporal leakage",
        "Is every test row later than every training row?",
        _temporal,
    ),
    "L3.2": (
        "Dependence between the sides",
        "Do test rows share an artist with training rows?",
        _independence,
    ),
    "L3.3": (
        "Sampling bias of the test side",
        "Are the test rows like those that the claim is about?",
        _sampling,
    ),
}

"""What a model card is made of: the facts of one run, as they were measured.

A fact that nobody measured is None or absent, and the card says that it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from beatlake.errors import InputError
from beatlake.learn.judgement import Clusters, Judgement, Score, Verdict

#: The sides that something can have been fitted or chosen on.
TRAINING = "training rows"
EVERYTHING = "all rows"
#: How a text ends that says of a choice that no row had a part in it.
BEFORE = "before any row was seen"


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder of splits.

    Args:
        name: "random", "recording", "artist", "time", "artist_time".
        promise: what the split keeps apart, as half a sentence.
        score: the headline metric on its test side; None where the rung is not available.
        unavailable: why it is not, otherwise empty.
        baseline: the same metric of the strongest baseline.
        train: rows of the training side, after purging.
        test: rows of the test side.
        purged: training rows taken out because they share something with a test row.
        shared: test rows that share a thing with a training row, by the thing ("recording",
            "artist"): measured after purging.
        train_until: newest date of the training side; None where rows have none.
        tests_since: oldest date of the test side.
    """

    name: str
    promise: str
    score: Score | None = None
    unavailable: str = ""
    baseline: float | None = None
    train: int = 0
    test: int = 0
    purged: int = 0
    shared: Mapping[str, int] = field(default_factory=dict)
    train_until: str | None = None
    tests_since: str | None = None


@dataclass(frozen=True)
class Gate:
    """One gate, what it found, why it was let through where it was, and whether it looked."""

    name: str
    passed: bool
    found: str
    acknowledged: str = ""
    looked: bool = True


@dataclass(frozen=True)
class FeatureGroup:
    """Features that are switched on and off together.

    Args:
        name: of the group.
        features: their names.
        known: when their values are known, and why they may be used.
        hindsight: whether any of them is known only after what is predicted.
    """

    name: str
    features: tuple[str, ...]
    known: str
    hindsight: bool = False


@dataclass(frozen=True)
class Weight:
    """How much a feature matters, by the method that the card names; an interval where there is."""

    feature: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tried:
    """Candidates of one choice that was made inside the training side.

    Args:
        title: what was chosen, and how, as a sentence.
        metric: that they were compared by.
        rows: of each candidate its name, the metric on every fold, and whether it was chosen.
    """

    title: str
    metric: str
    rows: tuple[tuple[str, tuple[float, ...], bool], ...]


@dataclass(frozen=True)
class Variant:
    """The same task done otherwise: a group left out, a resampler, another estimator.

    ``wrong`` says why the number is not to be believed (a resampler before the split).
    """

    name: str
    scores: tuple[Score, ...]
    wrong: str = ""


@dataclass(frozen=True)
class Leakage:
    """What a run knows about leaks, on its headline rung.

    Args:
        shared: test rows that share a thing with a training row, by the thing; a thing that is
            absent was not measured. The card asks for "row", "recording" and "artist".
        fitted: what was fitted (scalers, encoders, resamplers), and on which rows.
        selected: how features and parameters were chosen, and on which rows, or before any.
        train_until: newest date of the training side; None where rows have none.
        test_from: oldest date of the test side.
        from_label: features whose lineage holds the label's column; None where not looked at.
        too_good: features that give the label nearly by themselves, and how well; None likewise.
        dropped: rows taken out before the split, by reason.
        population: the rows that the claim is about.
        base_rate: share of each class (or the mean) in that population, to hold the test side's to.
        acknowledged: reasons given in the task for a kind of leak, by its number ("L3.1").
    """

    shared: Mapping[str, int] = field(default_factory=dict)
    fitted: Mapping[str, str] | None = None
    selected: Mapping[str, str] | None = None
    train_until: str | None = None
    test_from: str | None = None
    from_label: tuple[str, ...] | None = None
    too_good: Mapping[str, str] | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    population: str = ""
    base_rate: Mapping[str, float] = field(default_factory=dict)
    acknowledged: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CardFacts:
    """Everything that a card shows; texts may hold anything, the card escapes them.

    Args:
        task: name of the task.
        version: of the model.
        created: when, as ISO 8601 in UTC.
        question: what is predicted, of what, from what.
        estimator: its name.
        headline: name of the rung that the model is judged by; never "random".
        metric: the one that the ladder shows.
        judgement: of the model on the headline rung's test side.
        rungs: the ladder, from the most flattering down.
        verdict: beside the baselines; None for clusters.
        parameters: of the estimator, chosen ones among them.
        tried: the choices among parameters and features.
        features: groups that were used.
        importances: of features, most important first, by what was measured; the first is drawn.
        ablation: the task without each group.
        imbalance: the task under each resampler, the one without first.
        gates: all of them.
        leakage: for the questionnaire.
        clusters: of an unsupervised task.
        sweep: lines of `judgement.sweep`.
        inputs: versions of the tables read.
        libraries: versions.
        salt: of splits and draws.
        uses: what the model may be used for.
        limits: what it must not be used for, and what its scores do not say.

    Raises:
        InputError: the headline is the rung that flatters.
    """

    task: str
    version: str
    created: str
    question: str
    estimator: str
    headline: str
    metric: str
    judgement: Judgement | None
    rungs: tuple[Rung, ...] = ()
    verdict: Verdict | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    tried: tuple[Tried, ...] = ()
    features: tuple[FeatureGroup, ...] = ()
    importances: Mapping[str, tuple[Weight, ...]] = field(default_factory=dict)
    ablation: tuple[Variant, ...] = ()
    imbalance: tuple[Variant, ...] = ()
    gates: tuple[Gate, ...] = ()
    leakage: Leakage = field(default_factory=Leakage)
    clusters: Clusters | None = None
    sweep: tuple[Mapping[str, float | int | None], ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    salt: str = ""
    uses: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.headline == "random":
            raise InputError(
                f"The card of {self.task} has the rung 'random' as its headline, and random rows"
                " flatter: name another rung."
            )

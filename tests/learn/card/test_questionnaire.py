"""Each kind of leak is answered from what was measured, and from nothing else."""

from __future__ import annotations

import dataclasses

import pytest
from card_facts import genre_facts

from beatlake.learn.card import BEFORE, EVERYTHING, TRAINING, CardFacts, FeatureGroup, Leakage
from beatlake.learn.card.questionnaire import Answer, answers

KINDS = ["L1.1", "L1.2", "L1.3", "L1.4", "L2", "L3.1", "L3.2", "L3.3"]


def answered(facts: CardFacts) -> dict[str, Answer]:
    return {answer.kind: answer for answer in answers(facts)}


def with_leakage(**changed: object) -> CardFacts:
    facts = genre_facts()
    return dataclasses.replace(facts, leakage=dataclasses.replace(facts.leakage, **changed))


def test_a_clean_run() -> None:
    found = answered(genre_facts())

    assert {kind: answer.status for kind, answer in found.items()} == {
        **dict.fromkeys(KINDS, "ruled out"),
        "L2": "argued",
        "L3.3": "argued",
    }
    assert "6,800 training and 1,800 test rows" in found["L1.1"].evidence
    assert "412 training rows were purged" in found["L3.2"].evidence
    assert "812 without audio features" in found["L3.3"].evidence


def test_what_nobody_measured_is_not_known() -> None:
    found = answered(genre_facts(leakage=Leakage()))

    assert {answer.status for answer in found.values()} == {"not known"}


@pytest.mark.parametrize(
    ("kind", "changed", "evidence"),
    [
        ("L1.1", {"shared": {"row": 7}}, "7 rows stand on both"),
        ("L1.2", {"fitted": {"scaler": TRAINING, "SMOTE": EVERYTHING}}, "SMOTE: all rows."),
        ("L1.3", {"selected": {"RFE": EVERYTHING}}, "RFE: all rows."),
        ("L1.4", {"shared": {"recording": 31}}, "31 of 1,800 test rows share a recording"),
        ("L2", {"from_label": ("popularity_rank",)}, "popularity_rank"),
        ("L2", {"too_good": {"label_id": "AUC 0.97"}}, "label_id (AUC 0.97)"),
        ("L3.1", {"train_until": "2019-06-30"}, "run to 2019-06-30, test rows start at 2019-01-01"),
        ("L3.1", {"train_until": "2019"}, "run to 2019,"),
        ("L3.2", {"shared": {"artist": 3}}, "3 of 1,800 test rows share an artist"),
        ("L3.3", {"base_rate": {"Trance": 0.9}}, "Trance, by -7"),
    ],
)
def test_a_leak_is_found_by_what_shows_it(
    kind: str, changed: dict[str, object], evidence: str
) -> None:
    facts = with_leakage(**changed)

    answer = answered(facts)[kind]
    assert answer.status == "found"
    assert evidence in answer.evidence

    reasoned = with_leakage(**changed, acknowledged={kind: "the study did it."})
    answer = answered(reasoned)[kind]
    assert answer.status == "acknowledged"
    assert evidence in answer.evidence
    assert answer.evidence.endswith("Acknowledged: the study did it.")


def test_a_reason_for_a_leak_that_is_not_there_says_nothing() -> None:
    facts = with_leakage(acknowledged=dict.fromkeys(KINDS, "so it is."))

    assert answered(facts) == answered(genre_facts())


def test_hindsight_is_an_illegitimate_feature() -> None:
    facts = genre_facts(
        features=(FeatureGroup("popularity now", ("popularity_2023",), "in 2023", True),)
    )

    answer = answered(facts)["L2"]

    assert answer.status == "found"
    assert "Known only afterwards: popularity now." in answer.evidence


def test_a_headline_without_a_test_side_is_found() -> None:
    facts = genre_facts(headline="artist_time")

    assert answered(facts)["L1.1"].status == "found"


def test_rows_that_overlap_in_time_point_to_the_rungs_that_do_not() -> None:
    answer = answered(with_leakage(train_until="2023-01-01"))["L3.1"]

    assert "The rungs that part by time: time 0.410." in answer.evidence


def test_nothing_fitted_is_fitted_on_no_rows() -> None:
    assert answered(with_leakage(fitted={}))["L1.2"].status == "ruled out"


def test_what_was_chosen_before_any_row_was_seen_leaks_nothing() -> None:
    chosen = {"depth": f"the task file, {BEFORE}", "rate": TRAINING}

    answer = answered(with_leakage(selected=chosen))["L1.3"]

    assert answer.status == "ruled out"
    assert "depth: the task file, before any row was seen" in answer.evidence

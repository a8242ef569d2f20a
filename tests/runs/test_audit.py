"""Thresholds of contracts: absolute, by share, stated or not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from beatlake.quality.contract import Contract, Limit, contracts
from beatlake.quality.counting import Outcome, Tally
from beatlake.releases import InputFile
from beatlake.runs import audit


def inputs(records: int) -> dict[str, InputFile]:
    """One file of so many records."""
    return {
        "sp_track": InputFile(parts=[], sha256="", records=records),
    }


def tally(outcome: Outcome, rule: str, rows: int, source: str, table: str) -> Tally:
    return Tally(table, source, outcome, rows, rule, "sp_track.csv at byte 7")


def aside(rows: int, rule: str = "blank_line") -> Tally:
    return tally("set_aside", rule, rows, "sp_track", "bronze.sp_track")


def orphans(rows: int) -> Tally:
    return tally("flagged", "orphan_release", rows, "bronze.sp_track", "silver.spotify_tracks")


def test_few_or_a_small_share_may_be_set_aside() -> None:
    assert audit.gate_problems([aside(100)], inputs(100)) == []
    assert audit.gate_problems([aside(1_000)], inputs(100_000)) == []


def test_too_many_records_set_aside_are_told_with_rule_number_and_example() -> None:
    found = audit.gate_problems([aside(60), aside(41, "nul_byte")], inputs(10_000))
    assert found == [
        "101 of the 10,000 records of sp_track were set aside (blank_line 60 (e.g. sp_track.csv at"
        " byte 7), nul_byte 41 (e.g. sp_track.csv at byte 7)). See quarantine.sp_track. Its"
        " contract allows 100 or 1.0%."
    ]


def test_too_many_orphans_of_a_foreign_key_stop_a_release() -> None:
    assert audit.gate_problems([orphans(500)], inputs(10_000)) == []
    assert audit.gate_problems([orphans(501)], inputs(10_000)) == [
        "501 of the 10,000 records of sp_track break a rule on the way to silver.spotify_tracks:"
        " orphan_release 501 (e.g. sp_track.csv at byte 7). Its contract allows 100 or 5.0%."
    ]


def test_a_flag_without_a_limit_stops_nothing_and_one_with_a_limit_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = tally("flagged", "very_short_duration", 11, "sp_track", "bronze.sp_track")
    assert audit.gate_problems([short], inputs(11)) == []
    limited = contracts()["sp_track"].model_copy(
        update={"limits": {"very_short_duration": Limit(rows=10, share=0.5)}}
    )
    monkeypatch.setattr(audit, "contracts", lambda: {"sp_track": limited})
    assert audit.gate_problems([short], inputs(22)) == []
    assert len(audit.gate_problems([short], inputs(21))) == 1


def test_a_contract_names_only_rules_that_exist() -> None:
    text = contracts()["sp_track"].model_dump(mode="json")
    with pytest.raises(ValidationError, match="unknown rules"):
        Contract.model_validate({**text, "limits": {"very_tall": {"rows": 1, "share": 0}}})

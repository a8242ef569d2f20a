"""Every rule's meaning, whether the reader or a contract applies it."""

from __future__ import annotations

from beatlake.ingest.csv import Rule as RecordRule
from beatlake.quality.rules import Rule

_MEANINGS = {rule.value: rule.sentence for rule in RecordRule} | {
    rule.value: rule.meaning for rule in Rule
}


def meaning(rule: str) -> str:
    """The sentence that says what breaking the rule means."""
    return _MEANINGS[rule]

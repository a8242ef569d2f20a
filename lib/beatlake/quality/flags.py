"""Flags of a row in SQL: the names of the rules that it breaks, in a list."""

from __future__ import annotations

from collections.abc import Mapping

from beatlake.quality.rules import Rule

#: A list of no names.
NO_NAMES = "[]::VARCHAR[]"


def has(flags: str, rule: Rule) -> str:
    """Whether flags name a rule; not for rows without flags."""
    return f"coalesce(list_contains({flags}, '{rule.value}'), false)"


def with_rules(flags: str, broken: Mapping[Rule, str]) -> str:
    """The names in ``flags`` and of the rules whose condition holds, each once, sorted."""
    held = {rule.value: condition for rule, condition in broken.items()}
    names = ", ".join(f"CASE WHEN {held[name]} THEN '{name}' END" for name in sorted(held))
    named = f"list_filter([{names}]::VARCHAR[], lambda name: name IS NOT NULL)"
    # Most rows break no rule, and need no lists to be made; of the others most have no flags yet.
    return f"""CASE
        WHEN len({flags}) > 0 THEN list_sort(list_distinct(list_concat({flags}, {named})))
        WHEN {" OR ".join(f"({condition})" for condition in held.values())} THEN {named}
        ELSE {NO_NAMES} END"""

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
    # Most rows break no rule, and need no lists to be made.
    any_broken = " OR ".join([f"len({flags}) > 0", *(f"({held})" for held in broken.values())])
    names = ", ".join(f"CASE WHEN {held} THEN '{rule.value}' END" for rule, held in broken.items())
    # What is null stays out of what is distinct.
    merged = f"list_sort(list_distinct(list_concat({flags}, [{names}]::VARCHAR[])))"
    return f"CASE WHEN {any_broken} THEN {merged} ELSE {NO_NAMES} END"

"""Defective records, planted on top of the clean rows at known places.

Counts per rule and file are `max(1, round(50 * scale))` unless the rule says otherwise. Records are
made from real rows with fresh keys: Spotify ids, Beatport ids and ISRC (country ZZ) that no clean
row has, so the clean counts and joins stay as they are. The exception is `duplicate_key`, which
repeats the key of a clean row in three ways (see `kinds.duplicates`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from beatlake.synth.defects.maker import KEYS, Defect, Maker
from beatlake.synth.defects.rules import KEEP, OUTCOME, RULES, SET_ASIDE
from beatlake.synth.files import GENERATED
from beatlake.synth.randomness import Array
from beatlake.synth.world import World

__all__ = ["KEEP", "KEYS", "OUTCOME", "SET_ASIDE", "Defect", "plan", "record_numbers"]


def _made(maker: Maker, scale: float) -> Iterator[Defect]:
    for rule in RULES:
        if maker.file.name not in rule.files:
            continue
        for number in range(rule.count(scale)):
            yield rule.make(maker, number)


def plan(world: World, scale: float) -> dict[str, list[Defect]]:
    """The defects of every file, in the order in which they come in it."""
    planned: dict[str, list[Defect]] = {}
    for file in GENERATED:
        if file.name in KEYS:
            made = list(_made(Maker(world, file), scale))
            planned[file.name] = sorted(
                made, key=lambda d: (d.insert.after, d.rule == "torn_record")
            )
    return planned


def record_numbers(defects: list[Defect]) -> Array:
    """The physical record number of each defect, the first record after the header being 1."""
    after = np.array([defect.insert.after for defect in defects], np.int64)
    return after + np.arange(1, len(defects) + 1)

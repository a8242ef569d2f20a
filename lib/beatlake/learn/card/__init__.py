"""The model card: what a model is, how well it does on every rung, and what could be wrong."""

from beatlake.learn.card.facts import (
    BEFORE,
    EVERYTHING,
    TRAINING,
    CardFacts,
    FeatureGroup,
    Gate,
    Leakage,
    Rung,
    Tried,
    Variant,
    Weight,
)
from beatlake.learn.card.render import render

__all__ = [
    "BEFORE",
    "EVERYTHING",
    "TRAINING",
    "CardFacts",
    "FeatureGroup",
    "Gate",
    "Leakage",
    "Rung",
    "Tried",
    "Variant",
    "Weight",
    "render",
]

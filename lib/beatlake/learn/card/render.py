"""A card's files from its facts."""

from __future__ import annotations

from beatlake.learn.card.facts import CardFacts


def render(facts: CardFacts) -> dict[str, bytes]:
    """The card as files by name: ``card.html`` (images within), ``card.md`` and its ``*.png``."""
    raise NotImplementedError

"""Key figures of a release, and how far they may move from the release before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from beatlake.resources import read_conf

RECORDINGS = "n_recordings"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Strict):
    """One figure: a SQL aggregate over a table, and the limits of its movement."""

    table: str
    value: str
    meaning: str
    fall: float | None = Field(None, ge=0, le=1)
    rise: float | None = Field(None, ge=0)
    change: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _limited(self) -> Figure:
        if self.fall is None and self.rise is None and self.change is None:
            raise ValueError("a figure needs a limit: fall, rise or change")
        return self

    def moved_too_far(self, old: float, new: float) -> str | None:
        """The limit that is broken, in words; None when none is.

        >>> Figure(table="t", value="v", meaning="", fall=0.05).moved_too_far(100, 90)
        'it may fall by 5 % at most'
        """
        if self.fall is not None and new < old * (1 - self.fall):
            return f"it may fall by {self.fall:.0%} at most".replace("%", " %")
        if self.rise is not None and new > old * (1 + self.rise):
            return f"it may rise by {self.rise:.0%} at most".replace("%", " %")
        if self.change is not None and abs(new - old) > self.change:
            return f"it may change by {self.change:g} at most"
        return None


class Drift(_Strict):
    """All figures of `conf/drift.yaml`."""

    min_recordings: int
    figures: dict[str, Figure]

    def problems(
        self,
        before: Mapping[str, float | None],
        after: Mapping[str, float | None],
        accepted: Iterable[str],
    ) -> tuple[list[str], list[str]]:
        """Sentences about figures that moved too far, and the names among them that are accepted.

        Args:
            before: the figures of the last release; none for the first.
            after: those of the release to be.
            accepted: names of figures that somebody has looked at.
        """
        counts = (before.get(RECORDINGS) or 0, after.get(RECORDINGS) or 0)
        if min(counts) < self.min_recordings:
            return [], []
        sentences, waved = [], []
        for name, figure in self.figures.items():
            old, new = before.get(name), after.get(name)
            if old is None or new is None:
                continue
            limit = figure.moved_too_far(old, new)
            if limit is None:
                continue
            if name in accepted:
                waved.append(name)
                continue
            sentences.append(
                f"{name} of {figure.table} went from {old:,.6g} to {new:,.6g}, and {limit}"
                f" ({figure.meaning.rstrip('.')}). If that is right, run again with"
                f" --accept {name}."
            )
        return sentences, waved


@cache
def drift() -> Drift:
    """The figures as `conf/drift.yaml` declares them."""
    return Drift.model_validate(yaml.safe_load(read_conf("drift.yaml")))

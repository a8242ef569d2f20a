"""Rounds: train, look at the validation side, keep what is best, and stop when it gets no better.

After each round a record holds all that the next one follows from. A training that was killed
goes on from there, to the same weights.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from beatlake import releases
from beatlake.errors import InputError
from beatlake.learn.estimators.networks.architecture import Arrays
from beatlake.learn.estimators.networks.settings import NetworkSettings
from beatlake.learn.estimators.networks.weights import packed, unpacked


@dataclass(frozen=True)
class State:
    """A training after some rounds.

    Args:
        weights: of the network.
        moments: of the optimizer, where it goes on from one round to the next.
        rounds: how many there were.
        losses: mean on the validation side after each; none where nothing watches.
        best: the weights with the lowest loss, or the last ones.
        best_round: after which they came, from 1.
    """

    weights: Arrays
    moments: Arrays = field(default_factory=dict)
    rounds: int = 0
    losses: tuple[float, ...] = ()
    best: Arrays = field(default_factory=dict)
    best_round: int = 0

    def content(self) -> bytes:
        """The state as a safetensors file."""
        parts = {"weights": self.weights, "moments": self.moments, "best": self.best}
        arrays = {f"{part}/{name}": a for part, of in parts.items() for name, a in of.items()}
        about = {"rounds": self.rounds, "losses": self.losses, "best_round": self.best_round}
        return packed(arrays, about)

    @classmethod
    def parse(cls, content: bytes) -> State:
        """The state that `content` gave.

        Raises:
            InputError: the bytes are not of a state, or were damaged.
        """
        arrays, about = unpacked(content)
        parts: dict[str, Arrays] = {"weights": {}, "moments": {}, "best": {}}
        for whole, array in arrays.items():
            part, _, name = whole.partition("/")
            parts[part][name] = array
        losses = tuple(about["losses"])
        return cls(rounds=about["rounds"], losses=losses, best_round=about["best_round"], **parts)


@dataclass(frozen=True)
class Record:
    """Where the newest state of a training is kept: a file named by all that it follows from.

    Args:
        folder: None keeps none.
        name: of the training.
    """

    folder: Path | None = None
    name: str = ""

    @classmethod
    def of(cls, folder: Path | None, origin: Mapping[str, Any]) -> Record:
        """The record of a training that follows from some facts."""
        text = json.dumps(origin, sort_keys=True)
        return cls(folder, hashlib.sha256(text.encode()).hexdigest())

    @property
    def path(self) -> Path | None:
        """The file."""
        return self.folder and self.folder / f"{self.name}.safetensors"

    def find(self) -> State | None:
        """The state that was kept last; None where there is none that is whole."""
        if self.path is None:
            return None
        try:
            return State.parse(self.path.read_bytes())
        except (FileNotFoundError, InputError):
            return None

    def keep(self, state: State) -> None:
        """Write a state by one rename, so that it outlives this process."""
        if self.path is not None:
            releases.replace(self.path, state.content(), f"round {state.rounds}")

    def forget(self) -> None:
        """Remove the file: the training is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


#: Trains for a round: its number from 0, weights and moments in; weights and moments out.
Advance = Callable[[int, Arrays, Arrays], tuple[Arrays, Arrays]]
#: The sum of the losses of the rows that watch, and of their weights.
Judge = Callable[[Arrays], tuple[float, float]]


def run(
    settings: NetworkSettings,
    start: State,
    advance: Advance,
    judge: Judge | None,
    keep: Callable[[State], None],
) -> State:
    """Train from a state on, until all rounds are done or the loss has stopped falling.

    Args:
        settings: how many rounds, and how many without a lower loss are too many.
        start: the first state, or that of a training that was stopped.
        advance: trains.
        judge: looks at the validation side; None where nothing watches.
        keep: is given every state.

    Raises:
        InputError: the loss grew beyond all numbers.
    """
    state = start
    patience = settings.early_stopping_rounds
    while state.rounds < settings.rounds:
        if judge and patience and state.rounds - state.best_round >= patience:
            break
        weights, moments = advance(state.rounds, state.weights, state.moments)
        if not all(np.isfinite(array).all() for array in weights.values()):
            raise InputError("The network's weights grew beyond all numbers: lower learning_rate.")
        state = replace(state, weights=weights, moments=moments, rounds=state.rounds + 1)
        lowest = min(state.losses, default=math.inf)
        if judge is not None:
            loss, weight = judge(weights)
            state = replace(state, losses=(*state.losses, loss / weight))
        if judge is None or state.losses[-1] < lowest:
            state = replace(state, best=weights, best_round=state.rounds)
        keep(state)
    return state

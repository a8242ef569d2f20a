"""One process that learns from one shard: an epoch at a time, weights in, weights out.

What an epoch gives follows from its number, the shard, the seed and what goes in: nothing else is
kept from one to the next. So a training goes on from its last round as if it had not stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from beatlake.learn.estimators.networks.architecture import Architecture, Arrays, forward
from beatlake.learn.estimators.networks.settings import NetworkSettings
from beatlake.learn.estimators.networks.shards import Shard
from beatlake.learn.estimators.networks.spooled import Rows
from beatlake.learn.judgement.bootstrap import seed_of


@dataclass(frozen=True)
class Learning:
    """What all processes of a training share.

    Args:
        architecture: of the network.
        settings: of the task.
        seed: of the order of rows, and of the units that are dropped.
    """

    architecture: Architecture
    settings: NetworkSettings
    seed: int

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, from 0.

        A cosine falls from the whole rate to none, without restarts: Loshchilov and Hutter 2017,
        "SGDR", equation 5.
        """
        whole = self.settings.learning_rate
        if self.settings.schedule == "constant":
            return whole
        return whole * (1 + math.cos(math.pi * epoch / self.settings.epochs)) / 2


#: Adds up an array over all processes of a training, in place.
Reduce = Callable[[Any], None]


@dataclass(frozen=True)
class Learner:
    """A process that trains on a shard.

    Args:
        learning: what it shares with the others.
        shard: its rows.
        batch: how many of them it takes in a step.
        steps: of an epoch, where all processes step together; by default what its rows give.
        reduce: adds up what each of them found in a step.
    """

    learning: Learning
    shard: Shard
    batch: int
    steps: int | None = None
    reduce: Reduce | None = None

    def epoch(self, epoch: int, weights: Arrays, moments: Arrays) -> tuple[Arrays, Arrays]:
        """Train for one epoch; the new weights, and the optimizer's moments.

        The optimizer is AdamW (Loshchilov and Hutter 2019, "Decoupled Weight Decay
        Regularization"). A step goes by the mean of the rows' losses, each with its weight.
        """
        import torch

        learning = self.learning
        with process(learning.settings) as device:
            # In one order in every process, since gradients are added up by their place.
            named = {
                name: torch.tensor(array, device=device, requires_grad=True)
                for name, array in sorted(weights.items())
            }
            optimizer = torch.optim.AdamW(
                list(named.values()),
                lr=learning.rate(epoch),
                weight_decay=learning.settings.weight_decay,
                fused=True,
            )
            _give(optimizer, named, moments)
            # Each shard has draws of its own, and each epoch: none depends on what ran before.
            drawn = seed_of(str(learning.seed), "epoch", str(epoch), str(self.shard.place))
            devices = [device] if device.type == "cuda" else []
            with torch.random.fork_rng(devices=devices):
                torch.manual_seed(drawn % (1 << 63))
                random = np.random.Generator(np.random.Philox(drawn))
                for rows in self._batches(random):
                    self._step(optimizer, named, rows, device)
            found = {name: tensor.detach().cpu().numpy() for name, tensor in named.items()}
            return found, _taken(optimizer, named)

    def _batches(self, random: np.random.Generator) -> Iterator[Rows | None]:
        """The batches of an epoch, and None for each step that others make without this one."""
        made = 0
        for rows in self.shard.training.batches(self.batch, random):
            made += 1
            yield rows
        for _ in range(made, self.steps or 0):
            yield None

    def _step(
        self, optimizer: Any, named: Mapping[str, Any], rows: Rows | None, device: Any
    ) -> None:
        import torch

        total = torch.zeros((), device=device)
        optimizer.zero_grad()
        if rows is not None:
            losses, weight = row_losses(self.learning, named, rows, device, training=True)
            losses.sum().backward()
            total = weight.sum()
        found = [torch.zeros_like(t) if t.grad is None else t.grad for t in named.values()]
        flat = torch.cat([*(gradient.reshape(-1) for gradient in found), total.reshape(1)])
        if self.reduce is not None:
            flat = flat.cpu()
            self.reduce(flat)
            flat = flat.to(device)
        flat /= flat[-1].clamp(min=1e-12)
        parts = flat[:-1].split([gradient.numel() for gradient in found])
        for tensor, part in zip(named.values(), parts, strict=True):
            tensor.grad = part.view_as(tensor)
        optimizer.step()

    def loss(self, weights: Arrays) -> tuple[float, float]:
        """The sum of the losses of the rows that watch, and of their weights."""
        import torch

        loss = weight = 0.0
        with process(self.learning.settings) as device, torch.no_grad():
            named = {name: torch.tensor(array, device=device) for name, array in weights.items()}
            for chunk in self.shard.validation.chunks():
                for start in range(0, len(chunk), self.learning.architecture.at_once):
                    rows = chunk.take(slice(start, start + self.learning.architecture.at_once))
                    losses, own = row_losses(self.learning, named, rows, device, training=False)
                    loss += float(losses.double().sum())
                    weight += float(own.double().sum())
        return loss, weight


def row_losses(
    learning: Learning, named: Mapping[str, Any], rows: Rows, device: Any, *, training: bool
) -> tuple[Any, Any]:
    """Weighted losses of rows, and their weights: log-loss of classes, squared error of numbers."""
    import torch
    from torch.nn import functional as f

    architecture = learning.architecture
    seen, places, label, weight = (
        torch.tensor(array, device=device)
        for array in (rows.numbers, rows.places, rows.label, rows.weight)
    )
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    half = able and learning.settings.mixed_precision
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        said = forward(architecture, named, seen, places, training)
    said = said.float()
    if architecture.kind == "classes":
        losses = f.cross_entropy(said, label.long(), reduction="none")
    else:
        wanted = ((label - architecture.center) / architecture.scale).float()
        losses = (said[:, 0] - wanted) ** 2
    return losses * weight, weight


@contextmanager
def process(settings: NetworkSettings) -> Iterator[Any]:
    """The device of a process, whose threads are as many as the settings say for the while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        cuda = settings.device == "cuda" or (
            settings.device == "auto" and torch.cuda.is_available()
        )
        yield torch.device("cuda" if cuda else "cpu")
    finally:
        torch.set_num_threads(before)


_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def _give(optimizer: Any, named: Mapping[str, Any], moments: Arrays) -> None:
    """Set an optimizer's moments; those of a new one are none."""
    import torch

    if not moments:
        return
    for name, tensor in named.items():
        optimizer.state[tensor] = {
            moment: torch.tensor(moments[f"{moment}:{name}"], device=tensor.device)
            for moment in _MOMENTS
        }


def _taken(optimizer: Any, named: Mapping[str, Any]) -> Arrays:
    return {
        f"{moment}:{name}": optimizer.state[tensor][moment].detach().cpu().numpy()
        for name, tensor in named.items()
        if tensor in optimizer.state
        for moment in _MOMENTS
    }

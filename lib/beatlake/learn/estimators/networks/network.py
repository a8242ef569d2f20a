"""Networks of torch, fitted on shards of a fold; they predict anywhere, without Spark.

A network is saved as one safetensors file: its weights as plain numbers, and its architecture as
JSON in the header.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from beatlake.errors import InputError, SetupError
from beatlake.learn.estimators.answer import Answer, Parameters
from beatlake.learn.estimators.barrier import check_slots
from beatlake.learn.estimators.networks.architecture import Architecture, Arrays, forward
from beatlake.learn.estimators.networks.devices import check_device
from beatlake.learn.estimators.networks.learner import Learning, process
from beatlake.learn.estimators.networks.rounds import Record, State
from beatlake.learn.estimators.networks.settings import NetworkSettings, settled
from beatlake.learn.estimators.networks.shards import Shard, rows_of, spool
from beatlake.learn.estimators.networks.spooled import Moments
from beatlake.learn.estimators.networks.strategies import train
from beatlake.learn.estimators.networks.weights import packed, unpacked
from beatlake.learn.folds import Fold
from beatlake.learn.records import Records

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

WEIGHTS = "network.safetensors"


@dataclass(frozen=True)
class Fitted:
    """What a fit says of itself; a loaded network has forgotten it.

    Args:
        rows: that trained.
        of_rows: rows that there were to train on.
        watching: rows of the validation side.
        shards: that they were cut into.
        batch_size: rows of a step of all shards together.
        rounds: that were made.
        best_round: after which the weights are those of the network, from 1.
        losses: mean on the validation side after each round.
        rows_are: which they are, if not all.
    """

    rows: int
    of_rows: int
    watching: int
    shards: int
    batch_size: int
    rounds: int
    best_round: int
    losses: tuple[float, ...]
    rows_are: str


class Network:
    """A fitted network."""

    FILE = WEIGHTS

    def __init__(
        self, architecture: Architecture, weights: Arrays, fitted: Fitted | None = None
    ) -> None:
        """Hold an architecture and its weights by name."""
        self.architecture = architecture
        self.columns = architecture.columns
        self.weights = weights
        self._fitted = fitted

    def predict(self, spark: SparkSession | None, rows: pa.Table) -> Answer:
        """Predict rows in this process."""
        import torch

        said = [np.empty((0, self.architecture.outputs))]
        with process(NetworkSettings()) as device, torch.no_grad():
            named = {name: torch.tensor(a, device=device) for name, a in self.weights.items()}
            at_once = self.architecture.at_once
            for start in range(0, rows.num_rows, at_once):
                seen, places = (
                    torch.tensor(array, device=device)
                    for array in self.architecture.encoded(rows.slice(start, at_once))
                )
                given = forward(self.architecture, named, seen, places).double()
                if self.architecture.kind == "classes":
                    given = given.softmax(dim=1)
                said.append(given.cpu().numpy())
        values = np.concatenate(said)
        if self.architecture.kind == "classes":
            return Answer(values.argmax(axis=1), values)
        return Answer(values[:, 0] * self.architecture.scale + self.architecture.center)

    def save(self, folder: Path) -> None:
        """The network as one file."""
        (folder / WEIGHTS).write_bytes(self.content())

    def content(self) -> bytes:
        """The file that `save` writes."""
        return packed(self.weights, {"architecture": self.architecture.model_dump(mode="json")})

    def facts(self) -> dict[str, Any]:
        """How large the network is, how many rows it has seen, and how the fit went."""
        size = sum(array.size for array in self.weights.values())
        return {"weights": size, **(asdict(self._fitted) if self._fitted else {})}

    @classmethod
    def parse(cls, content: bytes, columns: tuple[str, ...]) -> Network:
        """The network that a file of its own holds.

        Raises:
            InputError: it was damaged, or is of another network or other columns.
        """
        check_installed()
        weights, about = unpacked(content)
        try:
            architecture = Architecture.model_validate(about["architecture"])
        except (KeyError, ValidationError) as error:
            raise InputError(f"{WEIGHTS} says of no network what it is: {error}.") from None
        found = {name: array.shape for name, array in weights.items()}
        if found != architecture.shapes() or architecture.columns != columns:
            raise InputError(f"{WEIGHTS} is of another network than it says, or of other columns.")
        return cls(architecture, weights)


def check_installed() -> None:
    """Find torch and safetensors, which the extra `torch` brings.

    Raises:
        SetupError: one of them is missing.
    """
    from importlib.util import find_spec

    from beatlake.resources import checkout

    if missing := [name for name in ("torch", "safetensors") if find_spec(name) is None]:
        raise SetupError(
            f"Networks need the extra torch; these packages are missing: {', '.join(missing)}.",
            "make torch" if checkout() else "pip install 'beatlake[torch]'",
        )


def fit(
    spark: SparkSession,
    name: str,
    kind: str,
    fold: Fold,
    parameters: Parameters,
    seed: int,
    records: Records | None = None,
) -> Network:
    """Fit on a fold.

    Args:
        spark: writes the shards, and trains on them unless the strategy is `single`.
        name: of the network.
        kind: classes or number.
        fold: whose validation rows decide when to stop, where ``early_stopping_rounds`` is set.
        parameters: of the task.
        seed: of the first weights, the order of rows and dropout.
        records: of a training that was stopped, which goes on from its last round.

    Raises:
        ConfigError: a parameter is not known, this Spark cannot run so many processes at once, or
            the device that is asked for is not there.
        InputError: nothing is left to train on, or the training diverged.
        SetupError: torch is not installed.
    """
    check_installed()
    settings = settled(name, parameters)
    if settings.strategy == "data_parallel":
        check_slots(spark, settings.strategy, settings.workers, "Take strategy: federated.")
    check_device(spark, settings)
    architecture = Architecture.of(
        name, kind, fold.columns, fold.categories, len(fold.classes), settings, fold.image
    )
    folder = fold.path.with_suffix(".shards")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        shards = spool(
            spark,
            fold,
            architecture,
            folder,
            settings.shards,
            sample=settings.sample,
        )
        if kind == "number":
            architecture = architecture.model_copy(update=_spread(shards))
        if name == "torch_pooled":
            architecture = architecture.model_copy(update=_scales(shards))
        learning = Learning(architecture, settings, seed)
        record = _record(learning, shards, records)
        first = State(architecture.initial(seed))
        state = train(spark, learning, shards, record.find() or first, record)
        record.forget()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Network(architecture, state.best, _fitted(fold, shards, settings, state))


def _spread(shards: list[Shard]) -> Mapping[str, float]:
    """Mean and standard deviation of the labels that train, joined in the shards' order."""
    whole = Moments()
    for shard in shards:
        whole = whole.joined(Moments(shard.rows, shard.mean, shard.squares))
    return {"center": whole.mean, "scale": (whole.squares / whole.count) ** 0.5 or 1.0}


def _scales(shards: list[Shard]) -> Mapping[str, tuple[float, ...]]:
    """Mean and standard deviation of each number of the rows that train, in the shards' order."""
    whole = Moments()
    for shard in shards:
        for rows in shard.training.chunks():
            whole = whole.joined(Moments.of(rows.numbers.astype(np.float64)))
    spread = np.sqrt(whole.squares / whole.count)
    means = tuple(np.asarray(whole.mean).tolist())
    return {"means": means, "spreads": tuple(np.where(spread > 0, spread, 1.0).tolist())}


def _record(learning: Learning, shards: list[Shard], records: Records | None) -> Record:
    if records is None or records.folder is None:
        return Record()
    return Record.of(
        records.folder,
        {
            "shared": dict(records.origin),
            "rows": [shard.sha256 for shard in shards],
            "architecture": learning.architecture.model_dump(mode="json"),
            "settings": learning.settings.model_dump(mode="json"),
            "seed": learning.seed,
        },
    )


def _fitted(fold: Fold, shards: list[Shard], settings: NetworkSettings, state: State) -> Fitted:
    rows_are = "those in the first buckets of a hash of their groups"
    if settings.strata:
        rows_are += f", of each {settings.strata} by itself"
    return Fitted(
        rows_of(shards),
        fold.rows,
        sum(shard.watching for shard in shards),
        len(shards),
        settings.step_rows(rows_of(shards)),
        state.rounds,
        state.best_round,
        state.losses,
        rows_are,
    )

"""What a task may say about a network and how it is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from beatlake.config import ConfigError
from beatlake.learn.algorithms import Range
from beatlake.learn.estimators.answer import Parameters, refuse_unknown
from beatlake.learn.folds import CLASS

#: Parameters that not every network has, by network.
_OWN: dict[str, tuple[str, ...]] = {
    "torch_mlp": ("hidden", "dropout", "embedding"),
    "torch_resnet": ("width", "blocks", "expansion", "dropout", "embedding"),
    "torch_pooled": (),
    "torch_cnn": ("channels", "masked", "dropout", "shrink"),
    "torch_cnn_published": ("dropout", "shrink"),
}
NAMES = tuple(_OWN)
#: Rows of a step, for tables of so many rows at most: those that Gorishniy et al. 2021, "Revisiting
#: Deep Learning Models for Tabular Data", take for tables of such lengths.
_STEPS = {256: 50_000, 512: 100_000, 1024: math.inf}
#: Defaults of one network. The published one was trained by Adam, at the rate that is the default
#: of all, for 10 epochs; its batches are those that Keras makes by default.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "torch_pooled": {"epochs": 100, "batch_size": 64, "learning_rate": 0.003, "dropout": 0.0},
    "torch_cnn": {"batch_size": 32, "learning_rate": 0.002, "dropout": 0.3},
    "torch_cnn_published": {
        "epochs": 10,
        "batch_size": 32,
        "schedule": "constant",
        "weight_decay": 0.0,
        "dropout": 0.5,
    },
}


class NetworkSettings(BaseModel):
    """A network and its training; every default works.

    These are of networks on tables; `settled` knows those of the others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: tuple[int, ...] = Field((256, 128), description="Units of each hidden layer.")
    width: int = Field(128, ge=1, le=4096, description="Units between blocks.")
    blocks: int = Field(3, ge=1, le=64)
    expansion: float = Field(2.0, gt=0, le=16, description="Units within a block, by the width.")
    dropout: float = Field(0.1, ge=0, lt=1)
    embedding: int = Field(16, ge=1, le=1024, description="Numbers that stand for a category.")
    channels: tuple[PositiveInt, ...] = Field(
        (16, 32, 64, 128), min_length=1, description="Convolutions of each block."
    )
    masked: float = Field(
        0.2, ge=0, le=1, description="Share of bands, and of frames, that training hides at most."
    )
    shrink: tuple[PositiveInt, PositiveInt] = Field(
        (1, 1), description="Bands, and frames, of which an image's mean is taken first."
    )
    epochs: int = Field(30, ge=1, description="Passes over the rows, at most.")
    batch_size: int | None = Field(
        None,
        ge=1,
        description="Rows of a step, which workers share; by default 256, 512 or 1,024, as rows"
        " that train are up to 50,000, up to 100,000 or more.",
    )
    learning_rate: float = Field(0.001, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = Field(0.00001, ge=0)
    early_stopping_rounds: int | None = Field(
        None, ge=1, description="Rounds without a lower loss on the validation side."
    )
    strategy: Literal["single", "federated", "data_parallel"] = "single"
    workers: int = Field(2, ge=1, description="Shards of the rows; `single` has one.")
    local_epochs: int = Field(1, ge=1, description="Epochs of a federated round.")
    sample: float = Field(1.0, gt=0, le=1, description="Share of the groups that are taken.")
    strata: str | None = Field(
        None,
        description=f"Slice of the task, or `{CLASS}`, of which each value is sampled by itself.",
    )
    threads: int = Field(1, ge=1, description="Of each process; another number, other last digits.")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    mixed_precision: bool = Field(True, description="Half the digits, where the device is faster.")

    @field_validator("hidden", "channels", mode="before")
    @classmethod
    def _layers(cls, given: Any) -> Any:
        return (given,) if isinstance(given, int) else given

    @model_validator(mode="after")
    def _some_units(self) -> NetworkSettings:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError("hidden layers have a unit each at least")
        return self

    @property
    def shards(self) -> int:
        """Into how many the rows are cut."""
        return 1 if self.strategy == "single" else self.workers

    @property
    def round_epochs(self) -> int:
        """Epochs between two looks at the validation side."""
        return self.local_epochs if self.strategy == "federated" else 1

    @property
    def rounds(self) -> int:
        """How many there are at most; the last one may be cut short by the epochs."""
        return -(-self.epochs // self.round_epochs)

    def step_rows(self, rows: int) -> int:
        """Rows of a step of all workers together, where so many train.

        >>> [NetworkSettings().step_rows(rows) for rows in (50_000, 50_001, 1_000_000)]
        [256, 512, 1024]
        """
        return self.batch_size or next(step for step, most in _STEPS.items() if rows <= most)

    def epochs_of(self, round_: int) -> range:
        """The epochs of a round, both from 0.

        >>> NetworkSettings(epochs=5, local_epochs=2, strategy="federated").epochs_of(2)
        range(4, 5)
        """
        first = round_ * self.round_epochs
        return range(first, min(first + self.round_epochs, self.epochs))


def known(name: str) -> frozenset[str]:
    """The parameters of a network."""
    of_some = {parameter for own in _OWN.values() for parameter in own}
    return frozenset(NetworkSettings.model_fields) - (of_some - set(_OWN[name]))


def settled(name: str, parameters: Parameters) -> NetworkSettings:
    """The parameters of a network as they hold.

    Raises:
        ConfigError: one is not known, or a value is none that it can have; every one is named.
    """
    refuse_unknown(name, parameters, known(name))
    try:
        return NetworkSettings.model_validate({**_DEFAULTS.get(name, {}), **parameters})
    except ValidationError as error:
        problems = [
            ": ".join([".".join(map(str, p["loc"])), p["msg"]]).removeprefix(": ")
            for p in error.errors()
        ]
        raise ConfigError(f"Parameters of {name}: {'; '.join(problems)}.") from None


def check(name: str, kind: str, parameters: Parameters, searched: Mapping[str, Any]) -> None:
    """Find every parameter of a network, and every value that is searched over.

    Raises:
        ConfigError: naming each that is not known or cannot be.
    """
    if settled(name, parameters).strata == CLASS and kind != "classes":
        raise ConfigError(f"{name} can sample classes by themselves, and the label is a number.")
    refuse_unknown(name, searched, known(name))
    for key, values in searched.items():
        for value in (values.low, values.high) if isinstance(values, Range) else values:
            settled(name, {**parameters, key: value})

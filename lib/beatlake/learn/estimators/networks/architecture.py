"""Networks as functions of named weights: what is stored of one, and what its weights begin as.

What its layers are say `tabular`, for numbers and categories, and `imaging`, for images.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from beatlake.learn.algorithms import IMAGING
from beatlake.learn.estimators.answer import Array
from beatlake.learn.estimators.networks import imaging, tabular
from beatlake.learn.estimators.networks.settings import NetworkSettings

if TYPE_CHECKING:
    import pyarrow as pa

Arrays: TypeAlias = dict[str, Array]


class Architecture(BaseModel):
    """All of a network but its weights; it is stored as JSON.

    The columns of a category are 0 or 1, and of those of a row one is 1 at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    network: Literal[
        "torch_mlp", "torch_resnet", "torch_pooled", "torch_cnn", "torch_cnn_published"
    ]
    kind: Literal["classes", "number"]
    columns: tuple[str, ...] = Field(min_length=1)
    categories: tuple[tuple[str, ...], ...] = Field((), description="Columns of each category.")
    classes: int = Field(0, ge=0, description="How many there are; 0 for a number.")
    center: float = Field(0.0, description="Of a number: the mean of the training rows.")
    scale: float = Field(1.0, gt=0, description="Of a number: their standard deviation.")
    hidden: tuple[int, ...] = ()
    width: int = 0
    blocks: int = 0
    inner: int = Field(0, description="Units within a block.")
    embedding: int = Field(16, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    image: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description="Bands and frames of the image that the only column is."
    )
    shrink: tuple[PositiveInt, PositiveInt] = (1, 1)
    channels: tuple[PositiveInt, ...] = Field((), description="Convolutions of each block.")
    masked: float = Field(0.0, ge=0, le=1)
    means: tuple[float, ...] = Field((), description="Of pooled numbers, over training rows.")
    spreads: tuple[float, ...] = Field((), description="Their standard deviations.")

    @model_validator(mode="after")
    def _sees(self) -> Architecture:
        if (self.network in IMAGING) is (self.image is None):
            what = "numbers" if self.image is None else "an image"
            raise ValueError(f"{self.network} does not look at {what}")
        return self

    @classmethod
    def of(
        cls,
        name: str,
        kind: str,
        columns: tuple[str, ...],
        categories: tuple[tuple[str, ...], ...],
        classes: int,
        settings: NetworkSettings,
        image: tuple[int, int] | None = None,
    ) -> Architecture:
        """The network that settings ask for."""
        own: dict[str, dict[str, Any]] = {
            "torch_mlp": {"hidden": settings.hidden},
            "torch_resnet": {
                "width": settings.width,
                "blocks": settings.blocks,
                "inner": max(1, round(settings.width * settings.expansion)),
            },
            "torch_cnn": {"channels": settings.channels, "masked": settings.masked},
        }
        return cls.model_validate(
            {
                "network": name,
                "kind": kind,
                "columns": columns,
                "categories": categories,
                "classes": classes,
                "embedding": settings.embedding,
                "dropout": settings.dropout,
                "image": image,
                "shrink": settings.shrink,
                **own.get(name, {}),
            }
        )

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that are taken as numbers."""
        held = {column for category in self.categories for column in category}
        return tuple(column for column in self.columns if column not in held)

    @property
    def outputs(self) -> int:
        """Numbers that the last layer gives."""
        return self.classes if self.kind == "classes" else 1

    @property
    def _layers(self) -> Any:
        """The module that says what its layers are."""
        return tabular if self.image is None else imaging

    @property
    def at_once(self) -> int:
        """Rows that are computed at a time, where nothing is learnt."""
        return tabular.AT_ONCE if self.image is None else imaging.at_once(self)

    def encoded(self, rows: pa.Table | pa.RecordBatch) -> tuple[Array, Array]:
        """What the network is given of each row: numbers or bytes, and places of categories."""
        found: tuple[Array, Array] = self._layers.encoded(self, rows)
        return found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight, by name."""
        found: dict[str, tuple[int, ...]] = self._layers.shapes(self)
        return found

    def initial(self, seed: int) -> Arrays:
        """The weights that training starts from, the same for the same seed.

        Layers are even within 1 / sqrt(inputs), as torch's own are; embeddings are normal, with the
        variance 1 / width, so that they are as long as their width is.
        """
        random = np.random.Generator(np.random.Philox(seed))
        found: Arrays = {}
        bound = 1.0
        for name, shape in self.shapes().items():
            if name.startswith("category."):
                values = random.normal(0.0, shape[1] ** -0.5, shape)
            elif ".norm." in f".{name}":
                values = np.full(shape, float(name.endswith("weight")))
            else:
                # A bias follows the weight of its layer, and has its bound.
                bound = math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else bound
                values = random.uniform(-bound, bound, shape)
            found[name] = values.astype(np.float32)
        return found


def forward(
    architecture: Architecture, weights: Any, seen: Any, places: Any, training: bool = False
) -> Any:
    """What the last layer gives: margins of the classes, or the scaled number.

    Args:
        architecture: of the network.
        weights: tensors by name.
        seen: rows x numbers, or rows x bytes of an image.
        places: rows x categories.
        training: whether units are dropped, and parts of images masked.
    """
    if architecture.image is None:
        return tabular.forward(architecture, weights, seen, places, training)
    return imaging.forward(architecture, weights, seen, training)

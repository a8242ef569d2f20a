"""Networks on tables as functions of named weights: which there are, and what they compute.

A category is one number per row, which chooses a row of a table that is learnt (an embedding).

* ``torch_mlp``: layers of units, each ``dropout(relu(linear(x)))``, then a linear one.
* ``torch_resnet``: the residual network for tables of Gorishniy et al. 2021, "Revisiting Deep
  Learning Models for Tabular Data", section 3.2: blocks of
  ``x + dropout(linear(dropout(relu(linear(norm(x))))))``, then ``linear(relu(norm(x)))``. The norm
  is over a row's units (Ba et al. 2016, "Layer Normalization") and not over a batch's rows as in
  the paper, so that what a row gives does not depend on which others are beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from beatlake.learn.estimators.answer import column, matrix
from beatlake.learn.estimators.networks.settings import NetworkSettings

if TYPE_CHECKING:
    import pyarrow as pa

Array: TypeAlias = npt.NDArray[Any]
Arrays: TypeAlias = dict[str, Array]


class Architecture(BaseModel):
    """All of a network but its weights; it is stored as JSON.

    The columns of a category are 0 or 1, and of those of a row one is 1 at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    network: Literal["torch_mlp", "torch_resnet"]
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

    @classmethod
    def of(
        cls,
        name: str,
        kind: str,
        columns: tuple[str, ...],
        categories: tuple[tuple[str, ...], ...],
        classes: int,
        settings: NetworkSettings,
    ) -> Architecture:
        """The network that settings ask for."""
        given: dict[str, Any] = {"hidden": settings.hidden}
        if name == "torch_resnet":
            inner = max(1, round(settings.width * settings.expansion))
            given = {"width": settings.width, "blocks": settings.blocks, "inner": inner}
        return cls.model_validate(
            {
                "network": name,
                "kind": kind,
                "columns": columns,
                "categories": categories,
                "classes": classes,
                "embedding": settings.embedding,
                "dropout": settings.dropout,
                **given,
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

    def encoded(self, rows: pa.Table | pa.RecordBatch) -> tuple[Array, Array]:
        """Numbers (float32) and, for each category, the place of its value; 0 where it has none."""
        n = rows.num_rows
        places = np.zeros((n, len(self.categories)), dtype=np.int64)
        for i, category in enumerate(self.categories):
            best = np.zeros(n)
            for place, name in enumerate(category, 1):
                values = column(rows, name)
                # A resampler may have mixed two rows: the larger share counts.
                places[values > best, i] = place
                np.maximum(best, values, out=best)
        return matrix(rows, self.numbers, np.float32), places

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight, by name."""
        found: dict[str, tuple[int, ...]] = {}

        def linear(name: str, wide: int, out: int) -> int:
            found[f"{name}.weight"], found[f"{name}.bias"] = (out, wide), (out,)
            return out

        wide = len(self.numbers)
        for i, category in enumerate(self.categories):
            values = len(category) + 1
            held = min(self.embedding, values)
            found[f"category.{i}.weight"] = (values, held)
            wide += held
        if self.network == "torch_mlp":
            for i, units in enumerate(self.hidden):
                wide = linear(f"layer.{i}", wide, units)
        else:
            wide = linear("first", wide, self.width)
            for i in range(self.blocks):
                found[f"block.{i}.norm.weight"] = found[f"block.{i}.norm.bias"] = (wide,)
                linear(f"block.{i}.in", wide, self.inner)
                linear(f"block.{i}.out", self.inner, wide)
            found["norm.weight"] = found["norm.bias"] = (wide,)
        linear("last", wide, self.outputs)
        return found

    def initial(self, seed: int) -> Arrays:
        """The weights that training starts from, the same for the same seed.

        Linear layers are even within 1 / sqrt(inputs), as torch's own are; embeddings are normal,
        with the variance 1 / width, so that they are as long as their width is.
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
                bound = shape[1] ** -0.5 if len(shape) == 2 else bound
                values = random.uniform(-bound, bound, shape)
            found[name] = values.astype(np.float32)
        return found


def forward(
    architecture: Architecture, weights: Any, numbers: Any, places: Any, training: bool = False
) -> Any:
    """What the last layer gives: margins of the classes, or the scaled number.

    Args:
        architecture: of the network.
        weights: tensors by name.
        numbers: rows x numbers.
        places: rows x categories.
        training: whether units are dropped.
    """
    import torch
    from torch.nn import functional as f

    def linear(name: str, x: Any) -> Any:
        return f.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, x: Any) -> Any:
        return f.layer_norm(x, x.shape[1:], weights[f"{name}.weight"], weights[f"{name}.bias"])

    def dropped(x: Any) -> Any:
        return f.dropout(x, architecture.dropout, training)

    held = [
        f.embedding(places[:, i], weights[f"category.{i}.weight"])
        for i in range(len(architecture.categories))
    ]
    x = torch.cat([numbers, *held], dim=1) if held else numbers
    if architecture.network == "torch_mlp":
        for i in range(len(architecture.hidden)):
            x = dropped(f.relu(linear(f"layer.{i}", x)))
        return linear("last", x)
    x = linear("first", x)
    for i in range(architecture.blocks):
        inner = dropped(f.relu(linear(f"block.{i}.in", norm(f"block.{i}.norm", x))))
        x = x + dropped(linear(f"block.{i}.out", inner))
    return linear("last", f.relu(norm("norm", x)))

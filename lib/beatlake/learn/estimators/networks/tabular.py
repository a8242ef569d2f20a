"""Networks on tables: numbers, and categories as numbers that are learnt for each value.

* ``torch_mlp``: layers of units, each ``dropout(relu(linear(x)))``, then a linear one.
* ``torch_resnet``: the residual network for tables of Gorishniy et al. 2021, "Revisiting Deep
  Learning Models for Tabular Data", section 3.2: blocks of
  ``x + dropout(linear(dropout(relu(linear(norm(x))))))``, then ``linear(relu(norm(x)))``. The norm
  is over a row's units (Ba et al. 2016, "Layer Normalization") and not over a batch's rows as in
  the paper, so that what a row gives does not depend on which others are beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.learn.estimators.answer import Array, column, matrix

if TYPE_CHECKING:
    import pyarrow as pa

    from beatlake.learn.estimators.networks.architecture import Architecture

#: Rows that are computed at a time.
AT_ONCE = 8192


def encoded(of: Architecture, rows: pa.Table | pa.RecordBatch) -> tuple[Array, Array]:
    """Numbers (float32) and, for each category, the place of its value; 0 where it has none."""
    n = rows.num_rows
    places = np.zeros((n, len(of.categories)), dtype=np.int64)
    for i, category in enumerate(of.categories):
        best = np.zeros(n)
        for place, name in enumerate(category, 1):
            values = column(rows, name)
            # A resampler may have mixed two rows: the larger share counts.
            places[values > best, i] = place
            np.maximum(best, values, out=best)
    return matrix(rows, of.numbers, np.float32), places


def shapes(of: Architecture) -> dict[str, tuple[int, ...]]:
    """The shape of every weight, by name."""
    found: dict[str, tuple[int, ...]] = {}

    def linear(name: str, wide: int, out: int) -> int:
        found[f"{name}.weight"], found[f"{name}.bias"] = (out, wide), (out,)
        return out

    wide = len(of.numbers)
    for i, category in enumerate(of.categories):
        values = len(category) + 1
        held = min(of.embedding, values)
        found[f"category.{i}.weight"] = (values, held)
        wide += held
    if of.network == "torch_mlp":
        for i, units in enumerate(of.hidden):
            wide = linear(f"layer.{i}", wide, units)
    else:
        wide = linear("first", wide, of.width)
        for i in range(of.blocks):
            found[f"block.{i}.norm.weight"] = found[f"block.{i}.norm.bias"] = (wide,)
            linear(f"block.{i}.in", wide, of.inner)
            linear(f"block.{i}.out", of.inner, wide)
        found["norm.weight"] = found["norm.bias"] = (wide,)
    linear("last", wide, of.outputs)
    return found


def forward(of: Architecture, weights: Any, numbers: Any, places: Any, training: bool) -> Any:
    """What the last layer gives for rows x numbers, and rows x categories."""
    import torch
    from torch.nn import functional as f

    def linear(name: str, x: Any) -> Any:
        return f.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, x: Any) -> Any:
        return f.layer_norm(x, x.shape[1:], weights[f"{name}.weight"], weights[f"{name}.bias"])

    def dropped(x: Any) -> Any:
        return f.dropout(x, of.dropout, training)

    held = [
        f.embedding(places[:, i], weights[f"category.{i}.weight"])
        for i in range(len(of.categories))
    ]
    x = torch.cat([numbers, *held], dim=1) if held else numbers
    if of.network == "torch_mlp":
        for i in range(len(of.hidden)):
            x = dropped(f.relu(linear(f"layer.{i}", x)))
        return linear("last", x)
    x = linear("first", x)
    for i in range(of.blocks):
        inner = dropped(f.relu(linear(f"block.{i}.in", norm(f"block.{i}.norm", x))))
        x = x + dropped(linear(f"block.{i}.out", inner))
    return linear("last", f.relu(norm("norm", x)))

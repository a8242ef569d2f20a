"""Networks on images: bytes of bands x frames, a spectrogram's decibels, lowest 0 and highest 255.

* ``torch_pooled``: mean and standard deviation of each band over the frames, then one linear layer:
  logistic regression on pooled spectra. It knows how loud each band is, and nothing of order: the
  baseline of the others.
* ``torch_cnn``: blocks of ``relu(norm(maxima(convolution(x))))``, each of which halves both sides.
  What is left is pooled over the frames, by mean and by maximum, and over the bands in quarters,
  so that images of every shape fit; then a linear layer. The norm is over groups of an image's
  channels (Wu and He 2018, "Group Normalization"), so that what an image gives does not depend on
  which others are beside it. An image is taken without its own mean and spread, beside the place of
  its bands, which a convolution does not see (Liu et al. 2018, "An Intriguing Failing of
  Convolutional Neural Networks and the CoordConv Solution"). In training a stretch of bands and one
  of frames are masked (Park et al. 2019, "SpecAugment", without its warping).
* ``torch_cnn_published``: the reference, as it was published for spectrograms of 224 x 224: 32
  convolutions of 3 x 3, relu, maxima of 2 x 2, 64 units with relu, dropout, a linear layer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.learn.estimators.answer import Array, pixels

if TYPE_CHECKING:
    import pyarrow as pa

    from beatlake.learn.estimators.networks.architecture import Architecture

#: Of the published network.
_FILTERS, _UNITS = 32, 64
#: Parts that the bands are pooled into at the end.
_PARTS = 4
#: Groups of a norm, at most.
_GROUPS = 8
#: Bytes of the largest layer that are computed at a time, where nothing is learnt.
_LAYER = 64 << 20


def size(of: Architecture) -> tuple[int, int]:
    """Bands and frames that the network sees."""
    assert of.image is not None
    return of.image[0] // of.shrink[0], of.image[1] // of.shrink[1]


def at_once(of: Architecture) -> int:
    """Images that are computed at a time, so that the layers of a wide network stay small."""
    # Each block has a quarter of the pixels of the one before.
    wide = max((channels / 4**i for i, channels in enumerate(of.channels)), default=1)
    channels = _FILTERS if of.network == "torch_cnn_published" else wide
    return max(1, int(_LAYER / (math.prod(size(of)) * channels * 4)))


def encoded(of: Architecture, rows: pa.Table | pa.RecordBatch) -> tuple[Array, Array]:
    """What the network sees: bytes, made smaller by means; of pooled spectra numbers (float32)."""
    assert of.image is not None
    (name,) = of.columns
    found = pixels(rows, name, math.prod(of.image)).reshape(-1, *of.image)
    n, (bands, frames) = len(found), size(of)
    if of.shrink != (1, 1):
        high, wide = of.shrink
        whole = found[:, : bands * high, : frames * wide]
        means = whole.reshape(n, bands, high, frames, wide).mean(axis=(2, 4), dtype=np.float32)
        found = np.rint(means).astype(np.uint8)
    none = np.empty((n, 0), np.int64)
    if of.network == "torch_pooled":
        loud = found.astype(np.float32) / 255
        return np.concatenate([loud.mean(axis=2), loud.std(axis=2)], axis=1), none
    return found.reshape(n, -1), none


def shapes(of: Architecture) -> dict[str, tuple[int, ...]]:
    """The shape of every weight, by name."""
    found: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = shape, shape[:1]

    bands, frames = size(of)
    if of.network == "torch_pooled":
        layer("last", of.outputs, 2 * bands)
    elif of.network == "torch_cnn_published":
        layer("convolution", _FILTERS, 1, 3, 3)
        layer("dense", _UNITS, _FILTERS * ((bands - 2) // 2) * ((frames - 2) // 2))
        layer("last", of.outputs, _UNITS)
    else:
        seen = 2
        for i, channels in enumerate(of.channels):
            layer(f"block.{i}.convolution", channels, seen, 3, 3)
            layer(f"block.{i}.norm", channels)
            seen = channels
        layer("last", of.outputs, 2 * _PARTS * seen)
    return found


def forward(of: Architecture, weights: Any, seen: Any, training: bool) -> Any:
    """What the last layer gives for rows x bytes, or rows x pooled numbers."""
    import torch
    from torch.nn import functional as f

    def both(name: str) -> tuple[Any, Any]:
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    if of.network == "torch_pooled":
        means, spreads = (seen.new_tensor(values) for values in (of.means, of.spreads))
        return f.linear((seen - means) / spreads, *both("last"))
    x = seen.reshape(-1, 1, *size(of)).float() / 255
    if of.network == "torch_cnn_published":
        x = f.max_pool2d(f.relu(f.conv2d(x, *both("convolution"))), 2)
        x = f.relu(f.linear(x.flatten(1), *both("dense")))
        return f.linear(f.dropout(x, of.dropout, training), *both("last"))
    x = _with_places(_masked(_standard(x), of.masked) if training else _standard(x))
    # The CPU takes half the time where the norm is of the maxima, a quarter as many numbers, and
    # the channels of a pixel are side by side.
    x = x.contiguous(memory_format=torch.channels_last)
    for i, channels in enumerate(of.channels):
        x = f.conv2d(x, *both(f"block.{i}.convolution"), padding=1)
        # A side of one is not halved again.
        x = f.max_pool2d(x, tuple(min(2, side) for side in x.shape[2:]))
        x = f.relu(f.group_norm(x, _groups(channels), *both(f"block.{i}.norm")))
    by_band = [f.adaptive_avg_pool1d(over, _PARTS) for over in (x.mean(3), x.amax(3))]
    x = f.dropout(torch.cat(by_band, dim=1).flatten(1), of.dropout, training)
    return f.linear(x, *both("last"))


def _groups(channels: int) -> int:
    """Groups of a norm, of two channels at least: one pixel of one is nothing beside itself.

    >>> [_groups(channels) for channels in (4, 8, 12, 128)]
    [2, 4, 4, 8]
    """
    found = math.gcd(channels, _GROUPS)
    return found if channels > found else max(1, found // 2)


def _standard(x: Any) -> Any:
    """Images less their own mean, over their own spread; 0 where all of one is alike."""
    from torch.nn import functional as f

    return f.layer_norm(x, x.shape[1:])


def _with_places(x: Any) -> Any:
    """Images, and as a second channel how high each band lies, from -1 to 1."""
    import torch

    places = torch.linspace(-1, 1, x.shape[2], device=x.device)
    return torch.cat([x, places[None, None, :, None].expand_as(x)], dim=1)


def _masked(x: Any, share: float) -> Any:
    """Images, of each of which a stretch of bands and one of frames is 0, its mean."""
    import torch

    for side in (2, 3):
        drawn = torch.rand(2, len(x), 1, device=x.device)
        wide = drawn[0] * share
        start = drawn[1] * (1 - wide)
        place = (torch.arange(x.shape[side], device=x.device) + 0.5) / x.shape[side]
        hidden = (place >= start) & (place < start + wide)
        x = x.masked_fill(hidden[:, None, :, None] if side == 2 else hidden[:, None, None, :], 0.0)
    return x

"""Small images of sound whose truth is known: how loud a band is, or when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

BANDS, FRAMES = 16, 24
STYLES = ("fast", "slow")

TASK = """
name: sounds
question: Of which style a sound is.
table: {row_key: [id]}
entities: {recording: [id], artists: {columns: [artist]}}
label: {column: style}
features:
  groups:
    sound: {features: [{name: log_mel, form: image, shape: [16, 24]}]}
splits: {headline: artist, rungs: [artist]}
estimators:
  - {name: torch_pooled, parameters: {epochs: 20}}
"""


def rhythms(n: int, seed: int = 1) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images, and their styles: half of the frames are loud, every second one or three by three.

    So mean and deviation of each band are those of the noise alone, whatever the style.
    """
    random = np.random.default_rng(seed)
    style = random.integers(0, 2, n)
    beats = np.array([np.arange(FRAMES) % 2 == 0, np.arange(FRAMES) // 3 % 2 == 0])
    shift = random.integers(0, FRAMES, n)
    loud = np.array([np.roll(beats[s], by) for s, by in zip(style, shift, strict=True)])
    level = 90 + 60 * loud[:, None, :] + random.normal(0, 20, (n, BANDS, FRAMES))
    return np.clip(np.rint(level), 0, 255).astype(np.uint8), style


def bright(n: int, seed: int = 1) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images, and their styles: the upper bands are louder in one of them."""
    random = np.random.default_rng(seed)
    style = random.integers(0, 2, n)
    high = (np.arange(BANDS) >= BANDS // 2)[None, :, None]
    level = 110 + 12 * style[:, None, None] * high + random.normal(0, 30, (n, BANDS, FRAMES))
    return np.clip(np.rint(level), 0, 255).astype(np.uint8), style


def table(
    images: npt.NDArray[np.uint8], style: npt.NDArray[np.int64], artists: int = 40
) -> pa.Table:
    """Rows of a task's table: by artists of several recordings each."""
    n = len(images)
    return pa.table(
        {
            "id": [f"s{i:04d}" for i in range(n)],
            "artist": [f"Artist {i % artists}" for i in range(n)],
            "style": [STYLES[s] for s in style],
            "log_mel": pa.array([image.tobytes() for image in images], pa.binary()),
        }
    )


def fold(
    images: npt.NDArray[np.uint8], style: npt.NDArray[np.int64], folder: Path, **more: Any
) -> Any:
    """Rows as a fold; every tenth is of the validation side."""
    from beatlake.learn import folds

    n = len(images)
    rows = pa.table(
        {
            "row_id": [f"r{i:05d}" for i in range(n)],
            "side": np.where(np.arange(n) % 10 == 0, "valid", "train"),
            "label": style.astype(float),
            "log_mel": pa.array([image.tobytes() for image in images], pa.binary(BANDS * FRAMES)),
        }
    )
    made = {"watched": True, "classes": True, **more}
    return folds.write(
        rows, folder / "fold.parquet", columns=("log_mel",), image=(BANDS, FRAMES), **made
    )


def write(rows: pa.Table, place: Path) -> Path:
    """Write rows as a Parquet file, a few hundred to a row group."""
    pq.write_table(rows, place, row_group_size=200)
    return place

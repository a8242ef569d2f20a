"""Random numbers that depend on the seed and on what they are for, never on order or processes.

Two sources serve two needs. `stream` gives a numpy generator (Philox, counter based) for one named
purpose and one chunk. `hash64` and `uniform` give a value *per index*: the same recording gets the
same title whichever file, chunk or process asks for it. `Shuffle` is a permutation that needs no
memory: an affine map modulo the size.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def tag_of(name: str) -> int:
    """A stable number for a purpose's name (`hash` of a str differs between processes)."""
    return zlib.crc32(name.encode())


def stream(seed: int, purpose: str, chunk: int = 0) -> np.random.Generator:
    """The generator for one purpose and one chunk of it."""
    sequence = np.random.SeedSequence([seed, tag_of(purpose), chunk])
    return np.random.Generator(np.random.Philox(sequence))


def _mix_int(value: int) -> int:
    value = (value + int(_GOLDEN)) & _MASK
    value = ((value ^ (value >> 30)) * int(_MIX_1)) & _MASK
    value = ((value ^ (value >> 27)) * int(_MIX_2)) & _MASK
    return value ^ (value >> 31)


def hash64(index: Array, seed: int, purpose: str) -> Array:
    """64 well-mixed bits per index (splitmix64; a bijection of the index, so ids stay unique)."""
    key = np.uint64(_mix_int(_mix_int(seed & _MASK) ^ tag_of(purpose)))
    z = index.astype(np.uint64)
    z *= _GOLDEN
    z += key
    z ^= z >> np.uint64(30)
    z *= _MIX_1
    z ^= z >> np.uint64(27)
    z *= _MIX_2
    z ^= z >> np.uint64(31)
    return z


def uniform(index: Array, seed: int, purpose: str) -> Array:
    """A float64 in [0, 1) per index."""
    high: Array = hash64(index, seed, purpose) >> np.uint64(11)
    return high * 2.0**-53


def below(index: Array, bound: int, seed: int, purpose: str) -> Array:
    """An int64 in [0, bound) per index."""
    high = hash64(index, seed, purpose) >> np.uint64(32)
    result: Array = ((high * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)
    return result


@dataclass(frozen=True)
class Shuffle:
    """A permutation of range(size): position -> (position * step + start) mod size."""

    size: int
    step: int
    start: int

    @classmethod
    def of(cls, size: int, seed: int, purpose: str) -> Shuffle:
        """The permutation for one purpose; its step is near size times a random fraction."""
        if size < 2:
            return cls(size, 1, 0)
        mixed = _mix_int(_mix_int(seed & _MASK) ^ tag_of("shuffle " + purpose))
        step = max(1, int(size * (0.3 + 0.4 * ((mixed >> 20) % 100_003) / 100_003)))
        while math.gcd(step, size) != 1:
            step += 1
        return cls(size, step % size or 1, mixed % size)

    def __call__(self, position: Array) -> Array:
        """The permuted places of the given positions."""
        return (position.astype(np.int64) * self.step + self.start) % max(self.size, 1)


def partition(total: int, parts: int, sigma: float, rng: np.random.Generator) -> Array:
    """`parts` sizes of at least 1 that sum to `total` exactly, log-normally skewed by `sigma`."""
    weights = np.exp(sigma * np.clip(rng.standard_normal(parts), -3, 3))
    edges = np.floor(np.cumsum(weights) * ((total - parts) / weights.sum()) + 0.5).astype(np.int64)
    edges[-1] = total - parts
    result: Array = np.diff(edges, prepend=0) + 1
    return result

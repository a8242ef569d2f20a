"""Weights as safetensors: a header of JSON and plain numbers, no code; read without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from beatlake.errors import InputError
from beatlake.learn.estimators.networks.architecture import Arrays

_ABOUT = "beatlake"
#: Where the header's length could be taken for the first bytes of a pickle.
_PICKLE = 0x80


def packed(arrays: Arrays, about: Mapping[str, Any]) -> bytes:
    """Arrays by name, and what is said about them, as the bytes of a safetensors file."""
    from safetensors.numpy import save

    whole = {**about, "sha256": digest(arrays)}
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps(whole, sort_keys=True)
    content = bytes(save(contiguous, {_ABOUT: text}))
    if content[0] == _PICKLE:
        # JSON may be followed by white space, which makes the header longer.
        content = bytes(save(contiguous, {_ABOUT: f"{text}        "}))
    return content


def unpacked(content: bytes) -> tuple[Arrays, dict[str, Any]]:
    """What `packed` was given.

    Raises:
        InputError: the bytes are not of it, or were damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays: Arrays = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about: dict[str, Any] = json.loads(header["__metadata__"][_ABOUT])
        sha256 = about.pop("sha256")
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"These are no weights of beatlake: {error}.") from None
    if sha256 != digest(arrays):
        raise InputError("These weights were damaged: their hash is another.")
    return arrays, about


def digest(arrays: Arrays) -> str:
    """A hash of arrays by name, whatever their order."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name}\0{array.dtype}\0{array.shape}\0".encode())
        found.update(array.tobytes())
    return found.hexdigest()

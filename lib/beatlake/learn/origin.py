"""What made a model: an identifier, the version of the code, and those of the libraries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from uuid import uuid4

from beatlake import __version__
from beatlake.resources import Traversable

#: Libraries whose versions a manifest names.
_LIBRARIES = (
    "duckdb",
    "imbalanced-learn",
    "numpy",
    "pyarrow",
    "pyspark",
    "safetensors",
    "scikit-learn",
    "scipy",
    "torch",
    "xgboost",
    "xgboost-cpu",
)


def identifier() -> str:
    """A new identifier of a training or evaluation, which sorts by time."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"


@cache
def code_version() -> str:
    """The package's version and the first digits of a hash of the code that makes models."""
    digest = hashlib.sha256()
    for name, content in sorted(_contents("", files("beatlake.learn"))):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _contents(name: str, node: Traversable) -> Iterator[tuple[str, bytes]]:
    if node.is_file():
        if name.endswith(".py"):
            yield name, node.read_bytes()
        return
    for child in node.iterdir():
        yield from _contents(f"{name}/{child.name}", child)


def libraries() -> dict[str, str]:
    """Versions of the libraries that decide what a model is."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

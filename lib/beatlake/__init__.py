"""Music catalogue files in, documented Delta tables out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from beatlake.reading import OpenLake

__version__ = "0.1.0"


def open(path: str | os.PathLike[str], release: int | None = None) -> OpenLake:
    """The lake under ``path``, pinned to its newest release or to release number ``release``.

    Raises:
        NoReleaseError: the lake has no release, or not that one.
    """
    from beatlake.reading import open_lake

    return open_lake(path, release)

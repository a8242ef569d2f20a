"""Where beatlake's own files are: in a wheel, in a zip archive or in a checkout."""

import os
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

if sys.version_info >= (3, 11):
    from importlib.resources.abc import Traversable
else:
    from importlib.abc import Traversable

__all__ = ["Traversable", "cache_dir", "checkout", "conf_path", "read_conf"]


@cache
def checkout() -> Path | None:
    """The root of the checkout that this package runs from, or None for an installed one."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "lib").is_dir() else None


def conf_path(*names: str) -> Traversable:
    """A file or folder under `conf/`.

    Raises:
        FileNotFoundError: There is no such file; the message names the folder searched.

    >>> conf_path("spark", "session.conf").name
    'session.conf'
    """
    root: Traversable = files("beatlake").joinpath("conf")
    if not root.is_dir() and (above := checkout()):
        root = above / "conf"
    found = root.joinpath(*names) if names else root
    if not (found.is_file() or found.is_dir()):
        raise FileNotFoundError(f"beatlake has no conf/{'/'.join(names)}: looked in {root}")
    return found


def read_conf(*names: str) -> str:
    """The text of a file under `conf/`, as UTF-8."""
    return conf_path(*names).read_text(encoding="utf-8")


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where beatlake keeps what it can fetch or make again.

    `BEATLAKE_CACHE`, else `.cache/beatlake` of the checkout, else the user's cache directory
    (`XDG_CACHE_HOME` or `~/.cache`).

    >>> cache_dir({"BEATLAKE_CACHE": "/var/cache/lake"}).as_posix()
    '/var/cache/lake'
    """
    if chosen := environ.get("BEATLAKE_CACHE"):
        return Path(chosen).absolute()
    if root := checkout():
        return root / ".cache" / "beatlake"
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "beatlake"

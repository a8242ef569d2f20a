"""Asking this machine, and a look at what a cache holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beatlake.config import PreviewSettings
from beatlake.sound.cache import Cache
from beatlake.sound.fetching import fetch
from beatlake.sound.outcomes import Fetched

QUICK = {
    "fetch": True,
    "contact": "test@example.org",
    "networks": ["127.0.0.1/32"],
    "requests_per_s": 1000,
    "retries": 1,
    "backoff_s": 0.01,
    # Long enough for a machine that has much else to do.
    "connect_timeout_s": 20,
    "read_timeout_s": 20,
    "total_s": 60,
}


def told(**changes: Any) -> PreviewSettings:
    """Settings that wait for next to nothing between requests."""
    return PreviewSettings.model_validate(QUICK | changes)


def one(address: str, cache: Cache, **changes: Any) -> Fetched:
    """What comes of one address."""
    [fetched] = fetch([address], told(**changes), cache)
    assert fetched.address == address
    return fetched


def stored(cache: Cache) -> list[Path]:
    """Files of content, and what was left on the way to them."""
    return [
        path
        for path in cache.root.rglob("*")
        if path.is_file() and path.relative_to(cache.root).parts[0] not in ("records", "hosts")
    ]

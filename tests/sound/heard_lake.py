"""A lake of a few released recordings, for tests of what is made of their previews."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from beatlake import releases
from beatlake.commits import Stamp
from beatlake.lake import Lake
from beatlake.releases import Release, ReleasedTable
from beatlake.tables import registry

RECORDINGS = registry.table("silver.recordings")
_ZERO = {"string": "unknown", "boolean": False, "bigint": 0, "array<string>": []}


def digits(isrc: str) -> str:
    """The 40 digits of a recording's preview."""
    return hashlib.sha1(isrc.encode()).hexdigest()


def url(isrc: str) -> str:
    """The address of a recording's preview, as the data has them."""
    return f"https://p.scdn.co/mp3-preview/{digits(isrc)}?cid=774b29d4f13844c495f206cafdad9c86"


def recording(isrc: str, artist: str, preview_url: str | None) -> dict[str, Any]:
    """One row of silver.recordings, which is known from Spotify."""
    row = {c.name: _ZERO.get(c.type) for c in RECORDINGS.columns if not c.nullable}
    spotify = {"has_spotify": True, "n_spotify_tracks": 1}
    return {
        **row, **spotify, "isrc": isrc, "artist_keys": [artist], "preview_url": preview_url
    }  # fmt: skip


def publish(root: Path, rows: list[dict[str, Any]], number: int = 1) -> Lake:
    """Release recordings."""
    lake = Lake(root)
    made = lake.record(RECORDINGS, rows, Stamp("run", "recordings", "key", "0"), "overwrite")
    table = ReleasedTable(
        path="silver/recordings",
        version=made.version,
        rows=made.rows,
        stage="recordings",
        stage_key="key",
        run_id="run",
        files=lake.files(RECORDINGS.name, made.version),
    )
    release = Release(
        release=number,
        kind="run",
        run_id="run",
        identity=f"identity-{number}",
        published_at="2023-08-24T09:27:00+00:00",
        code_version="0",
        inputs={},
        absent=[],
        settings={},
        tables={RECORDINGS.name: table},
    )
    releases.save(lake, release)
    return lake

"""Where the audio of sampled recordings is: in a folder, or in the cache of what was fetched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from beatlake import resources
from beatlake.config import ConfigError, PreviewSettings
from beatlake.errors import InputError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Of several files of one recording the first of these is taken, the lossless before the others.
ENDINGS = (".flac", ".wav", ".ogg", ".mp3")


def find(db: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """`found`: the file of each sampled recording, by preview or ISRC, where there is one.

    Raises:
        InputError: there is no such folder, or no file in it is of a recording of the sample.
    """
    db.register("given", listed(folder))
    db.execute(
        """
        CREATE TABLE files AS SELECT stem, arg_min(struct_pack(file, path, outcome, reason),
            struct_pack(rank, file)) AS first FROM given GROUP BY stem;
        CREATE TABLE found AS SELECT isrc, preview_url, unnest(coalesce(p.first, i.first))
            FROM sample LEFT JOIN files AS p ON p.stem = digits
            LEFT JOIN files AS i ON i.stem = lower(isrc)
        """
    )
    db.unregister("given")
    ((fitting,),) = db.execute("SELECT count(file) FROM found").fetchall()
    if not fitting:
        raise InputError(
            f"No file in {folder} is of a recording of the sample: audio is named by the 40 digits"
            f" of the preview's address or by ISRC, and ends in {', '.join(ENDINGS)}."
        )


def fetched(db: duckdb.DuckDBPyConnection, settings: PreviewSettings) -> None:
    """`found`: the file of each sampled recording in the cache, fetched where it is not there."""
    import pyarrow as pa

    from beatlake.sound.cache import Cache
    from beatlake.sound.fetching import fetch

    if not settings.fetch:
        raise ConfigError(
            "Name a folder of audio with --from FOLDER. Or have previews fetched: --set"
            " previews.fetch=true --set previews.contact=YOUR_ADDRESS"
        )
    cache = Cache(settings.cache or resources.cache_dir() / "previews")
    query = "SELECT DISTINCT preview_url FROM sample WHERE preview_url IS NOT NULL ORDER BY 1"
    addresses = [address for (address,) in db.execute(query).fetchall()]
    told = [
        {
            "preview_url": got.address,
            "file": got.sha256,
            "path": None if got.sha256 is None else str(cache.path(got.sha256).absolute()),
            "outcome": None if got.outcome == "ok" else got.outcome,
            "reason": got.reason,
        }
        for got in fetch(addresses, settings, cache)
    ]
    names = ("preview_url", "file", "path", "outcome", "reason")
    db.register("given", pa.Table.from_pylist(told, pa.schema([(n, pa.string()) for n in names])))
    db.execute(
        "CREATE TABLE found AS SELECT isrc, preview_url, file, path, outcome, reason"
        " FROM sample LEFT JOIN given USING (preview_url)"
    )
    db.unregister("given")


def listed(folder: Path) -> pa.Table:
    """The audio files of a folder: stem, file, path, rank among files of one stem, and outcome.

    Stems are in lower case. A link that leads out of the folder is refused, and not followed.

    Raises:
        InputError: there is no such folder.
    """
    import pyarrow as pa

    root = os.path.realpath(folder)
    found: list[dict[str, object]] = []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                stem, ending = os.path.splitext(entry.name.lower())
                if ending not in ENDINGS or not entry.name.isprintable():
                    continue
                inside = not entry.is_symlink() or os.path.realpath(entry.path).startswith(
                    os.path.join(root, "")
                )
                found.append(
                    {
                        "stem": stem,
                        "file": entry.name,
                        "path": entry.path if inside else None,
                        "rank": ENDINGS.index(ending),
                        "outcome": None if inside else "refused",
                        "reason": None if inside else "A link leads out of the folder.",
                    }
                )
    except OSError as error:
        raise InputError(
            f"The folder of audio {folder} cannot be read: {error.strerror}."
        ) from error
    return pa.Table.from_pylist(
        found,
        pa.schema(
            [
                ("stem", pa.string()),
                ("file", pa.string()),
                ("path", pa.string()),
                ("rank", pa.int64()),
                ("outcome", pa.string()),
                ("reason", pa.string()),
            ]
        ),
    )

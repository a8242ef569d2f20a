"""When a file is known again without being read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from beatlake.config import IngestSettings
from beatlake.releases import InputFile, Release
from beatlake.runs.inputs import discover
from small_lake import required_files


def described(folder: Path, before: Release | None) -> tuple[dict[str, InputFile], list[str]]:
    """What a run notes of its input, and the files that it read for it."""
    inputs = discover(str(folder), IngestSettings())
    found = inputs.described(before)
    return found, [name for name in found if inputs.surveyed(name) is not None]


def test_a_file_is_read_again_unless_place_size_and_time_are_the_same(tmp_path: Path) -> None:
    first = required_files(tmp_path / "first")
    found, read = described(first, None)
    assert sorted(read) == sorted(found)
    release = Release(
        release=1,
        kind="run",
        run_id="",
        identity="",
        published_at="",
        code_version="",
        inputs=found,
        absent=[],
        settings={},
        tables={},
        figures={},
        accepted=[],
    )

    assert described(first, release) == (found, [])

    # A second drop of the same sizes and times, as an archive may hold it.
    second = tmp_path / "second"
    shutil.copytree(first, second)
    path = second / "audio_features.csv"
    at = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes().replace(b"0.1", b"0.2", 1))
    os.utime(path, ns=(at, at))
    changed, read = described(second, release)
    assert sorted(read) == sorted(found)
    assert changed["audio_features"].sha256 != found["audio_features"].sha256

    os.utime(first / "sp_track.csv", ns=(at + 1, at + 1))
    assert described(first, release)[1] == ["sp_track"]

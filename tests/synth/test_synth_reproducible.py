"""Same scale and seed, same bytes; another seed, other bytes; nothing left behind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from beatlake.synth import generate, writer


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_processes_do_not_change_the_bytes(tmp_path: Path) -> None:
    for processes in (1, 2):
        out = tmp_path / str(processes)
        generate(out, scale=0.0005, seed=3, processes=processes, progress=False)
    one, two = _hashes(tmp_path / "1"), _hashes(tmp_path / "2")
    assert len(one) == 22
    assert one == two


def test_the_size_of_chunks_does_not_change_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(tmp_path / "whole", scale=0.0005, seed=3, processes=1, progress=False)
    monkeypatch.setattr("beatlake.synth.generator.CHUNK_ROWS", 777)
    generate(tmp_path / "parts", scale=0.0005, seed=3, processes=1, progress=False)
    assert writer.CHUNK_ROWS > 777
    assert _hashes(tmp_path / "whole") == _hashes(tmp_path / "parts")


def test_another_seed_gives_other_files(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate(tmp_path / str(seed), scale=0.0005, seed=seed, processes=1, progress=False)
    one, two = _hashes(tmp_path / "1"), _hashes(tmp_path / "2")
    same = {name for name in one if one[name] == two[name]}
    assert same == {"bp_genre.csv", "bp_subgenre.csv", "bp_key.csv"}


def test_truth_names_every_file_with_its_hash(dirty: Path) -> None:
    truth = json.loads((dirty / "truth.json").read_text(encoding="utf-8"))
    found = _hashes(dirty)
    found.pop("truth.json")
    told = {entry["file"]: entry["sha256"] for entry in truth["files"].values()}
    assert told == found
    for entry in truth["files"].values():
        assert (dirty / entry["file"]).stat().st_size == entry["bytes"]


@pytest.mark.parametrize(("key", "value"), [("seed", -1), ("processes", 0), ("scale", 0.0)])
def test_impossible_arguments_are_refused(key: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=key):
        generate(tmp_path / "none", **{"progress": False, key: value})  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_nothing_of_its_scratch_is_held_when_it_is_done(tmp_path: Path) -> None:
    generate(tmp_path, scale=0.0002, seed=3, processes=1, progress=False)
    assert list(tmp_path.glob(".synth-*")) == []
    # A removed file takes room as long as it is mapped.
    assert str(tmp_path) not in Path("/proc/self/maps").read_text(encoding="utf-8")

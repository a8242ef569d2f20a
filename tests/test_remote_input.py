"""Files on an object store make the release that the same files make from a local directory."""

from __future__ import annotations

from pathlib import Path

import pytest

import beatlake
from beatlake import cli
from beatlake.lake import Lake
from object_store import object_store
from small_lake import IN_ORDER, Drop, hashes, run_arguments


@pytest.mark.full
def test_an_object_store_gives_the_same_release(
    first_drop: Drop, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    objects = {f"drop/{path.name}": path.read_bytes() for path in first_drop.folder.iterdir()}
    lake = tmp_path / "lake"
    with object_store(objects) as options:
        arguments = run_arguments(f"s3://key:secret@lake/drop{options}", lake, *IN_ORDER)
        assert cli.main(arguments) == 0
        assert hashes(beatlake.open(lake)) == hashes(beatlake.open(first_drop.lake))
        capfd.readouterr()
        assert cli.main(arguments) == 0
    said = capfd.readouterr()
    assert "Nothing to do" in said.out + said.err
    [run] = Lake(lake).open("ops.runs").to_pyarrow_table().to_pylist()
    assert run["input_directory"].startswith("s3://")
    assert "secret" not in str(run)

"""The tiny lake, built once and copied for each test."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from tiny_lake import BY_YEAR, GENRE, GENRES, LABEL, LABELS, YEARS, TinyLake

from beatlake.lake import Lake


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> TinyLake:
    """The lake that every test gets a copy of."""
    root = tmp_path_factory.mktemp("built") / "lake"
    tiny = TinyLake(root, Lake(root))
    rule = pa.schema([("run_id", pa.string()), ("table", pa.string())])
    tiny.write("gold.by_genre", GENRE, GENRES)
    tiny.write("silver.labels", LABEL, LABELS)
    tiny.write("ops.quality", rule, [])
    tiny.write("gold.by_year", BY_YEAR, YEARS[1])
    others = {"gold.by_genre": 0, "silver.labels": 0, "ops.quality": 0}
    tiny.publish(1, {"gold.by_year": 0, **others}, "2024-02-28T12:00:00+00:00")
    tiny.write("gold.by_year", BY_YEAR, YEARS[2])
    tiny.publish(2, {"gold.by_year": 1, **others}, "2024-02-29T12:00:00+00:00")
    tiny.write("gold.by_year", BY_YEAR, [(1999, False, 0, None, Decimal(0))])
    return tiny


@pytest.fixture
def tiny(built: TinyLake, tmp_path: Path) -> TinyLake:
    """A lake that a test may change."""
    root = tmp_path / "the lake's copy"
    shutil.copytree(built.root, root)
    return TinyLake(root, Lake(root))

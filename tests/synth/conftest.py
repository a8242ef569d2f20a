"""One clean and one defective set of files for all tests, and DuckDB to look at them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from beatlake.synth import generate

CLEAN_SCALE = 0.005
DIRTY_SCALE = 0.002


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "clean"
    generate(folder, scale=CLEAN_SCALE, seed=7, clean=True, processes=1, progress=False)
    return folder


@pytest.fixture(scope="session")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "dirty"
    generate(folder, scale=DIRTY_SCALE, seed=7, processes=1, progress=False)
    return folder


@pytest.fixture(scope="session")
def truth(clean: Path) -> dict[str, Any]:
    return dict(json.loads((clean / "truth.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def database(clean: Path) -> duckdb.DuckDBPyConnection:
    """Every clean file as a table of texts, read with explicit options."""
    connection = duckdb.connect()
    for path in sorted(clean.glob("*.csv")):
        with path.open("rb") as file:
            names = file.readline().decode().strip().split(",")
        columns = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
        connection.execute(
            f"CREATE TABLE {path.stem} AS FROM read_csv('{path}', header = true, delim = ',', "
            f"quote = '\"', escape = '\"', columns = {{{columns}}}, auto_detect = false, "
            "nullstr = '', allow_quoted_nulls = false, strict_mode = true)"
        )
    return connection


@pytest.fixture(scope="session")
def one(database: duckdb.DuckDBPyConnection) -> Callable[[str], Any]:
    """The single value of a query."""

    def query(sql: str) -> Any:
        row = database.execute(sql).fetchone()
        assert row is not None
        return row[0]

    return query

"""A process that reads some tables of a lake over and over, and writes down what it saw.

`python reader.py PATH LAKE FIGURES RECORD PAUSE`, where FIGURES is JSON that gives each table the
SQL expression whose value tells which drop of data it holds. Every line of RECORD is a read: the
release, where the path tells, and the value of each table; or the error. It goes on until it is
killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beatlake.reading import OpenLake

Figures = Mapping[str, str]


def through_open(lake: Path, figures: Figures, pause: float) -> dict[str, Any]:
    """`beatlake.open`, then one table after the other in DuckDB."""
    import beatlake

    return _through_duckdb(beatlake.open(lake), figures, pause)


def through_held(lake: Path, figures: Figures, pause: float) -> dict[str, Any]:
    """The same, but opened before the first read and never again."""
    return _through_duckdb(_held(lake), figures, pause)


@cache
def _held(lake: Path) -> OpenLake:
    import beatlake

    return beatlake.open(lake)


def _through_duckdb(opened: OpenLake, figures: Figures, pause: float) -> dict[str, Any]:
    from beatlake.reading.sql import explained

    seen = {}
    for name, figure in figures.items():
        # A relation is computed when it is fetched, which may be after its files are gone.
        with explained(opened):
            seen[name] = opened.table(name).duckdb().aggregate(figure).fetchall()[0][0]
        time.sleep(pause)
    return {"release": opened.release.release, "seen": seen}


def through_command(lake: Path, figures: Figures, pause: float) -> dict[str, Any]:
    """One `beatlake sql` that joins all tables, in a process of its own."""
    time.sleep(pause)
    joined = ", ".join(
        f"(SELECT {figure} AS f{number} FROM {name})"
        for number, (name, figure) in enumerate(figures.items())
    )
    command = ["sql", "--lake", str(lake), "--format", "json", f"SELECT * FROM {joined}"]
    done = subprocess.run(
        [sys.executable, "-m", "beatlake.cli", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()}")
    row = json.loads(done.stdout)[0]
    return {"release": None, "seen": dict(zip(figures, row.values(), strict=True))}


def through_file(lake: Path, figures: Figures, pause: float) -> dict[str, Any]:
    """releases/current.json and delta-rs, without beatlake."""
    release = json.loads((lake / "releases" / "current.json").read_text(encoding="utf-8"))
    versions = {name: release["tables"][name]["version"] for name in figures}
    return {
        "release": release["release"],
        "seen": _through_delta(lake, figures, pause, versions),
    }


def through_heads(lake: Path, figures: Figures, pause: float) -> dict[str, Any]:
    """The newest Delta version of each table: what readers must not do."""
    return {"release": None, "seen": _through_delta(lake, figures, pause, {})}


def _through_delta(
    lake: Path, figures: Figures, pause: float, versions: Mapping[str, int]
) -> dict[str, Any]:
    import duckdb
    from deltalake import DeltaTable

    connection = duckdb.connect()
    seen = {}
    for name, figure in figures.items():
        table = DeltaTable(lake / name.replace(".", "/"), version=versions.get(name))
        connection.register("rows", table.to_pyarrow_table())
        seen[name] = connection.execute(f"SELECT {figure} FROM rows").fetchall()[0][0]
        time.sleep(pause)
    return seen


def through_spark(lake: Path, figures: Figures, pause: float) -> dict[str, Any]:
    """The views that an opened lake gives one long-lived Spark session."""
    import beatlake
    from beatlake.session import SparkSettings, session

    spark = session(SparkSettings(cores=1, memory="1g", shuffle_partitions=1))
    opened = beatlake.open(lake)
    views = opened.spark_views(spark, figures)
    seen = {}
    for name, view in zip(figures, views, strict=True):
        seen[name] = spark.sql(f"SELECT {figures[name]} FROM {view}").collect()[0][0]
        time.sleep(pause)
    return {"release": opened.release.release, "seen": seen}


PATHS: Mapping[str, Callable[[Path, Figures, float], dict[str, Any]]] = {
    "open": through_open,
    "held": through_held,
    "command": through_command,
    "file": through_file,
    "heads": through_heads,
    "spark": through_spark,
}


def main(path: str, lake: str, figures: str, record: str, pause: str) -> None:
    """Read until killed."""
    with Path(record).open("a", encoding="utf-8") as stream:
        while True:
            try:
                read = PATHS[path](Path(lake), json.loads(figures), float(pause))
            except Exception as error:
                read = {"error": f"{type(error).__name__}: {error}"}
            stream.write(json.dumps(read) + "\n")
            stream.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Every way of reading that docs/reading.md shows gives the release, and not the newer heads."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tiny_lake import GENRES, YEARS, TinyLake

import beatlake
from beatlake import cli
from beatlake.lake import Lake
from beatlake.reading.errors import ReadingError

PAGE = (Path(__file__).parents[2] / "docs" / "reading.md").read_text(encoding="utf-8")


def years(found: Sequence[Any]) -> list[str]:
    """Years as text, whatever a library makes of one that is null."""
    # Neither pandas' NA, which is no number, nor NaN is above 0.
    known = [str(int(y)) for y in found if isinstance(y, Real) and y > 0]
    return sorted(known + ["unknown"] * (len(found) - len(known)))


def years_of(frame: Any) -> list[str]:
    """The years in a frame of any kind."""
    if hasattr(frame, "fetchall"):
        return years([row[0] for row in frame.project("release_year").fetchall()])
    if hasattr(frame, "to_dict"):
        return years(list(frame["release_year"]))
    return years([row["release_year"] for row in frame.collect()])


RELEASED = years([row[0] for row in YEARS[2]])


@pytest.fixture
def shown(tiny: TinyLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyLake:
    """The tiny lake where the page has its lake; Polars wants a path without spaces."""
    root = tmp_path / "build" / "lake"
    shutil.copytree(tiny.root, root)
    monkeypatch.chdir(tmp_path)
    return TinyLake(root, Lake(root))


def test_every_python_block_reads_the_released_rows(
    spark: SparkSession, shown: TinyLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The page's own session would change the settings of the one that all tests share.
    monkeypatch.setattr("beatlake.session.session", lambda: spark)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    kinds = set()
    for block in blocks:
        names.pop("frame", None)
        exec(block, names)
        if "frame" in names:
            assert years_of(names["frame"]) == RELEASED, block
            kinds.add(type(names["frame"]).__module__.split(".")[0])
    assert names["rows"] == {"gold.by_year": len(YEARS[2]), "gold.by_genre": len(GENRES)}
    assert names["views"] == ["gold_by_year", "gold_by_genre"]
    assert kinds >= {"pandas", "polars", "pyspark"} and any("duckdb" in kind for kind in kinds)


def test_every_command_answers_from_a_release(
    shown: TinyLake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BEATLAKE_LAKE", "build/lake")
    commands = re.findall(r"^\$ \.venv/bin/beatlake (.+)$", PAGE, re.MULTILINE)
    answers = []
    for command in commands:
        assert cli.main(shlex.split(command)) == 0, command
        answers.append(capsys.readouterr().out.split())
    newest, first = answers
    assert {"2023", "6"} <= set(newest) and "1999" not in newest
    assert first[-1] == "2022"


def test_the_page_quotes_what_is_said_of_a_release_that_was_removed(shown: TinyLake) -> None:
    opened = beatlake.open("build/lake")
    (shown.root / "releases" / "2.json").unlink()
    with pytest.raises(ReadingError) as refused:
        opened.check_kept()
    assert f"```\n{refused.value}\n```" in PAGE


def test_spark_views_are_of_one_release_and_stay_at_it(spark: SparkSession, tiny: TinyLake) -> None:
    mine, other = spark.newSession(), spark.newSession()
    first = years([row[0] for row in YEARS[1]])
    all_views = ["gold_by_genre", "gold_by_year", "ops_quality", "silver_labels"]
    assert beatlake.open(tiny.root, 1).spark_views(mine) == all_views
    tiny.publish(3, {"gold.by_year": 2}, "2024-03-01T12:00:00+00:00")
    newest = beatlake.open(tiny.root)
    assert newest.spark_views(other, ["gold.by_year"]) == ["gold_by_year"]
    assert years_of(mine.table("gold_by_year")) == first
    assert years_of(other.table("gold_by_year")) == ["1999"]
    with pytest.raises(ReadingError, match=r"no table gold\.by_genre"):
        newest.spark_views(mine, ["gold.by_year", "gold.by_genre"])
    assert years_of(mine.table("gold_by_year")) == first

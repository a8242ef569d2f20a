"""What a group of features is worth shows where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import songs

from beatlake.config import ConfigError
from beatlake.learn import ablation, source, task_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_the_group_that_the_label_follows_from_is_missed_and_another_is_not(
    spark: SparkSession, tmp_path: Path
) -> None:
    asked = task_files.parse(songs.altered(songs.TASK, ("slices: {mood: mood}\n", "")), "songs")
    table = songs.write(songs.made(1200, artists=150), tmp_path / "songs.csv")
    lines = ablation.ablate(spark, asked, source.path(table, asked.table))
    assert [line["without"] for line in lines] == [None, "audio", "text"]
    whole, audio, text = lines
    # A hit follows from the energy, which is among the audio features; the mood is drawn by chance.
    assert audio["interval"][0] > 0.1
    assert text["interval"][0] < 0.02
    assert audio["loss"] == pytest.approx(whole["value"] - audio["value"])


def test_one_group_is_nothing_to_ablate(tmp_path: Path) -> None:
    text = songs.TASK.replace("  groups:", "  use: [audio]\n  groups:")
    asked = task_files.parse(text, "songs")
    table = songs.write(songs.made(40), tmp_path / "songs.csv")
    with pytest.raises(ConfigError, match="uses one group of features: audio"):
        ablation.ablate(None, asked, source.path(table, asked.table))  # type: ignore[arg-type]

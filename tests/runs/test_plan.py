"""Stage keys: what changes them, and for which stages."""

from __future__ import annotations

from beatlake.config import load
from beatlake.quality.contract import contracts
from beatlake.runs import plan

FILES = {name: f"hash of {name}" for name in contracts()}


def keys(
    files: dict[str, str | None] | None = None, assignments: tuple[str, ...] = ()
) -> dict[str, str]:
    settings = load(assignments=assignments, environment={})
    return plan.keys(plan.stages(settings, {**FILES, **(files or {})}))


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_a_file_changes_its_stage_and_those_that_depend_on_it() -> None:
    found = changed(keys(), keys({"bp_label": "other"}))
    assert {"ingest.bp_label", "integrate.labels", "integrate.recordings"} <= found
    assert "aggregate.by_label" in found
    assert not found & {"ingest.sp_track", "integrate.releases", "integrate.spotify_tracks"}


def test_a_file_that_goes_away_is_a_change() -> None:
    found = changed(keys(), keys({"bp_label_media": None}))
    assert found == {"ingest.bp_label_media", "integrate.orphans"}


def test_settings_that_change_content_change_keys_and_others_do_not() -> None:
    assert changed(keys(), keys(assignments=("spark.cores=1", "ingest.split_mb=1"))) == set()
    found = changed(keys(), keys(assignments=("aggregate.hemisphere=south",)))
    assert "integrate.recordings" in found
    assert not any(name.startswith("ingest") for name in found)
    tempo = changed(keys(), keys(assignments=("integrate.half_time_below={1: 100}",)))
    assert "integrate.beatport_tracks" in tempo
    assert "integrate.spotify_tracks" not in tempo


def test_stages_come_after_those_they_read_from() -> None:
    planned = plan.stages(load(environment={}), FILES)
    made: set[str] = set()
    for stage in planned:
        assert set(stage.inputs) <= made, stage.name
        made |= set(stage.outputs)


def test_no_two_stages_write_one_table() -> None:
    planned = plan.stages(load(environment={}), FILES)
    tables = [table for stage in planned for table in stage.outputs]
    assert len(tables) == len(set(tables))

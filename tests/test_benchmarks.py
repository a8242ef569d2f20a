"""The benchmarks run on a tiny input, the engines agree, and what is computed of runs is right."""

from __future__ import annotations

import argparse
import doctest
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest

from beatlake.synth import generate

LEARNERS = ("xgboost", "random_forest", "logistic_regression")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """The benchmark that a test is for, by a name of its own: some are named like other tests'."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    name = request.param
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look for it.
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def of(*names: str) -> pytest.MarkDecorator:
    """Run a test for these benchmarks."""
    return pytest.mark.parametrize("script", names, indirect=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny generated set without defects."""
    made = tmp_path_factory.mktemp("benchmarks") / "0.0002"
    generate(made, scale=0.0002, seed=1, clean=True, processes=1, progress=False)
    return made


def found_by(script: str, *arguments: str | Path) -> dict[str, Any]:
    """What a benchmark writes as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        command = [sys.executable, BENCHMARKS / script, *arguments, "--json", out]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "was not kept" in done.stdout, "no baseline is kept for so small an input"
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


@of("etl")
def test_memory_of_short_process_is_seen(script: ModuleType) -> None:
    """One that ends before a second look at a long one's memory would come."""
    holding = "import time; held = b'x' * 100_000_000; time.sleep(0.6)"
    measured = script.measure([sys.executable, "-c", holding])
    assert measured.peak_rss_mb >= 95


@pytest.mark.parametrize(
    "engines",
    ["duckdb,polars,pandas", pytest.param("duckdb,beatlake", marks=pytest.mark.full)],
)
def test_engines_agree_and_are_measured(source: Path, engines: str) -> None:
    found = found_by("etl.py", "--input", source, "--engines", engines, "--rounds", "1")
    assert list(found) == engines.split(",")
    for row in found.values():
        assert row["wall_s"] > 0 and row["cpu_s"] > 0 and row["peak_rss_mb"] > 0
        assert row["ratio_to_duckdb"] > 0


@pytest.mark.full
def test_the_parts_of_a_run_sum_to_the_whole_and_its_lake_is_read(source: Path) -> None:
    lake = source.parent / "lake"
    found = found_by("pipeline.py", "--input", source, "--lake", lake)
    (run,) = found["rounds"]
    assert sum(run["seconds"].values()) == pytest.approx(run["measured"]["wall_s"], abs=0.5)
    assert sum(run["cpu_s"].values()) == pytest.approx(run["measured"]["cpu_s"], abs=0.5)
    assert set(run["written"]) == {"bronze", "quarantine", "silver", "gold", "ops"}
    truth = json.loads((source / "truth.json").read_text(encoding="utf-8"))
    assert run["records"] == sum(file["records"] for file in truth["files"].values())
    layouts = found_by("readers.py", "--lake", lake, "--rounds", "1", "--layouts")["layouts"]
    assert {len(each["group_polars"]) for each in layouts.values()} == {1}


@pytest.mark.full
def test_skew_slope_and_generator_are_measured(source: Path) -> None:
    assert set(found_by("skew.py", "--input", source)) == {"even", "skewed"}
    found = found_by(
        "slope.py", "--folder", source.parent, "--scales", "0.0002,0.0003", "--beside", "0.0002"
    )
    assert [each["usd"] > 0 for each in found["predictions"]] == [True] * 6
    made = found_by("generator.py", "--scale", "0.0002")
    assert made["records"] > 10_000


@pytest.mark.full
def test_a_cluster_is_measured_beside_local_spark(source: Path) -> None:
    found = found_by("cluster.py", "--input", source, "--memory", "1g", "--dealt")
    assert set(found) == {"local[2]", "local[2], dealt", "cluster"}
    assert all(each["wall_s"] > 0 for runs in found.values() for each in runs)


@pytest.mark.full
def test_learning_is_measured_beside_what_does_without_spark(tmp_path: Path) -> None:
    found = found_by(
        "learn.py",
        *("--folder", tmp_path / "made", "--rows", "20000", "--trees", "5", "--depth", "3"),
        *("--rounds", "1"),
    )
    assert set(found) == {
        "ladder",
        *(f"{what} {name}" for what in ("fit", "score") for name in LEARNERS),
    }
    for (one,) in found.values():
        assert all(side["seconds"] < side["measured"]["wall_s"] for side in one["sides"])
    # The same booster.
    assert found["score xgboost"][0]["apart"]["mean"] < 1e-6


def test_spectrograms_are_measured() -> None:
    found = found_by("spectrograms.py", "--clips", "2", "--rounds", "1")
    assert found["clips"] == 2
    assert all(rate > 0 for rate in found["median"].values())


@pytest.mark.full
def test_three_ways_to_train_a_network_are_measured() -> None:
    pytest.importorskip("torch", reason="networks need the extra torch: make torch")
    found = found_by("networks.py", "--rows", "4000", "--epochs", "2", "--seeds", "2")
    assert set(found["ratio"]) == {"federated", "data_parallel"}
    # Two seeds say little of where they are apart, and all learn what is there.
    assert all(min(values) > found["majority"] for values in found["accuracy"].values())


@of("skew")
def test_skewed_and_even_inputs_differ_in_the_keys_alone(script: ModuleType, source: Path) -> None:
    made = {
        even: script.make(source, source.parent / f"even-{even}", even=even)
        for even in (True, False)
    }

    def asked(even: bool, sql: str, file: str = "bp_track") -> float:
        rows = f"read_csv('{made[even]}/{file}.csv', all_varchar = true)"
        ((value,),) = duckdb.sql(sql.format(rows=rows)).fetchall()
        return float(value)

    for sql in ("SELECT count(*) FROM {rows}", "SELECT sum(hash(title, track_id)) FROM {rows}"):
        assert asked(True, sql) == asked(False, sql)
    hot = (
        "SELECT max(n) / sum(n) FROM (SELECT count(*) FILTER (%s <> '') n FROM {rows} GROUP BY %s)"
    )
    assert asked(False, hot % ("isrc", "isrc")) == pytest.approx(1 / 10.7, abs=0.02)
    assert asked(False, hot % ("genre_id", "genre_id")) > 0.6
    assert asked(True, hot % ("isrc", "isrc")) < 0.02
    assert asked(True, hot % ("genre_id", "genre_id")) < 0.3
    nulls = "SELECT avg((isrc IS NULL)::int) FROM {rows}"
    for file in ("bp_track", "sp_track"):
        more = asked(False, nulls, file) - asked(True, nulls, file)
        assert more == pytest.approx(0.05, abs=0.02)
    distinct = "SELECT count(DISTINCT isrc) FROM {rows}"
    assert asked(True, distinct) == pytest.approx(asked(False, distinct), rel=0.01)


@of("readers")
def test_readers_find_the_rows_that_are_there(script: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    duckdb.sql(
        "SELECT format('ISRC{:08}', i) AS isrc, 'a' AS title, ['b'] AS artist_names, i::float bpm,"
        " ['x', 'y'][i % 2 + 1] AS genre_name, 2000 + i % 3 AS release_year, 0.5 AS energy,"
        " 0.5 AS danceability FROM range(600) t (i)"
    ).write_parquet(str(path))
    connection = duckdb.connect()
    asked = script.Asked("ISRC00000007", "x", 2001)
    found = {name: read(connection, [str(path)], asked) for name, read in script.READERS.items()}
    expected = {"point": 1, "filter": 100, "group": 6}
    assert found == {name: expected[name.partition("_")[0]] for name in script.READERS}


@of("baseline")
def test_a_ratio_that_grew_is_worse_and_ends_with_status_1(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "baseline.json"
    kept.write_text('{"skew": {"1": {"to_even": 1.0, "of_others": 2.0}}}', encoding="utf-8")
    monkeypatch.setattr(script, "_FILE", kept)

    def finish(value: float, scale: str = "1", *, keep: bool = False) -> int:
        options = argparse.Namespace(json=None, keep=keep)
        status: int = script.finish("skew", scale, {"to_even": value}, {}, options)
        return status

    assert finish(1.1) == 0
    assert finish(1.3) == 1
    assert finish(1.3, "0.1") == 0, "another scale is another thing"
    assert finish(1.3, keep=True) == 0
    assert finish(1.3) == 0
    told = json.loads(kept.read_text(encoding="utf-8"))["skew"]["1"]
    assert told == {"to_even": 1.3, "of_others": 2.0}, "what was not measured stays"


@of("model")
def test_the_model_divides_what_is_divided(script: ModuleType) -> None:
    survey = script.SURVEY
    stages = {"ingest.a": script.Growth(0.0, 3600.0, 1.0), survey: script.Growth(0.0, 36.0, 1.0)}
    few, many = (
        script.predict(stages, 1.0, 2, 10.0, script.Cluster(cores, driver_cores=2))
        for cores in (20, 2_000_000)
    )
    assert few.hours == pytest.approx(1 + 0.1, rel=0.01)
    assert many.hours == pytest.approx(0.1, rel=0.01)
    assert (many.bends, round(many.share)) == (survey, 1)


@of("baseline", "pipeline", "model", "learn")
def test_what_the_docstrings_show_is_so(script: ModuleType) -> None:
    failed, tried = doctest.testmod(script)
    assert tried and not failed

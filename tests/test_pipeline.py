"""The main job on generated files, judged by another engine and the generator's truth."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from pyspark.sql import SparkSession

import beatlake
from beatlake import cli, releases
from beatlake.config import load
from beatlake.lake import Lake
from beatlake.quality.contract import contracts
from beatlake.quality.drift import drift
from beatlake.reading import OpenLake
from beatlake.runs.report import RunReport, Silent
from beatlake.runs.runner import run
from beatlake.synth import generate
from beatlake.tables import registry

SCALE = 0.0005
#: As in the shared session, whose settings a run sets.
SETTINGS = load(assignments=["spark.shuffle_partitions=2"], environment={})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated files; BEATLAKE_GOLDEN_DIR judges those in its ``input``, and their ``lake``."""
    if given := os.environ.get("BEATLAKE_GOLDEN_DIR"):
        return Path(given) / "input"
    made = tmp_path_factory.mktemp("pipeline") / "input"
    generate(made, scale=SCALE, seed=3, processes=1, progress=False)
    compress(made / "bp_label.csv")
    part(made / "sp_artist_release.csv")
    return made


def compress(path: Path) -> None:
    """The file as ``.csv.gz``."""
    path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def part(path: Path) -> None:
    """The file as a directory of two parts, each with its header, parted far from any quote."""
    header, *lines = path.read_bytes().splitlines(keepends=True)
    at = next(i for i in range(len(lines) // 2, len(lines)) if b'"' not in b"".join(lines[i:][:9]))
    path.unlink()
    parts = path.with_suffix("")
    parts.mkdir()
    (parts / "part-0.csv").write_bytes(b"".join([header, *lines[:at]]))
    (parts / "part-1.csv").write_bytes(b"".join([header, *lines[at:]]))


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "truth.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def report(spark: SparkSession, folder: Path) -> RunReport:
    return run(str(folder), Lake(folder.parent / "lake"), SETTINGS, Silent())


@pytest.fixture(scope="module")
def opened(report: RunReport, folder: Path) -> OpenLake:
    return beatlake.open(folder.parent / "lake")


@pytest.fixture(scope="module")
def ask(opened: OpenLake) -> Callable[[str], Any]:
    def value(query: str) -> Any:
        found = opened.sql(query).fetchall()
        return found[0][0] if len(found) == 1 and len(found[0]) == 1 else found

    return value


@pytest.fixture(scope="module")
def raw(folder: Path) -> duckdb.DuckDBPyConnection:
    """The audio features as DuckDB reads them, records of another width left out."""
    connection = duckdb.connect()
    columns = dict.fromkeys(contracts()["audio_features"].columns, "VARCHAR")
    connection.execute(
        f"CREATE VIEW audio_features AS SELECT * FROM read_csv('{folder}/audio_features.csv',"
        f" columns={columns}, auto_detect=false, header=true, delim=',', quote='\"',"
        " escape='\"', ignore_errors=true)"
    )
    return connection


def test_every_record_is_in_bronze_or_quarantine(
    ask: Callable[[str], Any], truth: dict[str, Any]
) -> None:
    for name, known in truth["files"].items():
        kept = ask(f"SELECT count(*) FROM bronze.{name}")
        aside = ask(f"SELECT count(*) FROM quarantine.{name}")
        assert (kept, aside) == (known["records"] - known["set_aside"], known["set_aside"]), name


def test_records_are_set_aside_for_the_rule_that_was_planted(
    ask: Callable[[str], Any], truth: dict[str, Any]
) -> None:
    for name, known in truth["files"].items():
        planted = {
            rule: d["count"] for rule, d in known["defects"].items() if d["outcome"] == "set_aside"
        }
        found = ask(
            f"SELECT reasons[1].rule, count(*) FROM quarantine.{name} GROUP BY 1 ORDER BY 1"
        )
        assert dict(found or []) == planted, name


def test_flags_are_as_often_as_the_truth_says(
    ask: Callable[[str], Any], truth: dict[str, Any]
) -> None:
    compared = 0
    for name in ("audio_features", "sp_release", "sp_track", "bp_track"):
        for rule, known in truth["files"][name]["flags"].items():
            if rule not in contracts()[name].checks:
                continue
            # By key: a planted duplicate of a flagged row carries its flag once more.
            key = ", ".join(contracts()[name].key)
            found = ask(
                f"SELECT count(DISTINCT ({key})) FROM bronze.{name}"
                f" WHERE list_contains(flags, '{rule}')"
            )
            assert found == known["kept"], (name, rule)
            compared += 1
    assert compared >= 8


def test_recordings_are_the_isrcs_of_the_three_sides(
    ask: Callable[[str], Any], truth: dict[str, Any]
) -> None:
    known = truth["recordings"]["kept"]
    found = ask(
        "SELECT count(*), count(DISTINCT isrc), count_if(has_audio), count_if(has_spotify),"
        " count_if(has_beatport) FROM silver.recordings"
    )
    assert found == [
        (
            known["total"],
            known["total"],
            known["has_audio"],
            known["has_spotify"],
            known["has_beatport"],
        )
    ]


def test_joins_through_recordings_give_the_counts_of_the_files(
    ask: Callable[[str], Any], truth: dict[str, Any]
) -> None:
    known = truth["joins"]["kept"]
    found = ask(
        "SELECT sum(n_spotify_tracks) FILTER (has_audio),"
        " sum(n_spotify_tracks * n_beatport_tracks) FILTER (has_audio),"
        " count_if(has_audio AND NOT has_beatport) FROM silver.recordings"
    )
    assert found == [
        (
            known["audio_x_sp_track"],
            known["audio_x_sp_track_x_bp_track"],
            known["audio_isrc_not_in_bp_track"],
        )
    ]


def test_genres_of_recordings_match_the_truth(
    ask: Callable[[str], Any], truth: dict[str, Any]
) -> None:
    known = {name: n for name, n in truth["recordings"]["kept"]["by_genre"].items() if n}
    found = dict(ask("SELECT genre_name, n_recordings FROM gold.by_genre WHERE NOT is_unknown"))
    by_id = dict(
        ask("SELECT genre_id::varchar, n_recordings FROM gold.by_genre WHERE NOT is_unknown")
    )
    assert known in (found, by_id)


def test_gold_by_year_is_what_duckdb_computes_from_the_csv_files(
    ask: Callable[[str], Any], raw: duckdb.DuckDBPyConnection
) -> None:
    """Mean energy of recordings, from the raw files in another engine with another plan."""
    expected = raw.execute(
        """
        WITH audio AS (
          SELECT isrc, max(energy::double) AS energy FROM audio_features
          WHERE length(isrc) = 12 AND try_cast(energy AS double) BETWEEN 0 AND 1
            AND try_cast(danceability AS double) BETWEEN 0 AND 1
            AND try_cast(tempo AS double) IS NOT NULL
            AND try_cast(updated_on AS timestamp) IS NOT NULL
            AND NOT (tempo::double = 0 AND time_signature::int = 0
                     AND danceability::double = 0 AND valence::double = 0)
          GROUP BY isrc)
        SELECT count(*), avg(energy) FROM audio
        """
    ).fetchone()
    found = ask("SELECT sum(energy_n), sum(energy_sum_e6) / 1e6 / sum(energy_n) FROM gold.by_year")
    assert expected is not None
    assert int(found[0][0]) == expected[0]
    assert float(found[0][1]) == pytest.approx(expected[1], abs=1e-6)


def test_counts_and_sums_add_up_from_fine_groups_to_coarse_ones(ask: Callable[[str], Any]) -> None:
    sums = "sum(n_recordings), sum(valence_sum_e6), sum(valence_sumsq_e12), sum(bpm_n)"
    fine = ask(f"SELECT {sums} FROM gold.by_month")
    assert fine == ask(f"SELECT {sums} FROM gold.by_year") == ask(f"SELECT {sums} FROM gold.by_key")
    assert ask(f"SELECT {sums} FROM gold.by_genre") == ask(f"SELECT {sums} FROM gold.by_year_genre")


def test_moments_and_quantiles_equal_those_of_numpy_over_recordings(
    ask: Callable[[str], Any],
) -> None:
    found = ask(
        "SELECT release_year, duration_ms_mean, duration_ms_std, duration_ms_p25, duration_ms_p90"
        " FROM gold.by_year WHERE release_year >= 2015 ORDER BY 1"
    )
    values: dict[int, list[float]] = {}
    for year, value in ask(
        "SELECT release_year, duration_ms FROM silver.recordings"
        " WHERE release_year >= 2015 AND duration_ms IS NOT NULL"
    ):
        values.setdefault(year, []).append(float(value))
    expected = [
        (year, np.mean(v), np.std(v, ddof=1), np.quantile(v, 0.25), np.quantile(v, 0.9))
        for year, v in sorted(values.items())
    ]
    assert len(found) >= 5
    for mine, theirs in zip(found, expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-12)


def test_fractional_credit_adds_up_to_all_recordings(ask: Callable[[str], Any]) -> None:
    total = ask("SELECT count(*) FROM silver.recordings")
    assert ask("SELECT sum(n_recordings_fractional) FROM gold.genre_profiles") == pytest.approx(
        total, abs=1e-6
    )
    assert ask("SELECT sum(n_recordings) FROM gold.by_genre") > total


def test_the_weighted_mean_is_a_mean_and_the_sum_is_called_a_sum(ask: Callable[[str], Any]) -> None:
    expected = ask(
        "SELECT sum(release_popularity * n_spotify_tracks) / sum(n_spotify_tracks)"
        " FROM silver.recordings WHERE release_year = 2019 AND release_popularity IS NOT NULL"
    )
    found = ask(
        "SELECT release_popularity_track_weighted_mean FROM gold.by_year WHERE release_year = 2019"
    )
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_missing_bpm_is_not_averaged_in_and_half_time_is_doubled(
    ask: Callable[[str], Any],
) -> None:
    assert ask("SELECT count(*) FROM bronze.bp_track WHERE bpm = 0") > 0
    assert ask("SELECT min(bpm_stated) FROM silver.beatport_tracks") > 0
    doubled = ask(
        "SELECT count_if(bpm = 2 * bpm_stated), count_if(bpm <> 2 * bpm_stated)"
        " FROM silver.beatport_tracks WHERE genre_id = 1 AND bpm_stated < 110"
    )
    assert doubled[0][0] > 0
    assert doubled[0][1] == 0


def test_names_that_look_like_nothing_stay_names(ask: Callable[[str], Any], folder: Path) -> None:
    text = (folder / "sp_artist.csv").read_text(encoding="utf-8", errors="replace")
    looks = [n for n in ("NaN", "null", "NA", "None") if f",{n}," in text]
    assert looks
    for name in looks:
        assert ask(f"SELECT count(*) FROM silver.artists WHERE artist_name = '{name}'") > 0


def test_partial_dates_keep_their_precision(ask: Callable[[str], Any]) -> None:
    rows = ask(
        "SELECT release_date_precision, count(*), count(release_date), count(release_month)"
        " FROM silver.releases GROUP BY 1"
    )
    found = {precision: (n, dates, months) for precision, n, dates, months in rows}
    assert found["year"][1:] == (0, 0)
    assert found["month"][1] == 0 and found["month"][2] == found["month"][0]
    assert found["day"][0] == found["day"][1]


def test_subgenres_join_on_subgenre_and_genre(ask: Callable[[str], Any]) -> None:
    assert ask("SELECT count(*) FROM silver.subgenres") == 74
    assert ask("SELECT count(DISTINCT subgenre_id) FROM silver.subgenres") == 72
    assert (
        ask("SELECT count(*) - count(DISTINCT beatport_track_id) FROM silver.beatport_tracks") == 0
    )


def test_the_ledger_accounts_for_every_row(
    ask: Callable[[str], Any], truth: dict[str, Any]
) -> None:
    for name, known in truth["files"].items():
        rows = ask(
            f"SELECT sum(rows) FROM ops.ledger WHERE source = '{name}'"
            f" AND \"table\" = 'bronze.{name}'"
        )
        assert rows == known["records"], name
    silver = ask(
        "SELECT sum(rows) FROM ops.ledger WHERE source = 'silver.beatport_tracks'"
        " AND \"table\" = 'silver.recordings'"
    )
    assert silver == ask("SELECT count(*) FROM silver.beatport_tracks")


def test_every_table_of_the_spec_is_released_with_its_key_unique(
    opened: OpenLake, ask: Callable[[str], Any]
) -> None:
    # Models have tables of their own, which are never part of a release.
    of_lake = {t.name for t in registry.all_tables() if t.layer != "ml"}
    expected = of_lake - {"ops.runs", "ops.releases"}
    assert set(opened.tables) == expected
    for name in expected:
        key = ", ".join(f'"{k}"' for k in registry.table(name).key)
        if key and not name.startswith("ops"):
            repeated = ask(
                f"SELECT count(*) FROM"
                f" (SELECT {key} FROM {name} GROUP BY {key} HAVING count(*) > 1)"
            )
            assert repeated == 0, name


def test_every_table_reads_the_same_in_spark_delta_rs_polars_and_duckdb(
    spark: SparkSession, opened: OpenLake
) -> None:
    pl = pytest.importorskip("polars")
    for name in ("silver.recordings", "silver.genres", "gold.by_season", "quarantine.sp_track"):
        table = opened.table(name)
        delta = opened.lake.open(name, table.version)
        assert delta.protocol().min_reader_version == 1
        through_spark = table.spark(spark)
        column = registry.table(name).columns[0].name
        distinct = through_spark.select(column).distinct().count()
        assert through_spark.count() == table.rows == delta.count()
        polars = pl.read_delta(str(opened.lake.path(name)), version=table.version)
        assert (polars.height, polars[column].n_unique()) == (table.rows, distinct)
        assert len(table.duckdb().project(f'"{column}"').distinct().fetchall()) == distinct


def test_table_properties_keep_every_reader_in(opened: OpenLake) -> None:
    for name in opened.tables:
        delta = opened.lake.open(name, opened.table(name).version)
        assert delta.protocol().min_reader_version == 1, name
        assert delta.metadata().configuration["delta.enableDeletionVectors"] == "false", name


def test_the_same_run_again_has_nothing_to_do(report: RunReport, folder: Path) -> None:
    lake = Lake(folder.parent / "lake")
    again = run(str(folder), lake, SETTINGS, Silent())
    assert (again.outcome, again.release.release) == ("nothing to do", report.release.release)


def test_one_changed_file_redoes_what_depends_on_it_and_no_more(
    report: RunReport, spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "input"
    shutil.copytree(folder, changed)
    with (changed / "bp_label_media.csv").open("ab") as stream:
        stream.write(b"1,999999999,abc,2023-09-19 15:01:03\r\n")
    lake = Lake(folder.parent / "lake")
    again = run(str(changed), lake, SETTINGS, Silent())
    ran = {stage.stage for stage in again.stages if not stage.reused}
    assert ran == {"ingest.bp_label_media", "integrate.orphans"}
    assert again.release.release == report.release.release + 1
    before = beatlake.open(lake.root, report.release.release)
    after = beatlake.open(lake.root)
    query = "SELECT count(*) FROM bronze.bp_label_media"
    assert before.sql(query).fetchall()[0][0] + 1 == after.sql(query).fetchall()[0][0]


def test_a_release_can_be_compared_rolled_back_to_and_outlived(
    report: RunReport, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Depends on the two releases that the tests above have published."""
    copy = tmp_path / "lake"
    shutil.copytree(folder.parent / "lake", copy)
    first, second = report.release.release, report.release.release + 1
    assert cli.main(["diff", str(first), str(second), "--lake", str(copy)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split() for line in shown if line.startswith(("bronze", "silver", "gold"))] == [
        ["bronze.bp_label_media", *shown[1].split()[1:3], "1", "0", "NULL"],
        # No label has the id that the row added names.
        ["silver.orphans", "0", "1", "1", "0", "0"],
    ]
    assert cli.main(["rollback", str(first), "--lake", str(copy)]) == 0
    opened = beatlake.open(copy)
    assert (opened.release.release, opened.release.rolled_back_to) == (second + 1, first)
    assert opened.release.tables == report.release.tables
    # The newest input was published before: nothing is computed for it to be published again.
    kept = opened.table("silver.recordings").arrow()
    assert cli.main(["vacuum", "--keep", "1", "--dry-run", "--lake", str(copy)]) == 0
    before = sorted(copy.rglob("*.parquet"))
    assert cli.main(["vacuum", "--keep", "1", "--lake", str(copy)]) == 0
    after = sorted(copy.rglob("*.parquet"))
    assert set(after) < set(before)
    assert beatlake.open(copy).table("silver.recordings").arrow() == kept
    assert not releases.incomplete(Lake(copy), opened.release)
    capsys.readouterr()
    assert cli.main(["rollback", str(second), "--lake", str(copy)]) == 2
    assert f"There is no release {second}" in capsys.readouterr().err


def test_figures_that_moved_too_far_stop_a_release_until_they_are_accepted(
    report: RunReport,
) -> None:
    before = report.release.figures
    assert before["n_recordings"] == report.release.tables["silver.recordings"].rows
    after = {**before, "energy_mean": (before["energy_mean"] or 0) + 0.2}
    sentences, accepted = drift().problems(before, after, ())
    assert [sentence.split()[0] for sentence in sentences] == ["energy_mean"]
    assert "--accept energy_mean" in sentences[0]
    assert accepted == []
    assert drift().problems(before, after, ("energy_mean",)) == ([], ["energy_mean"])
    few = {**before, "n_recordings": 10.0}
    assert drift().problems(few, after, ()) == ([], [])


def test_what_the_readme_shows_works(
    report: RunReport, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    lake = folder.parent / "lake"
    monkeypatch.setenv("BEATLAKE_LAKE", str(lake))
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^\$ \.venv/bin/beatlake ((?!run).+)$", text, re.MULTILINE)
    assert len(commands) >= 10
    for command in commands:
        assert cli.main(shlex.split(command)) == 0, command
    assert (tmp_path / "genres.xlsx").stat().st_size > 0
    snippet = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert snippet is not None
    exec(snippet.group(1).replace("build/lake", str(lake)), {})

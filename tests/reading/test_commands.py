"""The reading commands, as a person or a script meets them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_lake import LABELS, YEARS, TinyLake

import beatlake
from beatlake import cli
from beatlake.cli import looking
from beatlake.cli.options import open_lake
from beatlake.reading import OpenLake


@pytest.fixture(autouse=True)
def _no_lake_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEATLAKE_LAKE", raising=False)


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_sql_prints_a_table(tiny: TinyLake, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(
        capsys, "sql", "select release_year, n_recordings from gold.by_year", "--lake", tiny.root
    )
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["release_year", "n_recordings"],
        *[[str(row[0]) if row[0] else "NULL", str(row[2])] for row in YEARS[2]],
    ]


def test_sql_takes_a_release_and_the_lake_of_the_environment(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEATLAKE_LAKE", str(tiny.root))
    query = "select count(*) as n from gold.by_year"
    assert call(capsys, "sql", query, "--format", "csv")[1] == "n\n4\n"
    assert call(capsys, "sql", query, "--format", "csv", "--release", "1")[1] == "n\n3\n"


def test_sql_says_when_it_shows_only_some_rows(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str]
) -> None:
    many = ["sql", "from range(150)", "--lake", tiny.root]
    code, out, err = call(capsys, *many)
    assert (code, len(out.splitlines())) == (0, 101)
    assert "first 100 rows; --max-rows 0 shows all" in err
    code, out, err = call(capsys, *many, "--max-rows", "0")
    assert (len(out.splitlines()), err) == (151, "")
    assert len(call(capsys, *many, "--format", "csv")[1].splitlines()) == 151


def test_sql_writes_what_the_output_ends_in(
    tiny: TinyLake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "labels.json"
    arguments = ["sql", "from silver.labels", "--lake", tiny.root, "--output", target]
    assert call(capsys, *arguments) == (0, "", "")
    names = [row["beatport_label_name"] for row in json.loads(target.read_text("utf-8"))]
    assert names == [label[1] for label in LABELS]
    code, _, err = call(capsys, *arguments[:-1], tmp_path / "labels")
    assert (code, "--format csv, json, parquet" in err) == (2, True)
    code, _, err = call(capsys, *arguments[:-1], tiny.root / "labels.json")
    assert (code, "inside the lake" in err) == (2, True)


def test_control_characters_and_markup_of_data_are_spelt_out(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = call(capsys, "sql", "from silver.labels", "--lake", tiny.root)
    assert "\\u001b[31mRed\\u0007" in out
    assert "[bold]Markup[/bold]" in out
    assert "two\\u000alines" in out
    assert not set(out) & {"\x1b", "\x07", "\r", "\t"}
    assert len(out.splitlines()) == len(LABELS) + 1


def test_a_plan_is_drawn_on_its_own_lines(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = call(capsys, "sql", "explain from gold.by_year", "--lake", tiny.root)
    assert len(out.splitlines()) > 3
    assert "u000a" not in out


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("copy gold.by_year to '/tmp/x'", "only reads"),
        ("from read_csv('/etc/passwd')", "reaches the tables of the release and nothing else"),
        ("from gold.by_yer", "Near: gold.by_year"),
        ("select nope from gold.by_year", "nope"),
        ("selec", "syntax error"),
        ("select error('a\x1b[2Jb')", "a\\u001b[2Jb"),
    ],
)
def test_a_bad_query_is_one_line_and_exit_code_2(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str], query: str, sentence: str
) -> None:
    code, out, err = call(capsys, "sql", query, "--lake", tiny.root)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err


def test_tables_lists_names_rows_and_meaning(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, "tables", "--lake", tiny.root)
    found = {line.split()[0]: line.split()[1] for line in out.splitlines()[1:]}
    assert code == 0
    assert found == {
        "gold.by_genre": "3",
        "gold.by_year": "4",
        "ops.quality": "0",
        "silver.labels": "13",
    }
    assert "Recordings by year of release" in out


def test_describe_shows_key_rows_version_and_units(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, "describe", "gold.by_year", "--lake", tiny.root, "--release", "1")
    assert code == 0
    assert "key release_year; 3 rows; version 0; release 1" in out
    assert "beats per minute" in out
    assert "NULL" not in out


def test_releases_are_listed_newest_first(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = call(capsys, "releases", "--lake", tiny.root)
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["2", "run", "2024-02-29T12:00:00+00:00", "run-2", "4", "20", "newest"],
        ["1", "run", "2024-02-28T12:00:00+00:00", "run-1", "4", "19"],
    ]


def test_a_release_that_is_removed_while_they_are_listed_is_left_out(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opening(lake: Path, release: int | None) -> OpenLake:
        if release == 2:
            (tiny.root / "releases" / "1.json").unlink()
        return open_lake(lake, release)

    monkeypatch.setattr(looking, "open_lake", opening)
    code, out, _ = call(capsys, "releases", "--lake", tiny.root)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["2"]


def test_status_fails_when_old_or_broken(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, "status", "--lake", tiny.root)
    assert code == 0
    assert "Release 2 (run, run run-2), published 2024-02-29 12:00:00 UTC" in out
    assert "Absent inputs: bp_artist_media." in out
    assert call(capsys, "status", "--lake", tiny.root, "--max-age", "24h")[0] == 4
    assert call(capsys, "status", "--lake", tiny.root, "--max-age", "999999d")[0] == 0
    assert call(capsys, "status", "--lake", tiny.root, "--max-age", "soon")[0] == 2
    Path(beatlake.open(tiny.root).table("gold.by_year").files[0]).unlink()
    code, out, _ = call(capsys, "status", "--lake", tiny.root)
    assert (code, "1 data files are gone or cut short" in out) == (4, True)


def test_export_writes_the_table(
    tiny: TinyLake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "years.csv"
    code, out, _ = call(capsys, "export", "gold.by_year", "--to", target, "--lake", tiny.root)
    assert (code, out) == (0, f"4 rows of gold.by_year written to {target}.\n")
    with target.open(newline="") as stream:
        assert len(list(csv.reader(stream))) == 5
    assert call(capsys, "export", "gold.x", "--to", target, "--lake", tiny.root)[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["sql", "select 1", "--release", "x"],
        ["sql", "select 1", "--release", "0"],
        ["sql", "select 1", "--release", "9"],
        ["sql", "select 1", "--format", "xml"],
        ["sql", "select 1", "--max-rows", "-1"],
        ["describe", "by_year"],
        ["describe", "../../etc/passwd"],
        ["export", "gold.by_year", "--to", "x.txt"],
        ["tables", "--release", "2.5"],
        ["sql"],
        ["describe"],
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(
    tiny: TinyLake, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    code, out, err = call(capsys, *arguments, "--lake", tiny.root)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["tables", "releases", "status"])
def test_a_lake_without_a_release_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, _, err = call(capsys, command, "--lake", tmp_path)
    assert (code, "beatlake run --input DIR" in err) == (2, True)


def test_whoever_stops_reading_is_no_error(tiny: TinyLake) -> None:
    command = f"{sys.executable} -m beatlake.cli sql 'from range(300000)' --format csv | head -1"
    environment = {**os.environ, "BEATLAKE_LAKE": str(tiny.root)}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "range\n", "")


def test_binary_answers_reach_a_pipe_whole(tiny: TinyLake) -> None:
    import pyarrow.parquet as pq

    arguments = ["sql", "from silver.labels", "--lake", str(tiny.root), "--format", "parquet"]
    done = subprocess.run(
        [sys.executable, "-m", "beatlake.cli", *arguments], capture_output=True, check=True
    )
    table = pq.ParquetFile(io.BytesIO(done.stdout)).read()
    assert [tuple(row.values()) for row in table.to_pylist()] == LABELS


def test_the_reading_commands_need_neither_spark_nor_frames(tiny: TinyLake) -> None:
    code = (
        "import sys; from beatlake import cli; lake = ['--lake', sys.argv[1]];"
        "codes = [cli.main([c, *lake]) for c in ('tables', 'status', 'releases')];"
        "codes += [cli.main(['sql', 'from gold.by_year', *lake])];"
        "print(codes, sorted({m.split('.')[0] for m in sys.modules}"
        " & {'pyspark', 'pandas', 'polars', 'pyarrow', 'deltalake'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny.root)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 0] []"


def test_config_prints_settings_that_can_be_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(capsys, "config", "--set", "ingest.split_mb=7")
    assert code == 0
    assert yaml.safe_load(out)["ingest"]["split_mb"] == 7
    (tmp_path / "settings.yaml").write_text(out, encoding="utf-8")
    assert call(capsys, "config", "--config", tmp_path / "settings.yaml")[1] == out


def test_an_unknown_setting_brings_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "config", "--set", "ingest.split_mv=7")
    assert (code, "did you mean ingest.split_mb" in err) == (2, True)

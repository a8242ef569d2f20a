"""The command line without a lake: help, versions, errors and exit codes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import beatlake
from beatlake import cli
from beatlake.commits import LakeError
from beatlake.config import ConfigError, Settings
from beatlake.errors import ConflictError, GateError, InputError, SetupError
from beatlake.ingest.csv.errors import CsvInputError
from beatlake.lake import Lake
from beatlake.releases import NoReleaseError, Release, ReleasedTable
from beatlake.runs.report import Reporter, RunReport, StageReport
from beatlake.runs.selection import Selection

COMMANDS = {
    "run",
    "sql",
    "tables",
    "describe",
    "releases",
    "status",
    "export",
    "config",
    "doctor",
    "generate",
    "dictionary",
}
HEAVY = {"pyspark", "pandas", "polars", "pyarrow", "duckdb", "deltalake", "yaml", "numpy"}


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def test_help_imports_nothing_heavy_and_names_every_command() -> None:
    code = (
        "import sys; from beatlake import cli; code = cli.main(['--help']);"
        "print(code, sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = python(code)
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout
    assert done.stderr.startswith("0 ")
    assert not HEAVY & set(done.stderr.replace("'", "").replace("[", "").split(", "))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0
    assert f"Usage: beatlake {command}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"beatlake {beatlake.__version__}\n"


def test_no_command_is_answered_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    captured = capsys.readouterr()
    assert "Usage: beatlake" in captured.err
    assert "error:" not in captured.err


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["nonsense"]) == 2
    assert capsys.readouterr().err.startswith("error: No such command 'nonsense'.")


def released(number: int = 1) -> Release:
    table = ReleasedTable(
        path="silver/labels", version=0, rows=7, stage="s", stage_key="k", run_id="r", files=[]
    )
    return Release(
        release=number,
        kind="run",
        run_id="r",
        identity="i",
        published_at="2024-02-29T12:00:00+00:00",
        code_version="0",
        inputs={},
        absent=[],
        settings={},
        tables={"silver.labels": table},
    )


Pipeline = Callable[..., RunReport]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pipeline], None]:
    """Put a pipeline of the test's own in the place of the one that needs Spark."""
    import beatlake.runs.runner

    return lambda own: monkeypatch.setattr(beatlake.runs.runner, "run", own)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("No such setting."), 2),
        (NoReleaseError("No release."), 2),
        (SetupError("No Java.", "install it"), 2),
        (LakeError("No table."), 2),
        (InputError("A column is missing."), 3),
        (CsvInputError("The file is empty."), 3),
        (GateError("Too many rows set aside."), 4),
        (ConflictError("Another run holds the lake."), 6),
    ],
)
def test_an_error_that_a_person_can_act_on_is_a_sentence_and_its_code(
    pipeline: Callable[[Pipeline], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    error: Exception,
    code: int,
) -> None:
    def fail(*_: Any, **__: Any) -> RunReport:
        raise error

    pipeline(fail)
    assert cli.main(["run", "--input", "x", "--lake", str(tmp_path), "--quiet"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {error}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_bug_is_one_sentence_and_a_traceback_in_the_lake(
    pipeline: Callable[[Pipeline], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> RunReport:
        raise ZeroDivisionError("odd\x1b[31m\nthing")

    pipeline(fail)
    assert cli.main(["run", "--input", "x", "--lake", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "ZeroDivisionError: odd\\u001b[31m thing" in err
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in err
    assert "Traceback" in log.read_text()
    assert "in fail" in log.read_text()


def test_a_bug_without_a_lake_leaves_its_traceback_in_the_temporary_directory(
    pipeline: Callable[[Pipeline], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> RunReport:
        raise KeyError("x")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pipeline(fail)
    assert cli.main(["run", "--input", "x", "--lake", str(tmp_path / "none")]) == 1
    (log,) = tmp_path.iterdir()
    assert str(log) in capsys.readouterr().err


def test_ctrl_c_is_130(
    pipeline: Callable[[Pipeline], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def interrupt(*_: Any, **__: Any) -> RunReport:
        raise KeyboardInterrupt

    pipeline(interrupt)
    assert cli.main(["run", "--input", "x", "--lake", str(tmp_path)]) == 130
    assert "Interrupted." in capsys.readouterr().err


def test_run_hands_over_its_options(
    pipeline: Callable[[Pipeline], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    def watch(
        input_directory: str, lake: Lake, settings: Settings, reporter: Reporter, chosen: Selection
    ) -> RunReport:
        seen.update(input=input_directory, lake=lake, settings=settings, selection=chosen)
        return RunReport("r", "nothing to do", released(), 0.1)

    pipeline(watch)
    settings = tmp_path / "settings.yaml"
    settings.write_text("ingest: {split_mb: 5, survey_threads: 3}\n")
    arguments = [
        "--config",
        str(settings),
        "--set",
        "ingest.split_mb=9",
        "--set",
        "parallel_stages=1",
    ]
    code = cli.main(
        [
            "run",
            "--input",
            "in",
            "--lake",
            str(tmp_path),
            *arguments,
            "--force",
            "--from-stage",
            "s",
        ]
    )
    assert code == 0
    assert seen["input"] == "in"
    assert seen["lake"] == Lake(tmp_path)
    chosen: Settings = seen["settings"]
    assert (chosen.ingest.split_mb, chosen.ingest.survey_threads) == (9, 3)
    assert chosen.parallel_stages == 1
    assert seen["selection"] == Selection(force=True, from_stage="s")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.startswith("Nothing to do: release 1 ")
    assert "--force" in out


def report_of_one_stage(*arguments: Any, **_: Any) -> RunReport:
    """A pipeline with one stage, some rows set aside, one absent file."""
    reporter: Reporter = arguments[3]
    stage = StageReport("ingest.sp_track", False, 1.25, 1010, 1000, 3, {"blank_line": 7}, {})
    reporter.run_started("r", 1)
    reporter.stage_started(stage.stage)
    reporter.tasks(1, 2)
    reporter.stage_finished(stage)
    reporter.message("Odd: [red]x[/red] \x1b[2J.")
    return RunReport("r", "done", released(), 2.5, [stage], ["bp_artist_media"], ["A note."])


def save(root: Path) -> None:
    from beatlake import releases

    releases.save(Lake(root), released())


def test_a_run_tells_of_stages_absent_files_release_and_what_next(
    pipeline: Callable[[Pipeline], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pipeline(report_of_one_stage)
    save(tmp_path)
    assert cli.main(["run", "--input", "x", "--lake", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    expected = (
        "ingest.sp_track: 1,010 in, 1,000 kept, 3 merged, 7 set aside (blank_line 7); 1.2 s\n"
    )
    assert expected in out
    assert "Odd: [red]x[/red] \\u001b[2J.\n" in out
    assert "Not there, so left out: bp_artist_media.\n" in out
    assert "A note.\n" in out
    assert f"Release 1 of {tmp_path}: 1 tables, 7 rows, in 2.5 s (run r).\n" in out
    for following in ("beatlake tables", "beatlake describe", "beatlake sql"):
        assert f"  {following}" in out


def test_quiet_says_nothing(
    pipeline: Callable[[Pipeline], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pipeline(report_of_one_stage)
    save(tmp_path)
    assert cli.main(["run", "--input", "x", "--lake", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_json_log_is_one_object_a_line_and_nothing_else(
    pipeline: Callable[[Pipeline], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pipeline(report_of_one_stage)
    assert cli.main(["run", "--input", "x", "--lake", str(tmp_path), "--log", "json"]) == 0
    captured = capsys.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert captured.err == ""
    assert [event["event"] for event in events] == [
        "run_started",
        "stage_started",
        "tasks",
        "stage_finished",
        "message",
        "run_finished",
    ]
    assert all(set(e) == {"timestamp", "run_id", "event", "fields"} for e in events)
    assert {event["run_id"] for event in events} == {"r"}
    assert events[3]["fields"]["set_aside"] == {"blank_line": 7}
    assert events[5]["fields"]["release"] == 1


def test_the_json_log_ends_with_the_error(
    pipeline: Callable[[Pipeline], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> RunReport:
        raise GateError("Too many rows\nset aside.")

    pipeline(fail)
    assert cli.main(["run", "--input", "x", "--lake", str(tmp_path), "--log", "json"]) == 4
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert (event["event"], event["fields"]["message"]) == (
        "run_failed",
        "Too many rows\nset aside.",
    )


def test_only_says_that_nothing_was_published(
    pipeline: Callable[[Pipeline], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def stages_alone(*arguments: Any, **_: Any) -> RunReport:
        return dataclasses.replace(report_of_one_stage(*arguments), release=None)

    pipeline(stages_alone)
    arguments = ["run", "--input", "x", "--lake", str(tmp_path), "--only", "ingest.sp_track"]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "ingest.sp_track ran alone, so nothing was published" in out
    assert "Release" not in out
    assert cli.main([*arguments, "--log", "json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["fields"]["release"] is None


def test_publishing_alone_publishes(
    pipeline: Callable[[Pipeline], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pipeline(report_of_one_stage)
    save(tmp_path)
    arguments = ["run", "--input", "x", "--lake", str(tmp_path), "--only", "publish"]
    assert cli.main(arguments) == 0
    assert "Release 1 of" in capsys.readouterr().out


def test_the_run_command_imports_no_spark_before_the_pipeline_asks_for_it() -> None:
    code = (
        "import sys, beatlake.runs.runner; from beatlake import cli;"
        "code = cli.main(['run', '--input', sys.argv[1], '--lake', sys.argv[1]]);"
        "print(code, [m for m in ('pyspark', 'pandas') if m in sys.modules])"
    )
    done = python(code, "/nonexistent/directory")
    assert done.stdout.splitlines()[-1] == "3 []"

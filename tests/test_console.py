"""Reporters and tables: whole lines from many threads, and data that cannot drive a terminal."""

from __future__ import annotations

import io
import json
import re
import threading

import pytest

from beatlake import console
from beatlake.cli import reporters
from beatlake.runs.report import StageReport

EVIL = "x\x1b]0;title\x07[red]y[/red]\u202egnp.exe\r\nz\x9b2J"
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def stage(name: str, **counts: object) -> StageReport:
    values: dict[str, object] = {
        "reused": False,
        "seconds": 1.0,
        "rows_in": 1234,
        "kept": 1234,
        "merged": 0,
        "set_aside": {},
        "flagged": {},
    }
    return StageReport(name, **{**values, **counts})  # type: ignore[arg-type]


def exercise(reporter: reporters.PlainReporter | reporters.JsonReporter, threads: int = 8) -> None:
    """Everything a run tells, from several threads at once."""
    with reporter:
        reporter.run_started("run-1", threads * 20)

        def work(number: int) -> None:
            for step in range(20):
                name = f"stage.{number}.{step}"
                reporter.stage_started(name)
                reporter.tasks(step, 20)
                reporter.stage_finished(stage(name))

        running = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        reporter.message(EVIL)


def test_plain_lines_from_many_threads_are_whole() -> None:
    stream = io.StringIO()
    exercise(reporters.reporter("plain", quiet=False, stream=stream))
    first, *lines, last = stream.getvalue().splitlines()
    assert first == "Run run-1: 160 stages."
    assert sorted(lines) == sorted(
        f"stage.{n}.{s}: 1,234 in, 1,234 kept; 1.0 s" for n in range(8) for s in range(20)
    )
    assert last.startswith("x\\u001b]0;title\\u0007[red]y[/red]\\u202egnp.exe")


def test_json_lines_from_many_threads_are_valid() -> None:
    stream = io.StringIO()
    exercise(reporters.reporter("json", quiet=False, stream=stream))
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sum(event["event"] == "stage_finished" for event in events) == 160
    assert sum(event["event"] == "tasks" for event in events) < 10
    assert events[-1]["fields"]["text"] == EVIL
    assert not _CONTROL.search(stream.getvalue())


def test_live_progress_shows_the_same_lines_and_no_control_characters_of_data() -> None:
    stream = Terminal()
    reporter = reporters.reporter("auto", quiet=False, stream=stream)
    assert isinstance(reporter, reporters.LiveReporter)
    exercise(reporter, threads=2)
    text = stream.getvalue()
    for number in range(2):
        assert f"stage.{number}.19: 1,234 in, 1,234 kept; 1.0 s" in text
    assert "[red]y[/red]" in text
    assert "\x1b]0;title" not in text
    assert not set(text) & {"\x07", "\x9b", "\u202e"}


def test_where_nobody_watches_auto_means_plain() -> None:
    reporter = reporters.reporter("auto", quiet=False, stream=io.StringIO())
    assert type(reporter) is reporters.PlainReporter


def test_quiet_writes_nothing() -> None:
    stream = Terminal()
    exercise(reporters.reporter("auto", quiet=True, stream=stream))
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"reused": True}, "s: as it was, 1,234 rows"),
        ({"merged": 2, "kept": 1232}, "s: 1,234 in, 1,232 kept, 2 merged; 1.0 s"),
        (
            {"set_aside": {"b": 1, "a": 3}, "kept": 1230},
            "s: 1,234 in, 1,230 kept, 4 set aside (a 3, b 1); 1.0 s",
        ),
    ],
)
def test_a_stage_is_one_line(counts: dict[str, object], expected: str) -> None:
    assert reporters.stage_line(stage("s", **counts)) == expected


@pytest.mark.parametrize("make", [io.StringIO, Terminal])
def test_a_table_shows_data_as_it_is(make: type[io.StringIO]) -> None:
    stream = make()
    console.print_table(["name", "n"], [(EVIL, 1), ("[bold]b[/bold]", None)], stream)
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())  # rich's own colours
    assert "[bold]b[/bold]" in text
    assert "\\u001b]0;title\\u0007" in text.replace("\n", "").replace(" ", "")
    assert not _CONTROL.search(text)


def test_a_table_in_a_pipe_is_as_wide_as_its_data() -> None:
    stream = io.StringIO()
    console.print_table(["a", "b"], [("x" * 500, "y" * 500)], stream)
    assert [len(line) for line in stream.getvalue().splitlines()] == [503, 1002]


def test_surrogates_of_odd_file_names_can_be_printed() -> None:
    name = b"caf\xe9.csv".decode("utf-8", "surrogateescape")
    assert console.clean(name).encode("utf-8") == b"caf\\udce9.csv"

"""Names, paths, settings and texts of strangers open no way in, and secrets no way out.

What SQL cannot do is in `reading/test_sql.py`, what a forged release cannot in
`reading/test_opened.py`, what a spreadsheet does not run in `reading/test_export.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import beatlake
from beatlake import cli, config, releases
from beatlake.cli import failures, reporters
from beatlake.commits import LakeError, Stamp
from beatlake.errors import ConflictError
from beatlake.lake import Lake
from beatlake.reading.export import export
from beatlake.redaction import HIDDEN, redact
from beatlake.releases import Release, ReleasedTable
from beatlake.runs import lease, notify
from beatlake.runs.report import Silent
from beatlake.runs.vacuum import vacuum
from beatlake.tables import ops

SECRET = "hUnter2+x9"
STAMP = Stamp("run", "stage", "key", "version")
ROW = {
    "run_id": "run",
    "table": "gold.by_year",
    "source": "file",
    "outcome": "kept",
    "rule": None,
    "rows": 1,
}


def made(root: Path) -> Lake:
    """A lake with one released table of one row."""
    root.mkdir(parents=True)
    lake = Lake(root)
    committed = lake.record(ops.LEDGER, [ROW], STAMP, "overwrite")
    table = ReleasedTable(
        path="ops/ledger",
        version=committed.version,
        rows=1,
        stage="stage",
        stage_key="key",
        run_id="run",
        files=lake.files("ops.ledger", committed.version),
    )
    release = Release(
        release=1,
        kind="run",
        run_id="run",
        identity="identity",
        published_at="2024-02-29T12:00:00+00:00",
        code_version="0",
        inputs={},
        absent=[],
        settings={},
        tables={"ops.ledger": table},
    )
    releases.save(lake, release)
    return lake


# Places.


@pytest.mark.parametrize(
    "name",
    ['it\'s "a" lake', "100% ü 東京", "; rm -rf ~ --", "$HOME `id` $(id)", "a,b=c:d&<e>", "-rf"],
)
def test_a_lake_can_be_at_a_place_of_an_odd_name(tmp_path: Path, name: str) -> None:
    lake = made(tmp_path / name)
    opened = beatlake.open(lake.root)
    assert opened.sql("select source from ops.ledger").fetchall() == [("file",)]
    assert export(opened, "ops.ledger", tmp_path / "ledger.csv") == 1
    assert releases.incomplete(lake, opened.release) == []
    assert {path.name for path in tmp_path.iterdir()} == {name, "ledger.csv"}


@pytest.mark.parametrize(
    "name",
    [
        *("%2e%2e", "per%20cent", "ha#sh", "que?ry", "{a,b}", "st*r", "bra[k]et", "back\\slash"),
        *("new\nline", "\x1b[2J", "tab\t", b"caf\xe9".decode("utf-8", "surrogateescape")),
    ],
)
def test_a_place_that_an_engine_would_take_for_another_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / name, target_is_directory=True)
    for place in (tmp_path / name, tmp_path / "link"):
        assert cli.main(["run", "--input", str(tmp_path), "--lake", str(place)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: A lake cannot be at ")
        assert error.count("\n") == 1
        assert "\x1b" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize(
    "name", ["../x.y", "gold.by_year; drop", 'gold."x"', "gold..x", "/etc.x", "gold.ü", "gold.x\n"]
)
def test_what_is_no_table_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LakeError, match="is not a table name"):
        Lake(tmp_path).path(name)


# Links.


def outward(root: Path, link: str, outside: Path) -> None:
    """Move a part of the lake outside and put a link in its place."""
    shutil.move(root / link, outside / Path(link).name)
    (root / link).symlink_to(outside / Path(link).name)


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "link",
    [
        "ops",
        "ops/ledger",
        "ops/ledger/_delta_log",
        "ops/ledger/_delta_log/00000000000000000000.json",
    ],
)
def test_a_link_out_of_the_lake_is_followed_neither_to_read_nor_to_write(
    tmp_path: Path, link: str
) -> None:
    lake = made(tmp_path / "lake")
    outside = tmp_path / "outside"
    outside.mkdir()
    outward(lake.root, link, outside)
    before = contents(outside)
    opened = beatlake.open(lake.root)
    for attempt in (
        lambda: opened.table("ops.ledger").arrow(),
        lambda: opened.sql("from ops.ledger"),
        lambda: lake.open("ops.ledger"),
        lambda: lake.record(ops.LEDGER, [ROW], STAMP, "append"),
        lambda: lake.missing("ops.ledger", opened.release.tables["ops.ledger"].files),
    ):
        with pytest.raises(LakeError, match="a link leads from there out of it"):
            attempt()
    with contextlib.suppress(LakeError):
        vacuum(lake, 1, dry_run=False, expires_s=60)
    assert contents(outside) == before


@pytest.mark.parametrize("link", ["releases", "releases/1.json", "releases/current.json"])
def test_release_files_that_are_links_out_of_the_lake_are_not_read(
    tmp_path: Path, link: str
) -> None:
    lake = made(tmp_path / "lake")
    outside = tmp_path / "outside"
    outside.mkdir()
    outward(lake.root, link, outside)
    before = contents(outside)
    read: Callable[[], object] = lambda: beatlake.open(lake.root)  # noqa: E731
    if link.endswith("current.json"):
        read = lambda: releases.stale(lake)  # noqa: E731
    with pytest.raises(LakeError, match="a link leads from there out of it"):
        read()
    assert contents(outside) == before


def test_a_lease_that_is_a_link_is_replaced_and_what_it_led_to_stays(tmp_path: Path) -> None:
    lake = made(tmp_path / "lake")
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (lake.root / "releases" / "lease-1.json").symlink_to(victim)
    with pytest.raises(LakeError, match="a link leads from there out of it"):
        lease.take(lake, "run", 60.0)
    assert victim.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "path",
    [
        "../../../outside/x.parquet",
        "{outside}/x.parquet",
        "file://{outside}/x.parquet",
        "%2e%2e/%2e%2e/%2e%2e/outside/x.parquet",
    ],
)
def test_a_log_that_names_a_file_outside_the_lake_is_not_read(
    tmp_path: Path, spark: SparkSession, path: str
) -> None:
    lake = made(tmp_path / "lake")
    outside = tmp_path / "outside"
    outside.mkdir()
    pq.write_table(pa.table({"run_id": [SECRET]}), outside / "x.parquet")
    version = lake.open("ops.ledger").version()
    log = lake.path("ops.ledger") / "_delta_log" / f"{version + 1:020d}.json"
    add = {
        "path": path.format(outside=outside),
        "partitionValues": {},
        "size": (outside / "x.parquet").stat().st_size,
        "modificationTime": 0,
        "dataChange": True,
    }
    log.write_text(json.dumps({"add": add}), encoding="utf-8")
    release = releases.load(lake)
    table = release.tables["ops.ledger"].model_copy(update={"version": version + 1})
    forged = release.model_copy(update={"tables": {"ops.ledger": table}})
    releases.save(lake, forged)
    for attempt in (
        lambda: lake.files("ops.ledger", version + 1),
        lambda: lake.read(spark, ops.LEDGER, version + 1),
        lambda: beatlake.open(lake.root).table("ops.ledger").spark(spark),
    ):
        with pytest.raises(LakeError, match="is not the name of a data file"):
            attempt()


def test_vacuum_removes_nothing_that_only_a_link_leads_to(tmp_path: Path) -> None:
    lake = made(tmp_path / "lake")
    outside = tmp_path / "outside" / "table"
    outside.mkdir(parents=True)
    (outside / "theirs.parquet").write_bytes(b"theirs")
    (lake.root / "linked").symlink_to(outside.parent)
    (lake.root / "ops" / "linked").symlink_to(outside)
    (lake.root / "ops" / "again").symlink_to(lake.root / "ops" / "ledger")
    stray = lake.root / "ops" / "ledger" / "stray.parquet"
    stray.write_bytes(b"stray")
    assert vacuum(lake, 1, dry_run=False, expires_s=60).files == 1
    assert not stray.exists()
    assert (outside / "theirs.parquet").read_bytes() == b"theirs"
    assert beatlake.open(lake.root).table("ops.ledger").arrow().num_rows == 1


@pytest.mark.parametrize("name", ["1²", "٣", "1x", "01", "-1", "1 "])
def test_a_file_that_is_no_release_does_not_pass_for_one(tmp_path: Path, name: str) -> None:
    lake = made(tmp_path / "lake")
    (lake.root / "releases" / f"{name}.json").write_text("{}", encoding="utf-8")
    assert releases.numbers(lake) == [1]


# Settings.


@pytest.mark.parametrize(
    "assignment",
    [
        "__class__.__init__=1",
        "spark.__dict__={a: 1}",
        "model_config.extra=allow",
        "ingest.split_mb.__add__=1",
        "ingest.split_mb=!!python/object/apply:os.system ['touch OUT']",
        "accept=!!python/name:os.system",
        "ingest.split_mb=5; touch OUT",
        "ingest.split_mb=$(touch OUT)",
        "spark.memory='2g -XX:OnError=touch'",
        "lease_s=.nan",
        "lease_s=-.inf",
        "aggregate.hemisphere=\"north' or '1'='1\"",
        "integrate.half_time_below={'1 or true': 1}",
        "=1",
        ".=1",
        "ingest=[",
        "ingest=" + "[" * 500,
        "ingest=&a [*a]",
        "accept=[&a [x, x], &b [*a, *a], &c [*b, *b]]",
        "ingest.split_mb={? [1] : 2}",
        "ingest.split_mb=\x00",
        "ingest.split_mb",
        "",
    ],
)
def test_a_hostile_setting_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], assignment: str
) -> None:
    out = tmp_path / "out"
    assert cli.main(["config", "--set", assignment.replace("OUT", str(out))]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert len(captured.err) < 400
    assert not out.exists()


@pytest.mark.parametrize(
    "assignment",
    [
        f"notify.webhook:https://example.com/{SECRET}",
        f"notify.webhook=[https://example.com/{SECRET}",
        f"notify.webhook=[https://example.com/{SECRET}]",
        f"notify={{webhook: {{url: {SECRET}}}}}",
        f"spark.extra.fs.s3a.secret.key={SECRET}",
        f"spark.extra={{fs.s3a.secret.key: [{SECRET}]}}",
        f"ingest.split_mb=s3://me:{SECRET}@bucket",
        f"https://me:{SECRET}@example.com=1",
    ],
)
def test_an_error_about_a_setting_does_not_show_a_secret(
    capsys: pytest.CaptureFixture[str], assignment: str
) -> None:
    assert cli.main(["config", "--set", assignment]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert SECRET not in error


# Secrets.

SECRETIVE = [
    f"notify.webhook=https://example.com/hook/{SECRET}",
    f"notify.command=\"true --token={SECRET} 'Authorization: Bearer {SECRET}'\"",
    f"spark.extra={{spark.sql.x.password: '{SECRET}', spark.hadoop.fs.s3a.secret.key: '{SECRET}'}}",
]


@pytest.mark.parametrize(
    "text",
    [
        "s3://me:{}@bucket/in",
        "s3a://AKIAIOSFODNN7EXAMPLE:a/{}@bucket/in",
        "https://{}@example.com/x",
        "https://example.com/x?a=1&token={}&b=2",
        "https://example.com/x?key={}",
        "https://a.blob.core.windows.net/c?sv=2024&sig={}&se=1",
        "https://hooks.slack.com/services/T0/B0/{}",
        "spark.hadoop.fs.s3a.secret.key={}",
        "fs.azure.account.key.acct.dfs.core.windows.net={}",
        "--set 'db.password = {}'",
        '{{"api_key": "{}", "rows": 1}}',
        "{{'api_key': 'a \\'{}', 'rows': 1}}",
        '"{{\\"client_secret\\": \\"a {}\\"}}"',
        'password="cut off {}',
        "Authorization: Bearer {}",
        "refused for the user's db_password: {}.",
        "a\nx-api-key: {}\nb",
        "-----BEGIN PRIVATE KEY-----\nabc\n{}\n-----END PRIVATE KEY-----",
    ],
)
def test_a_secret_in_a_text_is_hidden(text: str) -> None:
    hidden = redact(text.format(SECRET))
    assert SECRET not in hidden
    assert HIDDEN in hidden
    assert redact(hidden) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1" * 18,
        "dapi" + "0a" * 16,
        "xoxb-123456789012-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ],
)
def test_a_secret_of_a_known_shape_is_hidden(text: str) -> None:
    assert redact(f"denied to {text}.") == f"denied to {HIDDEN}."


@pytest.mark.parametrize(
    "text",
    [
        "stage_key=3f786850e387550fdab836ed7e6dc881de23001b, key: 5",
        "sp_track.csv, byte 1234: unexpected token at column 5",
        "https://example.com/a@b?x=1",
        "Release 3 of /data/my lake: 61 tables, in 3.5 s",
        "Files are missing from /data/my_tokens/webhook-2: sp_track.csv, sp_artist.csv.",
        "the keys (musical) of silver.keys are 24",
        "user@example.com",
    ],
)
def test_a_text_without_secrets_stays(text: str) -> None:
    assert redact(text) == text


def test_redaction_of_a_long_text_takes_time_in_proportion_to_it() -> None:
    for part in ("token", "://a:", "secret='", "eyJaaaaaaaa", "Bearer "):
        text = part * (100_000 // len(part))
        redact(text)  # a pattern that went back and forth would take hours


def test_settings_are_recorded_and_printed_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = config.load(None, SECRETIVE, {})
    recorded = settings.recorded()
    assert SECRET not in json.dumps(recorded)
    assert recorded["spark"]["extra"] == {
        "spark.sql.x.password": HIDDEN,
        "spark.hadoop.fs.s3a.secret.key": HIDDEN,
    }
    plain = config.load(None, (), {})
    assert plain.recorded() == plain.model_dump(mode="json")
    assert cli.main(["config", *(word for a in SECRETIVE for word in ("--set", a))]) == 0
    assert SECRET not in capsys.readouterr().out


def test_an_error_is_told_without_its_secrets(tmp_path: Path) -> None:
    error = ConflictError(f"x\nfs.s3a.secret.key={SECRET}")
    told = tmp_path / "told"
    settings = config.load(None, [f"notify.command='tee {told}'"], {})
    place = f"s3://me:{SECRET}@bucket/in"
    notify.tell(settings.notify, notify.failed("lake", place, error, 1.0), Silent())
    event = json.loads(told.read_text(encoding="utf-8"))
    assert event["input_directory"] == f"s3://{HIDDEN}@bucket/in"
    assert event["reason"] == f"x\nfs.s3a.secret.key={HIDDEN}"


def test_a_command_that_fails_is_said_without_its_arguments() -> None:
    said = io.StringIO()
    settings = config.load(None, [f"notify.command='false {SECRET}'"], {})
    reporter = reporters.reporter("plain", quiet=False, stream=said)
    notify.tell(settings.notify, notify.failed("lake", "in", ValueError("x"), 1.0), reporter)
    assert said.getvalue() == ("The command of notify.command failed: CalledProcessError 1.\n")


@pytest.mark.parametrize("log", ["plain", "json"])
def test_a_run_shows_and_leaves_no_secret_and_no_forged_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    log: str,
) -> None:
    """An error with everything in it, at the place where it does most: a bug in the middle."""
    evil = f"s3://me:{SECRET}@bucket\nerror: forged\r\x1b]0;title\x07\u202e token={SECRET}"

    def fails(*arguments: Any, **_: Any) -> None:
        arguments[3].message(evil)
        raise ZeroDivisionError(evil)

    monkeypatch.setattr("beatlake.runs.runner.run", fails)
    arguments = ["run", "--input", "in", "--lake", str(tmp_path), "--log", log]
    assert cli.main(arguments) == 1
    captured = capsys.readouterr()
    (file,) = (tmp_path / "logs").iterdir()
    for text in (captured.out, captured.err, file.read_text(encoding="utf-8")):
        assert SECRET not in text
        assert HIDDEN in text
        assert not set(text) & {"\x1b", "\x07", "\r", "\u202e"}
    assert [line[:6] for line in captured.err.splitlines()] == ["error:"]
    assert not [line for line in captured.out.splitlines() if line.startswith("error: forged")]


def test_a_text_of_several_lines_cannot_pass_for_a_line_of_beatlakes_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made(tmp_path / "lake")
    forged = "x\nerror: forged\nRelease 2 of lake"
    for arguments in (
        ["run", "--input", str(tmp_path), "--lake", str(tmp_path / "lake"), "--from-stage", forged],
        ["export", "ops.ledger", "--to", forged, "--lake", str(tmp_path / "lake")],
        ["sql", f"select error('{forged}')", "--lake", str(tmp_path / "lake")],
        ["describe", forged, "--lake", str(tmp_path / "lake")],
        ["config", "--set", f"{forged}=1"],
        ["config", "--config", forged],
        [forged],
        ["status", f"--{forged}"],
    ):
        assert cli.main(arguments) in (2, 3), arguments
        first, *rest = capsys.readouterr().err.splitlines()
        assert first.startswith("error: ")
        assert all(line.startswith("  ") for line in rest)


def test_the_log_of_a_bug_goes_through_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, outside, temporary = tmp_path / "lake", tmp_path / "outside", tmp_path / "tmp"
    for folder in (lake, outside, temporary):
        folder.mkdir()
    (lake / "logs").symlink_to(outside)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    failures.explain(ZeroDivisionError("x"), lake)
    assert list(outside.iterdir()) == []
    assert len(list(temporary.iterdir())) == 1


# A run, with all of it at once.


@pytest.fixture
def nasty(tmp_path: Path) -> tuple[Path, Path]:
    """An input and a lake in a directory that shells, SQL and addresses would stumble over."""
    place = tmp_path / 'it\'s; "drop" $(id) 100% ü東 [red] &amp;'
    first = Path(__file__).parent / "scenarios" / "a_value_is_changed" / "first"
    shutil.copytree(first, place / "in\nput {a} #?*")
    return place / "in\nput {a} #?*", tmp_path / 'it\'s; "drop" $(id) 100% ü東 &amp;'


@pytest.mark.full
def test_a_release_made_in_odd_places_is_whole_and_holds_no_secret(
    spark: SparkSession,
    nasty: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, root = nasty
    assigned = ["spark.shuffle_partitions=2", *SECRETIVE[1:]]
    secretive = [word for a in assigned for word in ("--set", a)]
    place = ["--lake", str(root)]
    assert cli.main(["run", "--input", str(folder), *place, *secretive]) == 0
    assert cli.main(["sql", "select count(*) as n from silver.recordings", *place]) == 0
    assert cli.main(["status", *place]) == 0
    assert cli.main(["vacuum", "--keep", "1", *place]) == 0
    captured = capsys.readouterr()
    for text in (captured.out, captured.err, *map(str, contents(root / "releases").values())):
        assert SECRET not in text
    (row,) = Lake(root).open("ops.runs").to_pyarrow_table().to_pylist()
    assert row["input_directory"] == str(folder)
    recorded = json.loads(row["settings"])
    assert recorded["spark"]["extra"]["spark.sql.x.password"] == HIDDEN
    assert releases.load(Lake(root)).settings == recorded
    assert SECRET not in str(row)
    assert {path.name for path in tmp_path.iterdir()} == {folder.parent.name, root.name}

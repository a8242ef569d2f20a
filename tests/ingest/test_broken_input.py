"""Damaged input: set aside for the right reason beside the good rows, or refused in a sentence.

With BEATLAKE_MUTATION_REPORT=FILE, what became of each kind at each place is written there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import broken_files
import damage
import pytest
from broken_files import good_input
from damage import MAX_BYTES, MAX_LINES, Damage
from mutations import BEATPORT, FEATURES, RELEASES, TRACKS
from verdicts import Verdict, check_untouched, records, surveyed, verdicts

from beatlake import cli
from beatlake.ingest.csv import RULES, Note
from beatlake.quality.contract import contracts
from beatlake.quality.rules import VALUE_RULES

DAMAGE = [(kind, found) for kind, made in damage.KINDS.items() for found in made()]
READ = [(kind, found) for kind, found in DAMAGE if found.says is None]
REFUSED = [(kind, found) for kind, found in DAMAGE if found.says is not None]
IN_FILES = [(kind, place) for kind in broken_files.KINDS for place in broken_files.PLACES]
LIMITS = [
    f"--set=ingest.max_record_bytes={MAX_BYTES}",
    f"--set=ingest.max_record_lines={MAX_LINES}",
]
REPORT = "BEATLAKE_MUTATION_REPORT"
Rows = dict[tuple[str, str], str]


def named(case: tuple[str, object]) -> str:
    kind, where = case
    return f"{kind}: {where.place if isinstance(where, Damage) else where}"


def part_name(kind: str, found: Damage) -> str:
    return f"{found.file.contract}/{kind}, {found.place}.csv"


@pytest.fixture(scope="module")
def report() -> Iterator[Rows]:
    """The rows of the table: kind, place, exit, kept, set aside, reasons."""
    rows: Rows = {}
    yield rows
    if path := os.environ.get(REPORT):
        head = ["| kind | place | exit | kept | set aside | reasons |", "|---|---|---|---|---|---|"]
        Path(path).write_text("\n".join([*head, *rows.values()]) + "\n", encoding="utf-8")


def line(kind: str, place: str, code: int | str, kept: object, aside: object, why: str) -> str:
    text = why.replace("|", "\\|").replace("\n", " ")
    return f"| {kind} | {place} | {code} | {kept} | {aside} | {text} |"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    """The verdict on every damaged file that is read, and on the good ones, all in one input."""
    root = tmp_path_factory.mktemp("damaged")
    good_input(root)
    parts = {
        f"{file.contract}/clean.csv": file.data for file in (TRACKS, RELEASES, FEATURES, BEATPORT)
    }
    parts |= {part_name(kind, one): one.data for kind, one in READ}
    assert len(parts) == 4 + len(READ)
    for name, data in parts.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.parent.with_suffix(".csv").unlink(missing_ok=True)
        path.write_bytes(data)
    judged: dict[str, Verdict] = {}
    for contract in sorted({name.partition("/")[0] for name in parts}):
        judged |= verdicts(root, contract)
    assert judged.keys() == parts.keys()
    return judged


@pytest.mark.parametrize("case", READ, ids=named)
def test_damaged_records_are_set_aside_and_the_others_kept(
    case: tuple[str, Damage], found: dict[str, Verdict], report: Rows
) -> None:
    kind, one = case
    clean = found[f"{one.file.contract}/clean.csv"]
    assert len(clean.kept) == len(one.file.rows)
    verdict = found[part_name(kind, one)]
    why = ", ".join(f"{rule} {rows}" for rule, rows in verdict.reasons.items())
    kept, aside = len(verdict.kept), len(verdict.aside)
    why = why or ", ".join(sorted(one.flags | verdict.notes)) or "read as it is"
    report[kind, one.place] = line(kind, one.place, 0, kept, aside, why)
    verdict.check_conserved()
    untouched = check_untouched(one.file, one.edits, clean, verdict)
    touched = {place: row for place, row in verdict.kept.items() if place not in untouched}
    assert (verdict.reasons, len(touched)) == (one.aside, one.kept)
    assert frozenset().union(*(flags for _, flags in touched.values())) == one.flags
    ended = one.data.endswith(b"\n")
    assert verdict.notes == one.notes | (set() if ended else {Note.NO_FINAL_NEWLINE.value})


@pytest.mark.parametrize("case", READ, ids=named)
def test_records_do_not_depend_on_where_the_file_is_split(
    case: tuple[str, Damage], tmp_path: Path
) -> None:
    _, one = case
    good_input(tmp_path)
    name = one.file.contract
    (tmp_path / f"{name}.csv").write_bytes(one.data)
    survey = surveyed(tmp_path, name)
    at_once = records(survey, name, 1 << 26)
    assert at_once.num_rows == survey.records
    for pieces in (2, 3, 16):
        assert records(survey, name, len(one.data) // pieces + 1).equals(at_once), pieces


def refused(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which a run on an input stops before it makes a lake."""
    lake = root.parent / "lake"
    assert cli.main(["run", "--input", str(root), "--lake", str(lake), *LIMITS]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err
    assert not lake.exists()
    sentence = captured.err.removeprefix("error: ").strip()
    assert "\n" not in re.sub(r"problems:(\n  - .+)+", "", sentence)
    return sentence


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(
    case: tuple[str, Damage], tmp_path: Path, capsys: pytest.CaptureFixture[str], report: Rows
) -> None:
    kind, one = case
    root = tmp_path / "input"
    good_input(root)
    path = root / f"{one.file.contract}.csv"
    path.unlink()
    path = path.with_name(path.name + ".gz") if one.gzipped else path
    path.write_bytes(one.data)
    sentence = refused(root, capsys)
    assert one.says is not None
    assert one.says in sentence
    assert str(path) in sentence
    shown = sentence.replace(f"{root}/", "")
    report[kind, one.place] = line(kind, one.place, 3, "-", "-", shown)


@pytest.mark.parametrize("case", IN_FILES, ids=named)
def test_what_is_no_file_of_the_input_is_refused_in_a_sentence(
    case: tuple[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    report: Rows,
) -> None:
    kind, place = case
    root = tmp_path / "input"
    good_input(root)
    make, says = broken_files.KINDS[kind]
    path = broken_files.PLACES[place](root)
    make(path)
    if kind == "unreadable":
        # Root may read everything, so that taking the right from the file would not do.
        monkeypatch.setattr(os, "access", lambda asked, _: str(asked) != str(path))
    sentence = refused(root, capsys)
    assert broken_files.SAYS.get(case, says) in sentence
    assert str(path) in sentence
    report[kind, place] = line(kind, place, 3, "-", "-", sentence.replace(f"{root}/", ""))


def test_an_empty_directory_is_refused_with_the_files_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "input"
    root.mkdir()
    sentence = refused(root, capsys)
    assert [name for name, contract in contracts().items() if contract.required] == re.findall(
        r"(\w+)\.csv\b", sentence
    )


def test_every_empty_file_is_named_in_one_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in contracts():
        (tmp_path / f"{name}.csv").write_bytes(b"")
    assert cli.main(["run", "--input", str(tmp_path), "--lake", str(tmp_path / "lake")]) == 3
    told = capsys.readouterr().err
    assert sorted(re.findall(r"(\w+)\.csv is empty", told)) == sorted(contracts())


def test_there_are_at_least_twelve_kinds_at_five_places_each() -> None:
    places: dict[str, set[str]] = {}
    for kind, one in DAMAGE:
        places.setdefault(kind, set()).add(one.place)
    for kind, place in IN_FILES:
        places.setdefault(kind, set()).add(place)
    assert len(places) >= 12
    assert {kind: len(found) for kind, found in places.items() if len(found) < 5} == {}


def test_every_rule_of_the_reader_and_the_contracts_is_hit(found: dict[str, Verdict]) -> None:
    """Orphans are no rule about a file by itself; `test_pipeline` plants them."""
    checks = {rule for contract in contracts().values() for rule in contract.checks}
    rules = {rule.value for rule in (*RULES, *VALUE_RULES)} | checks
    damaged = {part_name(kind, one): one for kind, one in READ}
    hit: set[str] = set()
    for name, one in damaged.items():
        hit |= {rule for reasons in found[name].aside.values() for rule in reasons}
        hit |= one.flags & found[name].flags.keys()
    assert rules - hit == set()
    notes = frozenset().union(*(found[name].notes for name in damaged))
    assert notes == {note.value for note in Note}

"""Random damage: nothing is lost, nothing is doubled, and what it does not touch stays as it was.

`make fuzz MINUTES=N` goes on for N minutes.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from broken_files import good_input
from damage import MAX_BYTES, MAX_LINES
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mutations import FIRST, TRACKS, Edit, applied, flip, put
from verdicts import check_untouched, records, surveyed, swallowed, verdicts

from beatlake.errors import InputError

MINUTES = float(os.environ.get("BEATLAKE_FUZZ_MINUTES", "0.5"))
CLEAN = TRACKS.data
BODY = TRACKS.record(FIRST)[0]
#: Where a change does most: beside quotes, separators and line ends.
EDGES = [at for at, byte in enumerate(CLEAN) if byte in b'",\r\n']
PIECES = [
    *(b'"', b'""', b",", b"\r", b"\n", b"\r\n", b"\0", b"\t", b";", b"\xff", b"\xef\xbb\xbf"),
    *(b"", b"x", b"-1", b"1e9", b"NaN", b"2023-02-30 18:08:48", b'"a\nb"', b",,,,,,,,,\r\n"),
    *(CLEAN[:BODY], CLEAN[slice(*TRACKS.record(3))], b"y" * MAX_BYTES, b"z\n" * (MAX_LINES + 1)),
]

places = st.one_of(st.sampled_from(EDGES), st.integers(0, len(CLEAN)))
removed = st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 300))
pieces = st.one_of(st.sampled_from(PIECES), st.binary(max_size=4))


@st.composite
def edits(draw: st.DrawFn) -> list[Edit]:
    """Up to four changes apart from each other."""
    found: list[Edit] = []
    for start in sorted(draw(st.lists(places, min_size=1, max_size=4, unique=True))):
        if not found or start > found[-1].end:
            end = min(start + draw(removed), len(CLEAN))
            found.append(Edit(start, end, draw(pieces)))
    return found


def test_one_file_at_a_time(tmp_path: Path) -> None:
    """The reader alone: every byte after the header is in one record, wherever the file is cut."""
    good_input(tmp_path)
    read: list[int] = []

    @given(edits())
    @settings(max_examples=60, deadline=None)
    @example([flip(TRACKS, len(CLEAN) - 1, 0xFF)])
    @example([put(TRACKS, FIRST, "track_title", b'"'), put(TRACKS, 5, "track_title", b'"')])
    def check(damage: list[Edit]) -> None:
        data = applied(CLEAN, damage)
        (tmp_path / "sp_track.csv").write_bytes(data)
        try:
            survey = surveyed(tmp_path, "sp_track")
        except InputError:
            assert damage[0].start <= BODY
            return
        at_once = records(survey, "sp_track", 1 << 26)
        assert at_once.num_rows == survey.records
        expected = survey.parts[0].data_start
        for offset, length in zip(
            at_once["byte_offset"].to_pylist(), at_once["byte_length"].to_pylist(), strict=True
        ):
            assert offset == expected
            expected += length
        assert expected == len(data)
        assert records(survey, "sp_track", len(data) // 3 + 1).equals(at_once)
        read.append(at_once.num_rows)

    check()
    assert sum(read) > 100


def check_many(many: list[list[Edit]]) -> int:
    """The ledger and the untouched rows of many damaged files, read as parts of one input."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        good_input(root)
        (root / "sp_track.csv").unlink()
        (root / "sp_track").mkdir()
        (root / "sp_track" / "clean.csv").write_bytes(CLEAN)
        for number, damage in enumerate(many):
            path = root / "sp_track" / f"{number}.csv"
            path.write_bytes(applied(CLEAN, damage))
        _without_refused(root, many)
        found = verdicts(root, "sp_track")
    clean = found.pop("sp_track/clean.csv")
    assert len(clean.kept) == len(TRACKS.rows)
    for name, verdict in found.items():
        damage = many[int(Path(name).stem)]
        verdict.check_conserved()
        excused = swallowed(TRACKS, damage, verdict)
        assert not excused or len(damage) > 1
        check_untouched(TRACKS, damage, clean, verdict, excused)
    return len(found)


def _without_refused(root: Path, many: list[list[Edit]]) -> None:
    """Removes the parts whose headers are damaged: they, and no others, are refused by name."""
    try:
        surveyed(root, "sp_track")
    except InputError as error:
        for number, damage in enumerate(many):
            path = root / "sp_track" / f"{number}.csv"
            if str(path) in str(error):
                assert damage[0].start <= BODY
                path.unlink()


def check_random(size: int, examples: int) -> int:
    """Some random lots of damaged files; gives how many files were read."""
    files = 0

    @given(st.lists(edits(), min_size=size, max_size=size))
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.large_base_example, HealthCheck.too_slow],
    )
    def check(many: list[list[Edit]]) -> None:
        nonlocal files
        files += check_many(many)

    check()
    return files


def test_many_files_and_their_contract() -> None:
    assert check_random(size=40, examples=3) > 20


@pytest.mark.full
def test_many_files_for_minutes() -> None:
    stop = time.monotonic() + 60 * MINUTES
    files = 0
    while time.monotonic() < stop:
        files += check_random(size=100, examples=5)
    print(f"{files:,} damaged files were read")
    assert files > 0

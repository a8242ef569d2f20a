"""Finding files, refusing what is not one, compressed parts, and noticing changes."""

import gzip
import hashlib
import os
import pickle
import sys
from pathlib import Path

import pytest
from csv_tools import NAME, SURVEY, check_conserved, look, put, rows

from beatlake.ingest.csv import CsvInputError, find_parts, splits

COLUMNS = ["a", "b"]
BODY = b'1,x\n2,"two\nlines"\n\n3,"\n4,\n'
DATA = b"a,b\n" + BODY


def found(root) -> list[str]:
    return [part.name for part in find_parts(str(root), NAME)]


def test_forms_of_a_file(tmp_path):
    assert found(tmp_path) == []
    put(tmp_path / "plain", DATA)
    put(tmp_path / "packed", gzip.compress(DATA), "tracks.csv.gz")
    for name in ("b.csv", "a.csv.gz", ".hidden.csv", "_SUCCESS", "._b.csv.crc"):
        put(tmp_path / "parts", DATA, f"tracks/{name}")

    assert found(tmp_path / "plain") == ["tracks.csv"]
    assert found(tmp_path / "packed") == ["tracks.csv.gz"]
    assert found(tmp_path / "parts") == ["tracks/a.csv.gz", "tracks/b.csv"]


def test_root_may_be_relative_and_end_with_a_slash(tmp_path, monkeypatch):
    put(tmp_path / "in", DATA)
    monkeypatch.chdir(tmp_path)

    (part,) = find_parts("in/", NAME)
    monkeypatch.chdir("/")

    assert part.path == str(tmp_path / "in" / "tracks.csv")
    assert part.open().read() == DATA


def fifo(root):
    os.mkfifo(root / "tracks.csv")


def link(target: str, name: str = "tracks.csv"):
    return lambda root: (root / name).symlink_to(target)


def both(root):
    put(root, DATA)
    put(root, DATA, "tracks/1.csv")


def not_utf8(root):
    Path(os.fsdecode(b"%s/tracks/caf\xe9.csv" % os.fsencode(root))).write_bytes(DATA)


def part_and(make):
    """A directory of parts that holds a good one and something else."""

    def made(root):
        put(root, DATA, "tracks/1.csv")
        make(root)

    return made


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (both, "more than once"),
        (lambda root: (root / "tracks.csv").mkdir(), "should be a file, and is a directory"),
        (lambda root: put(root, DATA, "tracks"), "should be a directory, and is a file"),
        (lambda root: (root / "tracks").mkdir(), "holds no *.csv or *.csv.gz part"),
        (lambda root: put(root, b"", "tracks/_SUCCESS"), "holds no *.csv or *.csv.gz part"),
        (lambda root: put(root, DATA, "tracks/1.csv.bz2"), "neither *.csv nor *.csv.gz"),
        (
            lambda root: put(root, DATA, "tracks/1.csv/2.csv"),
            "should be a file, and is a directory",
        ),
        (fifo, "should be a file, and is something else"),
        (link("/etc/hostname"), "a link that leads out of"),
        (link("../outside"), "a link that leads out of"),
        (link("/etc", "tracks"), "a link that leads out of"),
        (link("missing.csv"), "a link to nothing"),
        (link("tracks.csv"), "a link to nothing"),
        (part_and(link("missing.csv", "tracks/2.csv")), "2.csv is a link to nothing"),
        (part_and(link("2.csv", "tracks/2.csv")), "2.csv is a link to nothing"),
        (part_and(link("/etc/hostname", "tracks/2.csv")), "2.csv is a link that leads out of"),
        pytest.param(
            part_and(not_utf8),
            r"caf\xe9.csv, whose name is not UTF-8",
            marks=pytest.mark.skipif(sys.platform == "darwin", reason="all names are UTF-8"),
        ),
    ],
)
def test_refused(tmp_path, make, says):
    root = tmp_path / "in"
    root.mkdir()
    make(root)

    with pytest.raises(CsvInputError) as error:
        find_parts(str(root), NAME)

    assert says in str(error.value)
    assert str(root) in str(error.value)


def test_links_within_the_root_and_to_the_root_are_followed(tmp_path):
    put(tmp_path / "real", DATA, "elsewhere.csv")
    (tmp_path / "real" / "tracks.csv").symlink_to("elsewhere.csv")
    (tmp_path / "in").symlink_to("real")

    assert found(tmp_path / "in") == ["tracks.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_forbidden_file(tmp_path):
    put(tmp_path, DATA).chmod(0)

    with pytest.raises(CsvInputError, match="may not be read"):
        find_parts(str(tmp_path), NAME)


def test_read_error_is_an_input_error(tmp_path):
    put(tmp_path, DATA)
    parts = find_parts(str(tmp_path), NAME)
    (tmp_path / "tracks.csv").unlink()

    with pytest.raises(CsvInputError, match="cannot be read"):
        SURVEY.survey(parts, COLUMNS, SURVEY.CsvLimits(), 1)


@pytest.mark.parametrize("root", ["missing", "file"])
def test_root_must_be_a_directory(tmp_path, root):
    put(tmp_path, b"", "file")

    with pytest.raises(CsvInputError, match="does not exist or is not a directory"):
        find_parts(str(tmp_path / root), NAME)


@pytest.mark.parametrize("root", ["gopher://me:secret@host/in", "s3://me:secret@b/in?nonsense=1"])
def test_address_that_cannot_be_opened_keeps_its_password(root):
    with pytest.raises(CsvInputError) as error:
        find_parts(root, NAME)

    assert "cannot be opened" in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("name", ["", "../tracks", "a/b", ".hidden"])
def test_name_is_a_name(tmp_path, name):
    with pytest.raises(ValueError, match="is not the name of a file"):
        find_parts(str(tmp_path), name)


def test_compressed_part_gives_the_same_rows_and_hash(tmp_path):
    put(tmp_path / "plain", DATA)
    # Two members, as `cat a.gz b.gz` makes them.
    packed = gzip.compress(DATA[:9]) + gzip.compress(DATA[9:])
    put(tmp_path / "packed", packed, "tracks.csv.gz")
    plain, unpacked = (look(tmp_path / name, COLUMNS) for name in ("plain", "packed"))

    expected = rows(plain, COLUMNS)

    assert rows(unpacked, COLUMNS) == expected
    assert len(expected) == unpacked.records == 5
    assert unpacked.bytes == len(DATA)
    assert unpacked.sha256 == plain.sha256
    assert len(splits(unpacked, 3)) == 1
    check_conserved(unpacked, expected)


@pytest.mark.parametrize("keep", [1, 5, 12, -9, -1])
def test_compressed_part_cut_short(tmp_path, keep):
    put(tmp_path, gzip.compress(DATA * 100)[:keep], "tracks.csv.gz")

    with pytest.raises(CsvInputError, match=r"tracks\.csv\.gz"):
        look(tmp_path, COLUMNS)


def test_damaged_compressed_part(tmp_path):
    packed = bytearray(gzip.compress(DATA * 100))
    packed[-5] ^= 1
    put(tmp_path, bytes(packed), "tracks.csv.gz")

    with pytest.raises(CsvInputError, match="cannot be read"):
        look(tmp_path, COLUMNS)


def test_every_damaged_part_is_named(tmp_path):
    packed = gzip.compress(b"a,b\n" + os.urandom(300).hex().encode())[:-4]
    for name in ("1", "2"):
        put(tmp_path, packed, f"tracks/{name}.csv.gz")

    with pytest.raises(CsvInputError) as error:
        look(tmp_path, COLUMNS)

    assert len(error.value.problems) == 2


def test_hash_is_what_is_documented(tmp_path, monkeypatch):
    put(tmp_path, DATA)

    chunk = hashlib.sha256(DATA).digest()
    part = hashlib.sha256(chunk).digest()
    assert look(tmp_path, COLUMNS).parts[0].sha256 == part.hex()
    assert look(tmp_path, COLUMNS).sha256 == hashlib.sha256(part).hexdigest()

    monkeypatch.setattr(SURVEY, "CHUNK_BYTES", 16)
    chunks = [hashlib.sha256(DATA[at : at + 16]).digest() for at in range(0, len(DATA), 16)]
    assert look(tmp_path, COLUMNS).parts[0].sha256 == hashlib.sha256(b"".join(chunks)).hexdigest()


def test_file_that_changed_since_the_survey_is_refused(tmp_path):
    path = put(tmp_path, DATA)
    surveyed = look(tmp_path, COLUMNS)
    path.write_bytes(DATA + b"5,y\n")

    with pytest.raises(CsvInputError, match="has changed since it was surveyed"):
        rows(surveyed, COLUMNS)


def test_file_that_grows_during_the_survey_is_refused(tmp_path):
    path = put(tmp_path, DATA)
    parts = find_parts(str(tmp_path), NAME)
    path.write_bytes(DATA + b"5,y\n")

    with pytest.raises(CsvInputError, match="changed while it was read"):
        SURVEY.survey(parts, COLUMNS, SURVEY.CsvLimits(), 1)


def test_survey_travels_small(tmp_path):
    put(tmp_path, b"a,b\n" + b'1,"x\ny"\n' * 20_000 + b'2,"\n')
    surveyed = look(tmp_path, COLUMNS)

    packed = pickle.dumps(surveyed)
    again = pickle.loads(packed)

    assert len(packed) < 20_000
    assert again.parts[0].joined.tolist() == surveyed.parts[0].joined.tolist()
    assert rows(again, COLUMNS) == rows(surveyed, COLUMNS)

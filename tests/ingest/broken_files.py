"""Kinds of damage that only the file system can do, at several places each."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

from mutations import REQUIRED, TRACKS

#: Makes the damage below a good input directory; gives the file that the refusal must name.
Make = Callable[[Path], Path]


def good_input(root: Path) -> None:
    """Every required file, sound."""
    root.mkdir(parents=True, exist_ok=True)
    for file in REQUIRED:
        (root / f"{file.contract}.csv").write_bytes(file.data)


def required(root: Path) -> Path:
    """The place of a required file, cleared."""
    path = root / "sp_track.csv"
    path.unlink()
    return path


def optional(root: Path) -> Path:
    """The place of an optional file."""
    return root / "bp_track.csv"


def compressed(root: Path) -> Path:
    """The place of a compressed file, cleared."""
    return required(root).with_name("sp_track.csv.gz")


def part(root: Path) -> Path:
    """The place of one part beside another, which is sound."""
    folder = required(root).with_name("sp_track")
    folder.mkdir()
    (folder / "1.csv").write_bytes(TRACKS.data)
    return folder / "2.csv"


def parts(root: Path) -> Path:
    """The place of a directory of parts, cleared."""
    return required(root).with_name("sp_track")


PLACES = {
    "required file": required,
    "optional file": optional,
    "compressed file": compressed,
    "part": part,
    "directory of parts": parts,
}


def _directory(path: Path) -> None:
    path.mkdir()


def _empty(path: Path) -> None:
    if path.suffix:
        path.write_bytes(gzip.compress(b"") if path.suffix == ".gz" else b"")
    else:
        path.mkdir()


def _link_out(path: Path) -> None:
    """A link to something outside the input, by way of another inside."""
    inside = path.with_name(".inside")
    inside.symlink_to(__file__ if path.suffix else Path(__file__).parent)
    path.symlink_to(inside)


def _link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def _named_pipe(path: Path) -> None:
    """A named pipe: who opens it waits for a writer for ever."""
    os.mkfifo(path)


def _unreadable(path: Path) -> None:
    """A file like any other; the test takes the right to read it."""
    if path.suffix:
        path.write_bytes(TRACKS.data)
    else:
        path.mkdir()


#: kind -> how it is made at a place, and what the refusal says.
KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "directory where a file is expected": (_directory, "should be a file, and is a directory"),
    "empty": (_empty, "is empty"),
    "unreadable": (_unreadable, "may not be read by this user"),
    "link out of the input": (_link_out, "is a link that leads out of"),
    "link to nothing": (_link_to_nothing, "is a link to nothing"),
    "link to itself": (_link_to_itself, "is a link to nothing"),
    "named pipe": (_named_pipe, "and is something else"),
}
#: Where a kind says something of its own.
SAYS = {
    ("directory where a file is expected", "directory of parts"): "holds no *.csv or *.csv.gz part",
    ("empty", "directory of parts"): "holds no *.csv or *.csv.gz part",
}

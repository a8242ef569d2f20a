"""A full disk is named in one sentence, however deep it was noticed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from beatlake.errors import GateError, OutOfRoomError, naming_a_full_disk

WORDS = os.strerror(errno.ENOSPC)


def test_a_full_disk_below_other_errors_is_named(tmp_path: Path) -> None:
    named = pytest.raises(OutOfRoomError, match=f"MB are free for {tmp_path}")
    with named, naming_a_full_disk(tmp_path):
        try:
            raise OSError(errno.ENOSPC, WORDS)
        except OSError as error:
            raise ValueError("the write failed") from error


def test_a_full_disk_in_the_words_of_another_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutOfRoomError), naming_a_full_disk(tmp_path / "gone"):
        raise RuntimeError(f"Job aborted.\nCaused by: java.io.IOException: {WORDS}\n\tat ...")


@pytest.mark.parametrize("error", [ValueError("no"), GateError(f"title {WORDS!r} is not allowed")])
def test_any_other_error_is_left_as_it_is(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, naming_a_full_disk(tmp_path):
        raise error
    assert caught.value is error

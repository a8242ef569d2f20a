"""A full disk and a Java that has ended are named in one sentence, however deep it was noticed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from py4j.protocol import Py4JNetworkError
from pyspark import SparkContext

from beatlake.errors import GateError, OutOfRoomError, SparkLostError, naming_the_cause

WORDS = os.strerror(errno.ENOSPC)


def test_a_full_disk_below_other_errors_is_named(tmp_path: Path) -> None:
    named = pytest.raises(OutOfRoomError, match=f"MB are free for {tmp_path}")
    with named, naming_the_cause(tmp_path):
        try:
            raise OSError(errno.ENOSPC, WORDS)
        except OSError as error:
            raise ValueError("the write failed") from error


def test_a_full_disk_in_the_words_of_another_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutOfRoomError), naming_the_cause(tmp_path / "gone"):
        raise RuntimeError(f"Job aborted.\nCaused by: java.io.IOException: {WORDS}\n\tat ...")


@pytest.mark.parametrize("error", [ValueError("no"), GateError(f"title {WORDS!r} is not allowed")])
def test_any_other_error_is_left_as_it_is(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, naming_the_cause(tmp_path):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    "error", [Py4JNetworkError("no answer"), ConnectionRefusedError(111, "no")]
)
def test_a_java_process_that_has_ended_is_named(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        monkeypatch.setattr(SparkContext, "_gateway", SimpleNamespace(proc=process))
        with pytest.raises(type(error)), naming_the_cause(tmp_path):
            raise error
        process.send_signal(signal.SIGKILL)
        process.wait()
        with pytest.raises(SparkLostError, match="SIGKILL"), naming_the_cause(tmp_path):
            raise error

"""Errors that tell the person who reads them what to do."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: How every program says it, whatever it is written in: the system's own words.
_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))


class BeatlakeError(Exception):
    """A run cannot go on for a reason that the person can act on; the message is a sentence."""

    exit_code = 1


class SetupError(BeatlakeError):
    """The machine, not the data or the code, is in the way.

    Args:
        sentence: What is wrong, in one sentence.
        mend: The command that mends it.
    """

    exit_code = 2

    def __init__(self, sentence: str, mend: str) -> None:
        super().__init__(f"{sentence}\n  mend it with: {mend}")
        self.sentence = sentence
        self.mend = mend


class InputError(BeatlakeError):
    """The input is not what the contracts say it is."""

    exit_code = 3


class GateError(BeatlakeError):
    """The audit refused to publish; the message says which rule, where and how many."""

    exit_code = 4


class LeakError(BeatlakeError):
    """A leak gate refused a model; the message says which gate, what it found and what to do."""

    exit_code = 5


class ConflictError(BeatlakeError):
    """Another run holds the lake."""

    exit_code = 6


class OutOfRoomError(BeatlakeError):
    """A disk is full."""

    exit_code = 2


class ProcessLostError(BeatlakeError):
    """A process that trains together with others has ended before its time."""

    exit_code = 2


class SparkLostError(BeatlakeError):
    """The Java process that drives Spark has ended."""

    exit_code = 2


def cause(error: BaseException, lake: Path | None) -> BeatlakeError | None:
    """What to say in place of an error that came of the machine; None where it did not.

    Args:
        error: what stopped the work.
        lake: the lake that was worked on, if one was.
    """
    return out_of_room(error, lake) or spark_lost(error)


def out_of_room(error: BaseException, lake: Path | None) -> OutOfRoomError | None:
    """What to say in place of an error that came of a full disk; None where it did not.

    Spark and delta-rs hand on the system's words at the bottom of their own, so the words are
    looked for in the error and in those that it came of.

    Args:
        error: what stopped the work.
        lake: the lake that was worked on, if one was.
    """
    full = (link for link in _chain(error) if any(words in str(link) for words in _FULL))
    link = next(full, None)
    if link is None:
        return None
    if lake is None:
        place = f" ({link.filename})" if isinstance(link, OSError) and link.filename else ""
        return OutOfRoomError(f"A disk is full{place}. Make room and do it again.")
    temporary = os.environ.get("SPARK_LOCAL_DIRS", tempfile.gettempdir())
    return OutOfRoomError(
        f"A disk is full: {_room(lake)} are free for {lake}, and {_room(Path(temporary))} in"
        f" {temporary} for what Spark keeps while it runs (SPARK_LOCAL_DIRS names another"
        " place). Make room and do it again: a run goes on where it stopped."
    )


def spark_lost(error: BaseException) -> SparkLostError | None:
    """What to say in place of an error that came of a Java process that has ended; None otherwise.

    Whichever call comes first fails, in one of many ways that py4j knows, so the place is looked
    at and not the words.
    """
    spark = sys.modules.get("pyspark")
    if spark is None or not any(_may_be_of_py4j(link) for link in _chain(error)):
        return None
    # Nothing is known of a process that started this one, as spark-submit does.
    process = getattr(spark.SparkContext._gateway, "proc", None)
    if process is None or process.poll() is None:
        return None
    return SparkLostError(
        f"The Java process that drives Spark has ended ({_ended(process.returncode)}). Do it again:"
        " a run goes on where it stopped. If the system ended it for want of memory, give it less"
        " (--set spark.memory=2g) or close other programs."
    )


@contextmanager
def naming_the_cause(lake: Path) -> Iterator[None]:
    """Say it in one sentence where the machine is what stopped the block.

    Raises:
        OutOfRoomError: in place of an error that came of a full disk.
        SparkLostError: in place of one that came of a Java process that has ended.
    """
    try:
        yield
    except BeatlakeError:
        raise
    except Exception as error:
        named = cause(error, lake)
        if named is None:
            raise
        raise named from error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _may_be_of_py4j(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__module__.startswith("py4j.")


def _ended(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _room(place: Path) -> str:
    try:
        return f"{shutil.disk_usage(place).free / 1e6:,.1f} MB"
    except OSError:
        return "an unknown amount"

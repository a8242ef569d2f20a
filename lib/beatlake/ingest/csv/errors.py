"""The error for input that cannot be read at all, as against a record that is set aside."""

from __future__ import annotations

from collections.abc import Iterable


class CsvInputError(Exception):
    """A file is not what was expected; the message says what, where, and what to do.

    Problems of one file are collected, so that a person mends them all in one go.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        """Takes one sentence for each problem."""
        self.problems: tuple[str, ...] = (
            (problems,) if isinstance(problems, str) else tuple(problems)
        )
        # The tuple is the only argument, so that the error survives pickling between processes.
        super().__init__(self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        return f"{len(self.problems)} problems:" + "".join(f"\n  - {p}" for p in self.problems)

"""Errors that tell the person who reads them what to do."""


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


class ConflictError(BeatlakeError):
    """Another run holds the lake."""

    exit_code = 6

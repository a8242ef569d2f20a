"""A fit that is killed after its second round, and one that goes on from there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from beatlake.learn.estimators.networks.network import Network
from beatlake.learn.estimators.networks.rounds import Record, State
from beatlake.learn.records import Records


def killed_and_done_again(
    fitted: Callable[[Records | None], Network], records: Records, monkeypatch: pytest.MonkeyPatch
) -> tuple[Network, list[int]]:
    """The network that the second fit ends with, and the rounds that it trained."""
    keep, trained = Record.keep, []

    def killed(record: Record, state: State) -> None:
        keep(record, state)
        if state.rounds == 2:
            raise KeyboardInterrupt

    def counted(record: Record, state: State) -> None:
        keep(record, state)
        trained.append(state.rounds)

    monkeypatch.setattr(Record, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        fitted(records)
    monkeypatch.setattr(Record, "keep", counted)
    return fitted(records), trained

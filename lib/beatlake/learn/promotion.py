"""Which model of a task is used: promotion and rollback."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from beatlake.commits import Stamp
from beatlake.lake import Lake
from beatlake.learn import registry
from beatlake.learn.registry import Events, ModelError, Registered


def choose(lake: Lake, task: str, version: int | None = None) -> Registered:
    """A registered model, verified: the champion by default.

    Raises:
        ModelError: there is none, or its files are not those that were registered.
    """
    known = registry.events(lake)
    if version is None:
        champion = known.champion(task)
        if champion is None:
            raise ModelError(
                f"{task} has no champion: `beatlake models promote {task} VERSION` makes one, or"
                " name a --version."
            )
        version = int(champion["version"])
    row = known.registered(task, version)
    if row is None:
        raise ModelError(f"{task} has no version {version}; `beatlake models list` shows them.")
    found = registry.verified(registry.folder_of(lake, task, version), row["manifest_sha256"])
    if (found.manifest.task, found.manifest.version) != (task, version):
        raise ModelError(f"{found.folder} holds another model than {task} version {version}.")
    return found


def promote(lake: Lake, task: str, version: int) -> Registered:
    """Make a version the champion of its task, in one commit to `ml.models`; the model.

    Raises:
        ModelError: it is not there or not whole, a gate was broken that nobody acknowledged, or it
            is worse than the champion beyond the champion's interval.
    """
    found = choose(lake, task, version)
    broken = [
        gate["gate"]
        for gate in found.manifest.gates
        if not gate["passed"] and not gate["acknowledged"]
    ]
    if broken:
        raise ModelError(f"Version {version} of {task} breaks {', '.join(broken)}.")

    def made(known: Events) -> list[dict[str, object]]:
        row = registry.refuse_promotion(known, task, version, found.manifest.headline)
        return [_again(row, "promoted")]

    registry.commit(lake, _stamp(found), made)
    return found


def roll_back(lake: Lake, task: str) -> int:
    """Make the champion before the present one the champion again; its version.

    Raises:
        ModelError: there was none before.
    """
    chosen: list[int] = []

    def made(known: Events) -> list[dict[str, object]]:
        before = _before(known, task)
        registered = known.registered(task, before)
        assert registered is not None
        chosen[:] = [before]
        return [_again(registered, "rolled_back")]

    found = choose(lake, task, _before(registry.events(lake), task))
    registry.commit(lake, _stamp(found), made)
    return chosen[0]


def _before(known: Events, task: str) -> int:
    """The champion that a rollback leads to: those that were left behind do not come again."""
    line: list[int] = []
    for row in known.of(task):
        if row["event"] == "promoted" and (not line or line[-1] != row["version"]):
            line.append(int(row["version"]))
        elif row["event"] == "rolled_back":
            line = line[:-1]
    if len(line) < 2:
        raise ModelError(f"{task} has no champion before the present one.")
    return line[-2]


def _again(row: Mapping[str, Any], event: str) -> dict[str, object]:
    return {**row, "event": event, "at": datetime.now(timezone.utc)}


def _stamp(found: Registered) -> Stamp:
    manifest = found.manifest
    return Stamp(manifest.training_id, "promotion", manifest.features_sha256, manifest.code_version)

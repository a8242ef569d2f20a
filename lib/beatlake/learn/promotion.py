"""Which model of a task is used: promotion and rollback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from beatlake.commits import Stamp
from beatlake.lake import Lake
from beatlake.learn import comparison, registry
from beatlake.learn.judgement import Difference
from beatlake.learn.judgement.scores import LESS_IS_BETTER
from beatlake.learn.registry import Events, ModelError, Registered


@dataclass(frozen=True)
class Promoted:
    """A model that was made the champion.

    Args:
        found: the model.
        compared: how it compares with the champion before it, in words; "" where that is no other.
    """

    found: Registered
    compared: str


def choose(lake: Lake, task: str, version: int | None = None) -> Registered:
    """A registered model, verified: the champion by default.

    Raises:
        ModelError: there is none, or its files are not those that were registered.
    """
    known = registry.events(lake)
    _refuse_untrained(known, task)
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


def promote(lake: Lake, task: str, version: int) -> Promoted:
    """Make a version the champion of its task, in one commit to `ml.models`.

    Raises:
        ModelError: it is not there or not whole, a gate was broken that nobody acknowledged, its
            headline is the random rung or not the champion's, or it is worse than the champion: by
            the paired difference that `comparison` gives, or, where there is none, beyond the
            champion's own interval.
    """
    found = choose(lake, task, version)
    broken = [
        gate["gate"]
        for gate in found.manifest.gates
        if not gate["passed"] and not gate["acknowledged"]
    ]
    if broken:
        raise ModelError(f"Version {version} of {task} breaks {', '.join(broken)}.")

    compared: list[str] = []

    def made(known: Events) -> list[dict[str, object]]:
        row = _promotable(known, found)
        # The champion may be another than a moment ago, when this is called again.
        compared[:] = [_compared(lake, known, row, found)]
        return [_again(row, "promoted")]

    registry.commit(lake, _stamp(found), made)
    return Promoted(found, compared[0])


def roll_back(lake: Lake, task: str) -> int:
    """Make the champion before the present one the champion again; its version.

    Raises:
        ModelError: there is no champion, or was none before.
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
    _refuse_untrained(known, task)
    if known.champion(task) is None:
        raise ModelError(
            f"{task} has no champion: `beatlake models promote {task} VERSION` makes one."
        )
    line: list[int] = []
    for row in known.of(task):
        if row["event"] == "promoted" and (not line or line[-1] != row["version"]):
            line.append(int(row["version"]))
        elif row["event"] == "rolled_back":
            line = line[:-1]
    if len(line) < 2:
        raise ModelError(f"{task} has no champion before the present one.")
    return line[-2]


def _refuse_untrained(known: Events, task: str) -> None:
    if not any(row["event"] == "registered" for row in known.of(task)):
        raise ModelError(
            f"{task} has no model: train one first, with `beatlake train --task {task}` (or the"
            " task's file)."
        )


def _promotable(known: Events, found: Registered) -> dict[str, Any]:
    """The registration of a version that may be promoted where there is no champion."""
    task, version = found.manifest.task, found.manifest.version
    row = known.registered(task, version)
    if row is None:
        raise ModelError(f"{task} has no version {version}; `beatlake models list` shows them.")
    if row["headline"] == "random" or found.manifest.headline == "random":
        raise ModelError("A model is never promoted by its score on the random rung.")
    return row


def _compared(lake: Lake, known: Events, row: Mapping[str, Any], found: Registered) -> str:
    """How a version compares with the champion, in words; "" where that is no other.

    Raises:
        ModelError: the champion is judged otherwise, or better.
    """
    task, version, metric = row["task"], row["version"], row["metric"]
    champion = known.champion(task)
    if champion is None or champion["version"] == version:
        return ""
    if (champion["headline"], champion["metric"]) != (row["headline"], metric):
        raise ModelError(
            f"Version {version} is judged by {metric} on the {row['headline']} rung, the"
            f" champion {champion['version']} by {champion['metric']} on {champion['headline']}:"
            " they cannot be compared. Roll back, or train with the same headline."
        )
    try:
        other = choose(lake, task, int(champion["version"]))
        beside = comparison.by_metric(lake, found, other, metric)
    except ModelError as error:
        # A champion whose files are damaged can still be followed.
        worse, said = _unpaired(row, champion)
        said = f"{said} This goes by the champion's own interval, for want of a paired one. {error}"
    else:
        worse = beside.first_is == "worse"
        said = _paired(row, champion, beside)
    if worse:
        raise ModelError(f"Version {version} is not promoted. {said}")
    return said


def _paired(row: Mapping[str, Any], champion: Mapping[str, Any], beside: Difference) -> str:
    # Who is refused leaves the champion where it is.
    than = {
        "worse": "worse than the champion",
        "better": "better than the champion before",
        "not told apart": "not told apart from the champion before",
    }
    return (
        f"Version {row['version']} is {than[beside.first_is]}, version {champion['version']}, on"
        f" the {beside.n:,} test rows that both predicted: {beside.metric} {beside.first:.4f}"
        f" against {beside.second:.4f} (difference {beside.value:+.4f}, 95 % interval"
        f" {beside.low:+.4f} to {beside.high:+.4f})."
    )


def _unpaired(row: Mapping[str, Any], champion: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a version's score is worse than the champion's beyond its interval, and in words."""
    worse = _worse(row, champion)
    between = (
        "it has no interval"
        if champion["low"] is None
        else f"95 % interval {champion['low']:.4f} to {champion['high']:.4f}"
    )
    return worse, (
        f"{row['metric']} {_number(row['value'])} of version {row['version']} on the"
        f" {row['headline']} rung is {'' if worse else 'not '}worse than the champion's"
        f" {_number(champion['value'])} (version {champion['version']}, {between})."
    )


def _worse(row: Mapping[str, Any], champion: Mapping[str, Any]) -> bool:
    if champion["value"] is None:
        return False
    if row["value"] is None:
        return True
    if row["metric"] in LESS_IS_BETTER:
        limit = champion["value"] if champion["high"] is None else champion["high"]
        return bool(row["value"] > limit)
    limit = champion["value"] if champion["low"] is None else champion["low"]
    return bool(row["value"] < limit)


def _number(value: float | None) -> str:
    return "(none)" if value is None else f"{value:.4f}"


def _again(row: Mapping[str, Any], event: str) -> dict[str, object]:
    return {**row, "event": event, "at": datetime.now(timezone.utc)}


def _stamp(found: Registered) -> Stamp:
    manifest = found.manifest
    return Stamp(manifest.training_id, "promotion", manifest.features_sha256, manifest.code_version)

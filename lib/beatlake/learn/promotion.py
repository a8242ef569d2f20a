"""Which model of a task is used: promotion, rollback, and what is shown of models."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from beatlake.lake import Lake, Stamp
from beatlake.learn import registry
from beatlake.learn.figures import BASELINE, UNRESAMPLED
from beatlake.learn.registry import Events, ModelError, Registered
from beatlake.learn.task import RUNGS
from beatlake.tables import ml


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


def promote(lake: Lake, task: str, version: int) -> None:
    """Make a version the champion of its task, in one commit to `ml.models`.

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


def ladder(
    lake: Lake, task: str, version: int | None = None, *, evaluated: bool = False
) -> list[dict[str, Any]]:
    """What models scored, a line per version, rung and metric, over all rows.

    Lines are of one version, or of all models of the task's newest training; what stands beside
    them on each rung, unresampled models and baselines, comes last. A rung that the table cannot
    have is a line with the reason.

    Args:
        lake: where they are registered.
        task: its name.
        version: of one model.
        evaluated: whether the newest evaluation is shown in place of the training.

    Raises:
        ModelError: there is no such model.
    """
    event = "evaluated" if evaluated else "registered"
    listed = [row for row in registry.events(lake).of(task) if row["event"] == event]
    if version is not None:
        listed = [row for row in listed if row["version"] == version]
    if not listed:
        what = f"no version {version}" if version is not None else "no model"
        that = " that was evaluated" if evaluated else ""
        raise ModelError(f"{task} has {what}{that}; `beatlake models list` shows what there is.")
    newest = [row for row in listed if row["training_id"] == listed[-1]["training_id"]]
    training_id = newest[0]["training_id"]
    rungs = _rows(lake, ml.SPLITS.name, training_id)
    rungs.sort(key=lambda rung: RUNGS.index(rung["rung"]))
    scores = _rows(lake, ml.METRICS.name, training_id)
    lines = []
    for row in newest:
        for rung in rungs:
            if rung["unavailable"]:
                lines.append(_line(row, rung, row["estimator"], None))
            lines += [
                _line(row, rung, row["estimator"], score)
                for score in scores
                if score["rung"] == rung["rung"]
                and score["estimator"] == row["estimator"]
                and score["slice_name"] is None
            ]
    for rung in rungs:
        lines += [
            _line(newest[0], rung, score["estimator"], score)
            for score in scores
            if score["rung"] == rung["rung"]
            and score["estimator"].startswith((UNRESAMPLED, BASELINE))
            and score["slice_name"] is None
        ]
    return lines


def _line(
    row: Mapping[str, Any], rung: Mapping[str, Any], estimator: str, score: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "task": row["task"],
        "version": row["version"],
        "estimator": estimator,
        "rung": rung["rung"],
        "headline": rung["rung"] == row["headline"],
        "metric": score["metric"] if score else row["metric"],
        "headline_metric": score is not None and score["metric"] == row["metric"],
        "value": score["value"] if score else None,
        "interval": [score["low"], score["high"]] if score else None,
        "n": score["n"] if score else None,
        "groups": score["groups"] if score else None,
        "train": rung["train"],
        "purged": rung["purged"],
        "unavailable": rung["unavailable"],
    }


def _rows(lake: Lake, table: str, training_id: str) -> list[dict[str, Any]]:
    found = lake.open(table).to_pyarrow_table(filters=[("training_id", "=", training_id)])
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows

"""What is shown of registered models: the list of them, and a model on every rung.

Everything is read from the `ml` tables, as lines that are printed as a table or as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from beatlake.lake import Lake
from beatlake.learn import registry
from beatlake.learn.figures import BASELINE, UNRESAMPLED
from beatlake.learn.registry import ModelError
from beatlake.learn.task import RUNGS
from beatlake.tables import ml


def registered(lake: Lake) -> list[dict[str, Any]]:
    """Every registered model, in order; the champion of each task is marked."""
    known = registry.events(lake)
    lines = []
    for row in known.rows:
        if row["event"] != "registered":
            continue
        champion = known.champion(row["task"])
        lines.append(
            {
                "task": row["task"],
                "version": row["version"],
                "estimator": row["estimator"],
                "rung": row["headline"],
                "metric": row["metric"],
                "value": row["value"],
                "interval": [row["low"], row["high"]],
                "beats_baselines": row["beats_baselines"],
                "champion": champion is not None and champion["version"] == row["version"],
                "registered": f"{row['at']:%Y-%m-%dT%H:%M:%SZ}",
            }
        )
    return lines


def ladder(
    lake: Lake, task: str, version: int | None = None, *, evaluated: bool = False
) -> list[dict[str, Any]]:
    """What models scored, a line per version, rung and metric, over all rows.

    Lines are of one version, or of all models of the task's newest training; what stands beside
    them on each rung, unresampled models and baselines, comes last. A rung that the table cannot
    have is a line with the reason. The line of a model's headline metric on a rung has the
    candidates that its parameters and features were chosen among there (``tuning``), and that of
    the headline rung what the model makes of each feature (``importances``). Rows by side are
    those of `ml.splits`: where nothing watches a fit, ``valid`` and ``between`` train, too.

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
    tried = _rows(lake, ml.TUNING.name, training_id)
    weighed = _rows(lake, ml.IMPORTANCES.name, training_id)
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
    for line in lines:
        if line["headline_metric"]:
            line["tuning"] = _candidates(_of(line, tried))
            line["importances"] = [
                {key: one[key] for key in ("method", "feature", "value", "low", "high", "n")}
                for one in _of(line, weighed)
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
        "valid": rung["valid"],
        "between": rung["between"],
        "purged": rung["purged"],
        "unavailable": rung["unavailable"],
        "tuning": [],
        "importances": [],
    }


def _of(line: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a line's model on its rung."""
    mine = line["estimator"], line["rung"]
    return [row for row in rows if (row["estimator"], row["rung"]) == mine]


def _candidates(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `ml.tuning` as a line for each candidate, with its values fold by fold."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["candidate"], row["fold"])):
        line = found.setdefault(
            (row["step"], row["candidate"]),
            {
                "step": row["step"],
                "candidate": row["candidate"],
                "parameters": json.loads(row["parameters"]),
                "features": row["features"],
                "metric": row["metric"],
                "values": [],
                "chosen": row["chosen"],
            },
        )
        line["values"].append(row["value"])
    # A search comes before an elimination, which takes its parameters.
    return sorted(found.values(), key=lambda line: line["step"] == "elimination")


def _rows(lake: Lake, table: str, training_id: str) -> list[dict[str, Any]]:
    if not lake.exists(table):
        return []
    rows: list[dict[str, Any]] = lake.rows(table, equal={"training_id": training_id}).to_pylist()
    return rows

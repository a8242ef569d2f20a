"""The registry: models as directories that say what they are, and what became of them.

A model is ``models/TASK/VERSION/`` in the lake: Spark ML's directory or XGBoost's booster,
``features.json`` (the fitted columns), ``task.json``, the card, and ``manifest.json`` with the
SHA-256 of every other file. Nothing in it is pickle. A model is loaded only after every file was
found to be the one that the manifest names, no other being there, and the manifest to be the one
that `ml.models` names, where that is known.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from beatlake.commits import APPLICATION, Committed, OvertakenError, Stamp
from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.learn import estimators
from beatlake.learn.estimators import Local, Model
from beatlake.learn.features import FittedFeatures
from beatlake.learn.task import Task
from beatlake.tables import ml

MANIFEST, FEATURES, TASK = "manifest.json", "features.json", "task.json"
#: Beside the versions of a task: records of fits on folds (`beatlake.learn.records`).
RECORDS = ".folds"
#: How often a commit to `ml.models` is tried when others come first.
_TRIES = 20
#: Endings and beginnings of files that could run code when they are loaded.
_PICKLES = (".pkl", ".pickle", ".joblib", ".cloudpickle", ".pt", ".bin")


class ModelError(InputError):
    """A model is not there, or not what its manifest says."""


class Manifest(BaseModel):
    """What a model is made of; see the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = 1
    task: str
    version: int
    kind: str
    estimator: str
    training_id: str
    created: str
    parameters: dict[str, Any]
    seed: int
    salt: str
    headline: str
    metric: str
    train_until: str | None
    columns: list[str]
    classes: list[str]
    known_classes: list[int]
    edges: list[float]
    features_sha256: str
    inputs: dict[str, str]
    libraries: dict[str, str]
    code_version: str
    metrics: list[dict[str, Any]]
    rungs: list[dict[str, Any]]
    gates: list[dict[str, Any]]
    verdict: str
    facts: dict[str, Any]
    choices: list[dict[str, Any]] = []
    importances: list[dict[str, Any]] = []
    files: dict[str, str]


@dataclass(frozen=True)
class Registered:
    """A model that was found to be whole."""

    folder: Path
    manifest: Manifest
    task: Task
    fitted: FittedFeatures

    def load(self) -> Model:
        """The model itself; Spark ML's need a session."""
        return estimators.load(
            self.folder, self.manifest.estimator, self.manifest.kind, tuple(self.manifest.columns)
        )

    def stored(self) -> tuple[type[Local], bytes]:
        """The class and the content of a model that predicts without Spark, for workers."""
        return estimators.stored(self.folder, self.manifest.estimator)


def folder_of(lake: Lake, task: str, version: int) -> Path:
    """Where a version is.

    Raises:
        LakeError: a link leads from there out of the lake.
    """
    return lake.inside("models", task, str(version))


def versions(lake: Lake, task: str) -> list[int]:
    """The versions of a task's models that are there, oldest first."""
    place = lake.inside("models", task)
    if not place.is_dir():
        return []
    return sorted(int(p.name) for p in place.iterdir() if p.name.isdecimal() and p.is_dir())


def store(
    lake: Lake,
    task: Task,
    fitted: FittedFeatures,
    describe: Callable[[int, Mapping[str, str]], Manifest],
    fill: Callable[[Path, int], None],
) -> tuple[Manifest, str]:
    """Write a model as the next version of its task; the manifest and its hash.

    The directory comes to be by one rename, so that it is whole or absent.

    Args:
        lake: where to.
        task: that it answers.
        fitted: its columns.
        describe: makes the manifest, of the version and the hashes of the files.
        fill: writes the model's own files into a folder, for a version.
    """
    place = lake.inside("models", task.name)
    place.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
    try:
        while True:
            version = max(versions(lake, task.name), default=0) + 1
            for left in scratch.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            fill(scratch, version)
            (scratch / FEATURES).write_text(fitted.json(), encoding="utf-8")
            (scratch / TASK).write_text(task.model_dump_json(indent=1), encoding="utf-8")
            _refuse_pickles(scratch)
            manifest = describe(version, _hashes(scratch))
            text = manifest.model_dump_json(indent=1)
            (scratch / MANIFEST).write_text(text, encoding="utf-8")
            scratch.chmod(0o755)
            target = folder_of(lake, task.name, version)
            try:
                # A rename onto a directory that is not empty fails: another came first.
                os.rename(scratch, target)
            except OSError:
                if target.exists():
                    continue
                raise
            return manifest, hashlib.sha256(text.encode()).hexdigest()
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def verified(folder: Path, manifest_sha256: str | None = None) -> Registered:
    """A model's description, once every file of it was found to be its own.

    Args:
        folder: of one version, wherever it was moved to.
        manifest_sha256: the hash that the manifest must have, where that is known.

    Raises:
        ModelError: there is no model, or it is damaged, has files of others or links.
    """
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
        manifest = Manifest.model_validate_json(text)
    except OSError:
        raise ModelError(f"{folder} holds no model: {MANIFEST} is not there.") from None
    except (ValidationError, UnicodeDecodeError):
        raise ModelError(f"{folder / MANIFEST} is not the manifest of a model.") from None
    if manifest_sha256 not in (None, hashlib.sha256(text.encode()).hexdigest()):
        raise ModelError(f"{folder / MANIFEST} is not the one that was registered.")
    links = [p for p in folder.rglob("*") if p.is_symlink()]
    if links:
        raise ModelError(f"{folder} holds a link, {links[0].name}: nothing is loaded through one.")
    found = _hashes(folder)
    problems = [f"{name} is gone" for name in manifest.files if name not in found]
    problems += [f"{name} is not of the model" for name in found if name not in manifest.files]
    problems += [
        f"{name} was changed"
        for name, sha256 in manifest.files.items()
        if name in found and found[name] != sha256
    ]
    if problems:
        raise ModelError(f"The model in {folder} is not whole: {'; '.join(sorted(problems)[:5])}.")
    _refuse_pickles(folder)
    fitted = FittedFeatures.parse((folder / FEATURES).read_text(encoding="utf-8"))
    task = Task.model_validate_json((folder / TASK).read_text(encoding="utf-8"))
    if fitted.sha256 != manifest.features_sha256 or list(fitted.names) != manifest.columns:
        raise ModelError(f"{folder / FEATURES} is not the feature specification of this model.")
    return Registered(folder, manifest, task, fitted)


def _hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file but the manifest, by its path below the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _refuse_pickles(folder: Path) -> None:
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        if path.suffix.lower() in _PICKLES or path.read_bytes()[:2] in (
            b"\x80\x02",
            b"\x80\x03",
            b"\x80\x04",
            b"\x80\x05",
        ):
            raise ModelError(f"{path.name} is or may be pickle, which runs code when it is loaded.")
        if path.suffix == "" and b"serialized_callbacks" in path.read_bytes():
            raise ModelError(f"{path.name} holds callbacks, which are pickle.")


@dataclass(frozen=True)
class Events:
    """The rows of `ml.models`, in order, and the number of the newest commit."""

    rows: list[dict[str, Any]]
    number: int

    def of(self, task: str) -> list[dict[str, Any]]:
        """Those of a task."""
        return [row for row in self.rows if row["task"] == task]

    def registered(self, task: str, version: int) -> dict[str, Any] | None:
        """The registration of a version."""
        return next(
            (
                row
                for row in self.of(task)
                if row["event"] == "registered" and row["version"] == version
            ),
            None,
        )

    def champion(self, task: str) -> dict[str, Any] | None:
        """The newest promotion or rollback of a task."""
        chosen = [row for row in self.of(task) if row["event"] in ("promoted", "rolled_back")]
        return chosen[-1] if chosen else None


def events(lake: Lake) -> Events:
    """What happened to the models of a lake."""
    if not lake.exists(ml.MODELS.name):
        return Events([], 0)
    table = lake.open(ml.MODELS.name)
    rows = lake.rows(ml.MODELS.name, table).to_pylist()
    rows.sort(key=lambda row: (row["number"], row["task"], row["version"]))
    return Events(rows, table.transaction_version(APPLICATION) or 0)


def commit(
    lake: Lake, stamp: Stamp, make: Callable[[Events], list[dict[str, object]]]
) -> Committed:
    """Add rows to `ml.models` in one commit that no other comes before.

    Args:
        lake: where to.
        stamp: the origin of the commit.
        make: the rows, of what happened so far; called again when another commit came first.

    Raises:
        OvertakenError: others came first again and again.
    """
    for _ in range(_TRIES):
        known = events(lake)
        number = known.number + 1
        rows = [{**row, "number": number} for row in make(known)]
        try:
            return lake.record(ml.MODELS, rows, stamp, "append", number)
        except OvertakenError:
            continue
    raise OvertakenError(f"Other commits to {ml.MODELS.name} came first {_TRIES} times. Try again.")

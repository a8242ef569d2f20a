"""Task files: a YAML file made into a task, with what it extends.

The built-in tasks are in ``conf/tasks/``; any file of the same shape does. One that differs from
another in a few keys says so (``extends: popularity``, or a file beside it) and gives those alone:
mappings are put into those of the other, and anything else takes its place. An unknown key is an
error that names the near one.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from beatlake.config import ConfigError
from beatlake.learn.task import Task
from beatlake.resources import conf_path


def built_in() -> list[str]:
    """Names of the tasks that come with beatlake."""
    found = conf_path("tasks").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in found if f.name.endswith(".yaml"))


def load(name: str) -> Task:
    """A built-in task by name, or the one in a file.

    Raises:
        ConfigError: there is no such task or file, or every unknown or invalid key at once.
    """
    _check_name(name)
    return _task(_tree(name, ()), name)


def _check_name(name: str) -> None:
    if name not in built_in() and Path(name).suffix not in (".yaml", ".yml"):
        near = difflib.get_close_matches(name, built_in(), n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise ConfigError(
            f"There is no task {name}{hint} There are {', '.join(built_in())}, and any .yaml file."
        )


def parse(text: str, origin: str) -> Task:
    """The task that a YAML text holds, which may extend a built-in one.

    Raises:
        ConfigError: it is not YAML, or every unknown or invalid key at once.
    """
    return _task(_extended(_parsed(text, origin), Path(), (origin,)), origin)


def _tree(name: str, by: tuple[str, ...]) -> dict[str, Any]:
    """The keys of a built-in task or of a file, those of what it extends among them."""
    if name in by:
        raise ConfigError(f"Tasks extend one another in a circle: {' -> '.join((*by, name))}.")
    if name in built_in():
        text = conf_path("tasks", f"{name}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Cannot read the task file {name}: {error}.") from error
    return _extended(_parsed(text, name), Path(name).parent, (*by, name))


def _extended(tree: dict[str, Any], folder: Path, by: tuple[str, ...]) -> dict[str, Any]:
    if "extends" not in tree:
        return tree
    other = str(tree.pop("extends"))
    _check_name(other)
    return _merged(_tree(other if other in built_in() else str(folder / other), by), tree)


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """One mapping put into another, mappings within it likewise."""
    found = dict(under)
    for key, value in over.items():
        inner = found.get(key)
        if isinstance(inner, dict) and isinstance(value, dict):
            found[key] = _merged(inner, value)
        else:
            found[key] = value
    return found


def _parsed(text: str, origin: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{origin} is not valid YAML{where}.") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{origin} must hold a mapping: name, table, label, features ...")
    return tree


def _task(tree: dict[str, Any], origin: str) -> Task:
    try:
        return Task.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{origin} is not a task. {_explain(error, tree)}") from None


def _explain(error: ValidationError, tree: Any) -> str:
    sentences = []
    for problem in error.errors():
        where = [str(part) for part in problem["loc"]]
        key = ".".join(where) or "the task"
        if problem["type"] == "extra_forbidden":
            known = _keys_beside(problem["loc"])
            near = difflib.get_close_matches(where[-1], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
            sentences.append(f"There is no key {key}; {hint}")
        else:
            sentences.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}.")
    return " ".join(dict.fromkeys(sentences))


def _keys_beside(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a task may have where an unknown one was found."""
    part: Any = Task
    for step in loc[:-1]:
        if isinstance(part, type) and issubclass(part, BaseModel):
            field = part.model_fields.get(str(step))
            # A place in a list or a name in a mapping leads to no other model.
            part = _model_in(field.annotation) if field else part
    known = isinstance(part, type) and issubclass(part, BaseModel)
    return list(part.model_fields) if known else []


def _model_in(annotation: Any) -> Any:
    """The model that a field's type holds, whatever it is wrapped in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None

"""Typed settings: defaults < conf/pipeline.yaml < --config FILE < environment < --set.

A setting is marked ``content`` when changing it changes what the tables hold; only those enter
the keys that decide whether a stage must run again. Cores, memory and split sizes do not.
"""

from __future__ import annotations

import difflib
import os
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, SecretStr, ValidationError

from beatlake.redaction import names_secret, redacted
from beatlake.resources import read_conf
from beatlake.session import SparkSettings

ENVIRONMENT_PREFIX = "BEATLAKE_SET_"


class ConfigError(Exception):
    """Settings that cannot be used; the message names every one and the nearest valid key."""


def content(default: Any, description: str, **limits: Any) -> Any:
    """A setting that changes what the tables hold."""
    return Field(default, description=description, json_schema_extra={"content": True}, **limits)


class Section(BaseModel):
    """A group of settings; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def content(self) -> dict[str, Any]:
        """The settings of this group that change what the tables hold."""
        marked = {
            name
            for name, info in type(self).model_fields.items()
            if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("content")
        }
        return self.model_dump(mode="json", include=marked)


class IngestSettings(Section):
    """How CSV files become bronze and quarantine tables."""

    split_mb: int = Field(32, ge=1, description="Bytes of CSV per task, in MiB.")
    survey_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="Threads of the boundary pass.",
    )
    max_record_bytes: int = content(1 << 20, "Longest record that is read, in bytes.", ge=64)
    max_record_lines: int = content(1000, "Most lines that one record may span.", ge=1)


class IntegrateSettings(Section):
    """How bronze becomes silver."""

    half_time_below: dict[int, float] = content(
        {1: 110.0},
        "Beatport genre id -> bpm below which a tempo is taken as half-time and doubled.",
    )


class AggregateSettings(Section):
    """How silver becomes gold."""

    hemisphere: Literal["north", "south"] = content(
        "north", "Hemisphere whose meteorological seasons are used."
    )


class PreviewSettings(Section):
    """How previews are fetched; nothing is asked of any server unless ``fetch`` is on."""

    fetch: bool = Field(False, description="Whether servers may be asked for previews at all.")
    contact: str | None = Field(
        None,
        min_length=3,
        max_length=200,
        pattern=r"^[!-~]+( [!-~]+)*$",
        description="Who asks: an e-mail or web address that servers are told. Fetching needs it.",
    )
    requests_per_s: float = Field(
        2.0, gt=0, le=1000, description="Requests a second that one host gets at most."
    )
    at_a_time: int = Field(4, ge=1, le=64, description="Files that are fetched at the same time.")
    retries: int = Field(
        3, ge=0, le=10, description="Times that a file is asked for again after trouble."
    )
    backoff_s: float = Field(
        1.0, gt=0, le=60, description="Seconds before the first of them; they double each time."
    )
    longest_wait_s: float = Field(
        60.0,
        gt=0,
        le=600,
        description="Seconds that are waited at most; a host that asks for more is left alone.",
    )
    connect_timeout_s: float = Field(10.0, gt=0, le=120, description="Seconds to a connection.")
    read_timeout_s: float = Field(
        20.0, gt=0, le=120, description="Seconds without a byte after which a server has stalled."
    )
    total_s: float = Field(
        120.0,
        gt=0,
        le=3600,
        description="Seconds that a file may take in all, retries included, waiting for its turn"
        " not.",
    )
    max_mb: float = Field(10.0, gt=0, le=1024, description="Largest file that is taken, in MiB.")
    redirects: int = Field(5, ge=0, le=20, description="Redirects that are followed in a row.")
    give_up_after: int = Field(
        20,
        ge=1,
        le=10_000,
        description="Files in a row that a host may fail to give before it is asked for no more.",
    )
    cache: Path | None = Field(
        None,
        description="Folder of fetched audio, which all workers see; that of the user by default.",
    )
    networks: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="Networks, such as 10.1.0.0/16, that are asked although they are not public.",
    )


class SpectrogramSettings(Section):
    """What previews are made into; where one of these changes, all spectrograms are made anew."""

    stretch_s: float = content(
        10.0, "Seconds from the middle of a preview; silence where it is shorter.", ge=1, le=60
    )
    sample_rate_hz: int = content(
        16_000, "Samples a second that it is resampled to, in mono.", ge=4_000, le=48_000
    )
    window_samples: int = content(
        1024, "Length of a transform's window.", ge=64, le=8192, multiple_of=2
    )
    hop_samples: int = content(512, "From one transform to the next.", ge=32, le=8192)
    bands: int = content(96, "Mel bands, from 0 Hz to half the sample rate.", ge=4, le=512)
    image_size: int = content(224, "Rows and columns of the square picture.", ge=16, le=1024)


class NotifySettings(Section):
    """Who is told that a run has ended."""

    webhook: SecretStr | None = Field(
        None, description="Address that gets the run's figures as JSON by POST."
    )
    command: str | None = Field(
        None, description="Command that gets them on its standard input; no shell is involved."
    )


class Settings(Section):
    """Everything a run can be told."""

    spark: SparkSettings = Field(default_factory=SparkSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    integrate: IntegrateSettings = Field(default_factory=IntegrateSettings)
    aggregate: AggregateSettings = Field(default_factory=AggregateSettings)
    previews: PreviewSettings = Field(default_factory=PreviewSettings)
    spectrograms: SpectrogramSettings = Field(default_factory=SpectrogramSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    lease_s: float = Field(
        60.0,
        ge=1,
        description="Seconds without a sign of life after which another run may take over.",
    )
    accept: tuple[str, ...] = Field(
        (), description="Figures of conf/drift.yaml that may have moved too far."
    )
    parallel_stages: int = Field(
        4, ge=1, le=16, description="Stages that may run side by side in one Spark application."
    )
    parallel_fits: int = Field(
        2, ge=1, le=64, description="Candidates of a search that may be fitted side by side."
    )

    def recorded(self) -> dict[str, Any]:
        """The settings as records and people may see them: without secrets."""
        recorded: dict[str, Any] = redacted(self.model_dump(mode="json"))
        return recorded


def load(
    config: Path | None = None,
    assignments: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from every source, the later winning.

    Args:
        config: a YAML file of the shape of `conf/pipeline.yaml`.
        assignments: ``section.key=value`` texts, values in YAML.
        environment: variables such as ``BEATLAKE_SET_INGEST__SPLIT_MB=64``; the process's own by
            default.

    Raises:
        ConfigError: a file that cannot be read, or every unknown or invalid key at once.
    """
    environment = os.environ if environment is None else environment
    tree = _yaml(read_conf("pipeline.yaml"), "conf/pipeline.yaml")
    if config is not None:
        try:
            tree = _merge(tree, _yaml(config.read_text(encoding="utf-8"), str(config)))
        except OSError as error:
            raise ConfigError(f"Cannot read the settings file {config}: {error}.") from error
    for name, value in sorted(environment.items()):
        if name.startswith(ENVIRONMENT_PREFIX):
            path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            tree = _merge(tree, _nested(path, _yaml_value(value, name)))
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator:
            # Not what was found: it may be a secret that lost its name.
            raise ConfigError("--set takes KEY=VALUE, and what one was given has no =.")
        tree = _merge(tree, _nested(key.strip().split("."), _yaml_value(value, key)))
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def _yaml(text: str, origin: str) -> dict[str, Any]:
    tree = _yaml_value(text, origin)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{origin} must hold a mapping of settings.")
    return tree


def _yaml_value(text: str, origin: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        # Not the whole error, which quotes a text that may hold secrets.
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
        raise ConfigError(f"{origin} is not valid YAML: {reason}{where}.") from error
    except RecursionError:
        raise ConfigError(f"{origin} is nested too deeply.") from None


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return value  # type: ignore[no-any-return]


def _merge(base: dict[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in top.items():
        below = merged.get(name)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[name] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def known_keys(section: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    """Every setting's dotted name."""
    names: list[str] = []
    for name, info in section.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += known_keys(kind, f"{prefix}{name}.")
        else:
            names.append(f"{prefix}{name}")
    return names


def _explain(error: ValidationError) -> str:
    sentences = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else "."
            sentences.append(f"There is no setting {key}{hint}")
        elif names_secret(key):
            sentences.append(f"{key} cannot be used: {problem['msg']}.")
        else:
            sentences.append(f"{key}: {problem['msg']}, found {_found(problem['input'])}.")
    return " ".join(sentences)


def _found(value: Any) -> str:
    """A value in an error: not one of many parts, any of which may be secret."""
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return reprlib.repr(value)

"""The application, and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from beatlake.reading import OpenLake

app = typer.Typer(
    help="Music catalogue files in, documented Delta tables out.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)

#: The lake of the command that runs, for the place of its error log.
lake_in_use: list[Path] = []


def _remember(lake: Path) -> Path:
    lake_in_use[:] = [lake]
    return lake


LakeOption = Annotated[
    Path,
    typer.Option(
        "--lake", envvar="BEATLAKE_LAKE", help="Directory of the lake.", callback=_remember
    ),
]
ReleaseOption = Annotated[
    Optional[int],  # noqa: UP045 - typer reads it at run time, on Python 3.10 too
    typer.Option("--release", min=1, help="Number of the release; the newest by default."),
]
ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--config", help="YAML file of settings, such as conf/pipeline.yaml."),
]
SetOption = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--set", metavar="KEY=VALUE", help="One setting; wins over all other sources."),
]
OutputOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--output", help="File to write instead of printing."),
]
DEFAULT_LAKE = Path("build/lake")


def open_lake(lake: Path, release: int | None) -> OpenLake:
    """A release of the lake, the newest by default."""
    from beatlake import reading

    return reading.open_lake(lake, release)


def check_installed() -> None:
    """Find the packages that models need, which the wheel does not bring by itself.

    Raises:
        SetupError: one of them is missing.
    """
    needed = ("imblearn", "jinja2", "matplotlib", "scipy", "sklearn", "xgboost")
    _check_extra("learn", "Models", needed)


def check_sound_installed(what: str) -> None:
    """Find the packages that reading and writing sound needs; `what` needs them.

    Raises:
        SetupError: one of them is missing.
    """
    _check_extra("sound", what, ("scipy", "soundfile", "soxr", "urllib3"))


def _check_extra(extra: str, what: str, needed: tuple[str, ...]) -> None:
    from importlib.util import find_spec

    from beatlake.errors import SetupError
    from beatlake.resources import checkout

    if missing := [name for name in needed if find_spec(name) is None]:
        raise SetupError(
            f"{what} need packages that are not installed: {', '.join(missing)}.",
            "make install" if checkout() else f"pip install 'beatlake[{extra}]'",
        )

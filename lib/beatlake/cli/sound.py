"""The command that makes sound into tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from beatlake import console
from beatlake.cli import lines
from beatlake.cli.options import (
    DEFAULT_LAKE,
    ConfigOption,
    LakeOption,
    ReleaseOption,
    SetOption,
    app,
    check_sound_installed,
)


@app.command()
def previews(
    *,
    folder: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--from",
            help="Folder of audio files, named by the 40 digits of the preview's address or by"
            " ISRC: .mp3, .ogg, .wav or .flac. Without one they are fetched, where"
            " previews.fetch is on.",
        ),
    ] = None,
    sample: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--sample",
            metavar="SHARE|N",
            help="Share of the artists, such as 0.1 or 10%, or number of recordings; all by"
            " default, with a folder.",
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Let spectrograms go of which neither this sample nor this audio is.",
        ),
    ] = False,
    lake: LakeOption = DEFAULT_LAKE,
    release: ReleaseOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    format_: lines.FormatOption = lines.Shown.table,
) -> None:
    """Decode previews of recordings and make spectrograms: ml.previews and ml.spectrograms.

    Audio that cannot be had or decoded is a row with an outcome and a reason.
    """
    check_sound_installed("Previews")
    from beatlake import config as configuration
    from beatlake.lake import Lake
    from beatlake.session import session
    from beatlake.sound import previews as making
    from beatlake.sound.sampling import Sample

    settled = configuration.load(config, settings or ())
    shape = making.shape_of(settled.spectrograms)
    if folder is None and settled.previews.fetch and sample is None:
        raise configuration.ConfigError(
            "Say of how many recordings previews are to be fetched, such as --sample 500."
        )
    made = making.make(
        session(settled.spark),
        Lake(lake),
        folder=folder,
        sample=Sample.of(sample) if sample else Sample(),
        settings=settled.previews,
        shape=shape,
        release=release,
        replace=replace,
    )
    if format_ is lines.Shown.json:
        typer.echo(json.dumps({**made.__dict__}, indent=1))
        return
    console.print_table(
        ("outcome", "recordings", "meaning"),
        [tuple(line.values()) for line in making.lines(made)],
    )
    typer.echo(
        f"Spectrograms: {made.new:,} made, {made.replaced:,} of them in place of others,"
        f" {made.kept:,} there before, {made.removed:,} removed."
    )

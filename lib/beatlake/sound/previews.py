"""Making `ml.previews` and `ml.spectrograms`: sample, find or fetch, hear, commit.

Both tables follow from the release, the sample, the audio and the parameters alone. What was heard
before and still counts is neither decoded again nor, where nothing has to go, written again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from beatlake import __version__, releases
from beatlake.commits import OvertakenError, Stamp
from beatlake.config import ConfigError, PreviewSettings, SpectrogramSettings
from beatlake.datafiles import DataFileWriter, Written
from beatlake.errors import ConflictError, InputError
from beatlake.lake import Lake
from beatlake.sound.finding import fetched, find
from beatlake.sound.hearing import BEFORE, FOUND, WRITTEN_DDL, Hearing
from beatlake.sound.sampling import Sample, database, view
from beatlake.sound.spectrograms import Shape, mel_bands, parameters
from beatlake.sound.storing import Before, Files, Made, check_losses, commit
from beatlake.tables.sound import OUTCOMES, PREVIEWS, SPECTROGRAMS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyspark.sql import SparkSession

_RECORDINGS = "silver.recordings"
#: A task's files: less than this is no work for another, and more than that is a large data file.
_LEAST_FILES, _MOST_FILES = 16, 1000
_ARROW_ROWS = 50_000


def shape_of(settings: SpectrogramSettings) -> Shape:
    """The shape that settings ask for.

    Raises:
        ConfigError: a mel band lies between two frequencies of the transform, or a frame is lost
            between two windows.
    """
    shape = Shape(**settings.model_dump(), high_hz=settings.sample_rate_hz / 2)
    if shape.hop_samples > shape.window_samples:
        raise ConfigError(
            f"spectrograms.hop_samples is {shape.hop_samples}, more than the window of"
            f" {shape.window_samples}: sound between windows would be lost."
        )
    weights = mel_bands(shape).toarray()
    if empty := int((weights.max(axis=1) == 0).sum()):
        raise ConfigError(
            f"{empty} of {shape.bands} mel bands lie between two frequencies of a window of"
            f" {shape.window_samples} samples: set spectrograms.window_samples higher or"
            " spectrograms.bands lower."
        )
    return shape


def make(
    spark: SparkSession,
    lake: Lake,
    *,
    folder: Path | None,
    sample: Sample,
    settings: PreviewSettings,
    shape: Shape,
    release: int | None = None,
    replace: bool = False,
) -> Made:
    """Bring both tables to what the sample, the audio and the shape say.

    Args:
        spark: does the work, in tasks; Spark Connect will do.
        lake: whose recordings are heard.
        folder: of audio, that all workers see; None fetches, where the settings allow it.
        sample: of the recordings.
        settings: of fetching.
        shape: of spectrograms.
        release: by number; the newest by default.
        replace: whether spectrograms may go of which neither the audio nor the sample is given.

    Raises:
        NoReleaseError: the lake has no such release.
        ConfigError: there is no folder, and nothing may be fetched.
        InputError: the release has no recordings, the folder cannot be read or no file in it is of
            a recording, or spectrograms would go that must not.
        ConflictError: another run wrote the same tables meanwhile.
    """
    found = releases.load(lake, release)
    recordings = found.tables[_RECORDINGS]
    if not recordings.files:
        raise InputError(f"Release {found.release} of {lake.root} has no recordings.")
    stamp = Stamp(
        f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}",
        "previews",
        hashlib.sha256(parameters(shape).encode()).hexdigest(),
        __version__,
        {_RECORDINGS: recordings.version},
    )
    before = Before.of(lake)
    with database() as db:
        files = [str(lake.data_file(_RECORDINGS, file).absolute()) for file in recordings.files]
        view(db, "recordings", ("isrc", "preview_url", "artist_keys"), files)
        db.execute(f"CREATE TABLE sample AS {sample.sql('recordings')}")
        if folder is None:
            fetched(db, settings)
        else:
            find(db, folder)
        before.load(db, parameters(shape))
        if not replace:
            check_losses(db)
        written = _hear(spark, lake, db, shape)
        try:
            return commit(spark, lake, db, before, written, stamp)
        except OvertakenError as error:
            raise ConflictError(
                "Another run has written the tables of previews meanwhile. Do it again: what was"
                " fetched is kept."
            ) from error


def _hear(spark: SparkSession, lake: Lake, db: duckdb.DuckDBPyConnection, shape: Shape) -> Files:
    """Write rows of both tables: of files in tasks, of recordings without one here."""
    previews, spectrograms = lake.target(PREVIEWS), lake.target(SPECTROGRAMS)
    before = ", ".join(f"told.{name} AS {BEFORE}{name}" for name in FOUND)
    rows = db.sql(
        f"""
        SELECT isrc, found.preview_url, found.file, path, pictured.isrc IS NOT NULL AS kept,
            {before}
        FROM found LEFT JOIN told USING (isrc) LEFT JOIN pictured
            ON pictured.isrc = found.isrc AND pictured.sha256 = told.sha256
        WHERE path IS NOT NULL AND found.outcome IS NULL ORDER BY isrc
        """
    ).to_arrow_table()
    written: dict[bool, list[Written]] = {False: [], True: []}
    if rows.num_rows:
        least = int(spark.conf.get("spark.sql.shuffle.partitions", "1") or 1)
        tasks = max(-(-rows.num_rows // _MOST_FILES), min(least, -(-rows.num_rows // _LEAST_FILES)))
        dealt = spark.createDataFrame(rows).repartition(tasks, "isrc").sortWithinPartitions("isrc")
        work = Hearing(previews, spectrograms, shape)
        for row in dealt.mapInArrow(work, WRITTEN_DDL).toArrow().to_pylist():
            written[row["spectrograms"]].append(Written(row["name"], row["size"], row["rows"]))
    with DataFileWriter(previews) as writer:
        for batch in _without_audio(db, parameters(shape)):
            writer.add(batch)
        written[False] += writer.finish()
    return Files(written[False], written[True])


def _without_audio(db: duckdb.DuckDBPyConnection, same: str) -> Iterator[pa.Table]:
    """Rows of recordings that there is no audio of."""
    import pyarrow as pa

    nothing = ", ".join(
        f"NULL::{'VARCHAR' if name in ('sha256', 'format') else 'BIGINT'} AS {name}"
        for name in FOUND
        if name not in ("outcome", "reason")
    )
    batches = db.sql(
        f"SELECT isrc, preview_url, file, coalesce(outcome, 'missing') AS outcome,"
        " CASE WHEN outcome IS NOT NULL THEN reason WHEN preview_url IS NULL"
        " THEN 'It has no preview address, and no file is named by its ISRC.'"
        " ELSE 'No file is named by its preview or its ISRC.' END AS reason,"
        f" ? AS parameters, {nothing} FROM found"
        " WHERE path IS NULL OR outcome IS NOT NULL ORDER BY isrc",
        params=[same],
    ).to_arrow_reader(_ARROW_ROWS)
    for batch in batches or ():
        yield pa.Table.from_batches([batch])


def lines(made: Made) -> list[dict[str, Any]]:
    """What to tell of a run: recordings by outcome, those that there are."""
    return [
        {"outcome": outcome, "recordings": number, "meaning": OUTCOMES[outcome]}
        for outcome, number in made.outcomes.items()
        if number
    ]

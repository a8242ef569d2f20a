"""A tiny lake made by delta-rs: two releases, and heads that are newer than both."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from beatlake import releases
from beatlake.lake import Lake
from beatlake.releases import InputFile, InputPart, Release, ReleasedTable

UTC = dt.timezone.utc

BY_YEAR = pa.schema(
    [
        ("release_year", pa.int32()),
        ("is_unknown", pa.bool_()),
        ("n_recordings", pa.int64()),
        ("tempo_bpm_mean", pa.float64()),
        ("tempo_bpm_sum_e3", pa.decimal128(38, 0)),
    ]
)
YEARS = {
    1: [
        (2021, False, 3, 124.5, Decimal(373_500)),
        (2022, False, 5, None, Decimal(0)),
        (None, True, 1, 90.25, Decimal(90_250)),
    ],
    2: [
        (2021, False, 3, 124.5, Decimal(373_500)),
        (2022, False, 6, 130.0, Decimal(780_000)),
        (2023, False, 2, 127.75, Decimal(255_500)),
        (None, True, 1, 90.25, Decimal(90_250)),
    ],
}
GENRE = pa.schema(
    [("genre_id", pa.int64()), ("genre_name", pa.string()), ("n_recordings", pa.int64())]
)
GENRES = [(5, "House", 7), (6, "Techno", 3), (None, "unknown", 1)]
LABEL = pa.schema(
    [
        ("beatport_label_id", pa.int64()),
        ("beatport_label_name", pa.string()),
        ("flags", pa.list_(pa.string())),
        ("first_day", pa.date32()),
        ("updated_on", pa.timestamp("us", tz="UTC")),
    ]
)
#: Names as strangers write them: formulas, terminal codes, markup, quotes, empty, absent.
NAMES = [
    '=HYPERLINK("http://evil")',
    "+1",
    "-2",
    "@SUM(A1)",
    "\tTab",
    "\rReturn",
    "\x1b[31mRed\x07",
    "[bold]Markup[/bold]",
    'He said "no", twice',
    "two\nlines",
    "",
    None,
    "Größe 東京",
]
LABELS: list[tuple[Any, ...]] = [
    (
        2**53 + 1 if number == 0 else number,
        name,
        ["=flag", "b"] if number == 0 else [],
        dt.date(1899, 12, 31) if number == 1 else dt.date(2020, 2, 29),
        dt.datetime(2023, 8, 24, 9, 27, number, tzinfo=UTC),
    )
    for number, name in enumerate(NAMES)
]


@dataclass(frozen=True)
class TinyLake:
    """Where the lake is, and what each release of it holds."""

    root: Path
    lake: Lake

    def publish(self, number: int, versions: dict[str, int], published_at: str) -> Release:
        """Write the release file that names these versions."""
        release = Release(
            release=number,
            kind="run",
            run_id=f"run-{number}",
            identity=f"identity-{number}",
            published_at=published_at,
            code_version="0.1.0",
            inputs={
                "sp_track": InputFile(
                    parts=[InputPart(path="sp_track.csv", size=10, modified_ns=1)],
                    sha256="00",
                    records=3,
                )
            },
            absent=["bp_artist_media"],
            settings={},
            tables={name: self.released(name, v) for name, v in versions.items()},
        )
        releases.save(self.lake, release)
        return release

    def released(self, name: str, version: int) -> ReleasedTable:
        """One table of a release, as delta-rs sees it."""
        rows = self.lake.open(name, version).to_pyarrow_table().num_rows
        return ReleasedTable(
            path=name.replace(".", "/"),
            version=version,
            rows=rows,
            stage="stage",
            stage_key="key",
            run_id="run",
            files=self.lake.files(name, version),
        )

    def write(self, name: str, schema: pa.Schema, rows: list[tuple[Any, ...]]) -> None:
        """Overwrite a table."""
        columns = list(zip(*rows, strict=True)) or [()] * len(schema)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
        self.lake.path(name).mkdir(parents=True, exist_ok=True)
        write_deltalake(
            str(self.lake.path(name)), pa.table(arrays, schema=schema), mode="overwrite"
        )

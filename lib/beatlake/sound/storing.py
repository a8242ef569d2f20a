"""The two tables of sound: what of them still counts, and committing what was heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beatlake.commits import Stamp
from beatlake.datafiles import Written, write_frame
from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.sound.sampling import view
from beatlake.tables.sound import OUTCOMES, PREVIEWS, SPECTROGRAMS
from beatlake.tables.spec import Table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from deltalake import DeltaTable
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Made:
    """What a run of `beatlake previews` did.

    Args:
        outcomes: recordings of the sample by outcome, in the order of `OUTCOMES`.
        new: spectrograms that were made.
        kept: spectrograms that were there.
        replaced: of those that were made, how many take the place of another.
        removed: spectrograms that no longer count.
    """

    outcomes: dict[str, int]
    new: int
    kept: int
    replaced: int
    removed: int


@dataclass(frozen=True)
class Before:
    """The tables as they are, where they are as their specs say; None where they are not."""

    lake: Lake
    previews: DeltaTable | None
    spectrograms: DeltaTable | None

    @classmethod
    def of(cls, lake: Lake) -> Before:
        """The tables of a lake."""
        return cls(lake, _as_specified(lake, PREVIEWS), _as_specified(lake, SPECTROGRAMS))

    def load(self, db: duckdb.DuckDBPyConnection, same: str) -> None:
        """`told` and `pictured`: what of them is of the same parameters."""
        for name, table, found in (
            ("told", PREVIEWS, self.previews),
            ("pictured", SPECTROGRAMS, self.spectrograms),
        ):
            columns = [c.name for c in table.columns if c.type != "binary"]
            files = _files(self.lake, table, found)
            if files:
                view(db, f"all_{name}", columns, files)
            else:
                empty = table.arrow_schema.empty_table().select(columns)
                db.register(f"all_{name}", empty)
            db.execute(
                f"CREATE TABLE {name} AS SELECT * FROM all_{name} WHERE parameters = ?", [same]
            )


def check_losses(db: duckdb.DuckDBPyConnection) -> None:
    """Find spectrograms of recordings of the release that this run has no audio for.

    Raises:
        InputError: there are some; they would be removed.
    """
    heard = "(SELECT isrc FROM found WHERE path IS NOT NULL AND outcome IS NULL)"
    lost = f"all_pictured SEMI JOIN recordings USING (isrc) ANTI JOIN {heard} USING (isrc)"
    if number := _count(db, lost):
        aside = _count(db, f"{lost} ANTI JOIN sample USING (isrc)")
        raise InputError(
            f"{number:,} of {_count(db, 'all_pictured'):,} spectrograms of {SPECTROGRAMS.name}"
            f" would be removed: {aside:,} are of recordings that are not in this sample, and of"
            f" {number - aside:,} there is no audio here. Nothing was changed. Name the folder and"
            " the sample that they are of, or add --replace to let them go."
        )


def _as_specified(lake: Lake, table: Table) -> DeltaTable | None:
    from deltalake import Schema

    if not lake.exists(table.name):
        return None
    found = lake.open(table.name)
    return found if found.schema() == Schema.from_arrow(table.arrow_schema) else None


def _files(lake: Lake, table: Table, found: DeltaTable | None) -> list[str]:
    if found is None:
        return []
    return [
        str(lake.data_file(table.name, file).absolute())
        for file in lake.files(table.name, found.version())
    ]


@dataclass(frozen=True)
class Files:
    """The data files that were written, and are in no table yet."""

    previews: list[Written]
    spectrograms: list[Written]


def commit(
    spark: SparkSession,
    lake: Lake,
    db: duckdb.DuckDBPyConnection,
    before: Before,
    written: Files,
    stamp: Stamp,
) -> Made:
    """Name the data files in both tables, where they say anything new."""
    folder = lake.path(PREVIEWS.name).absolute()
    listed_files = [str(folder / file.name) for file in written.previews]
    if listed_files:
        view(db, "now", PREVIEWS.column_names, listed_files)
    else:
        db.register("now", PREVIEWS.arrow_schema.empty_table())
    heard = "(SELECT isrc, sha256 FROM now WHERE outcome = 'ok')"
    kept = db.sql(
        f"SELECT isrc FROM pictured SEMI JOIN {heard} USING (isrc, sha256)"
    ).to_arrow_table()
    outcomes = db.execute("SELECT outcome, count(*) FROM now GROUP BY 1").fetchall()
    counted = Counter(dict(outcomes))
    gone = _count(db, "all_pictured") - kept.num_rows
    new = sum(file.rows for file in written.spectrograms)
    replaced = _count(db, f"all_pictured SEMI JOIN {heard} USING (isrc)") - kept.num_rows
    if gone or before.spectrograms is None:
        files = [*written.spectrograms]
        if kept.num_rows:
            files += _copied(spark, lake, before, kept)
        lake.write(SPECTROGRAMS, lambda: files, stamp, "overwrite", before.spectrograms)
    elif new:
        lake.write(SPECTROGRAMS, lambda: written.spectrograms, stamp, "append", before.spectrograms)
    if before.previews is None or _differ(db):
        lake.write(PREVIEWS, lambda: written.previews, stamp, "overwrite", before.previews)
    else:
        _discard(folder, written.previews)
    return Made(
        {name: counted[name] for name in OUTCOMES}, new, kept.num_rows, replaced, gone - replaced
    )


def _copied(spark: SparkSession, lake: Lake, before: Before, kept: pa.Table) -> list[Written]:
    """The spectrograms that still count, in data files of their own: others go with theirs."""
    from pyspark.sql import functions as F

    assert before.spectrograms is not None
    rows = lake.read(spark, SPECTROGRAMS, before.spectrograms.version())
    counting = rows.join(F.broadcast(spark.createDataFrame(kept)), "isrc", "left_semi")
    return write_frame(counting.select(*SPECTROGRAMS.column_names), lake.target(SPECTROGRAMS))


def _differ(db: duckdb.DuckDBPyConnection) -> bool:
    """Whether `ml.previews` is to hold other rows than it does."""
    columns = ", ".join(PREVIEWS.column_names)
    one, other = (f"SELECT {columns} FROM {name}" for name in ("now", "all_told"))
    return any(
        _count(db, f"({first} EXCEPT ALL {second})")
        for first, second in ((one, other), (other, one))
    )


def _count(db: duckdb.DuckDBPyConnection, rows: str) -> int:
    ((number,),) = db.execute(f"SELECT count(*) FROM {rows}").fetchall()
    return int(number)


def _discard(folder: Path, files: Iterable[Written]) -> None:
    """Remove data files that are not needed."""
    for file in files:
        (folder / file.name).unlink()

"""Where the rows of a task come from: a released table, a Delta table, Parquet or CSV files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from beatlake import releases
from beatlake.errors import InputError
from beatlake.lake import DataFile, Lake
from beatlake.learn.task.rows import Join, TableOf
from beatlake.sql import quoted, text
from beatlake.tables.sound import SPECTROGRAMS


@dataclass(frozen=True)
class Source:
    """A table to train on or to score.

    Args:
        scan: SQL that reads it.
        described: what and where it is, for people.
        versions: what was read, by name: a Delta version or the hash of a file's content.
        parquet: the Parquet files that hold it, for readers in Spark; none for CSV.
    """

    scan: str
    described: str
    versions: Mapping[str, str] = field(default_factory=dict)
    parquet: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A hash of what was read: the same for the same content, wherever it is."""
        listed = "\n".join(f"{name}={version}" for name, version in sorted(self.versions.items()))
        return hashlib.sha256(listed.encode()).hexdigest()


def released(lake: Lake, name: str, number: int | None = None, join: Join | None = None) -> Source:
    """A table of a release, the newest by default.

    Args:
        lake: where it is.
        name: of the table.
        number: of the release.
        join: another table of the lake; one that releases do not have is taken as it is now.

    Raises:
        NoReleaseError: the lake has no such release.
        InputError: there is no such table, or it has no rows.
    """
    release = releases.load(lake, number)
    if name not in release.tables:
        raise InputError(f"Release {release.release} of {lake.root} has no table {name}.")
    table, of_release = release.tables[name], f"of release {release.release}"
    found = _stored(lake, name, table.version, table.files, of_release)
    if join is None:
        return found
    if join.name in release.tables:
        table = release.tables[join.name]
        other = _stored(lake, join.name, table.version, table.files, of_release)
    elif lake.exists(join.name):
        version = lake.open(join.name).version()
        listed = lake.files(join.name, version)
        other = _stored(lake, join.name, version, listed, f"version {version}")
    else:
        made = " `beatlake previews` makes it." if join.name == SPECTROGRAMS.name else ""
        raise InputError(
            f"{lake.root} has no table {join.name}, which {name} is joined with.{made}"
        )
    columns = ", ".join(map(quoted, (*join.by, *join.columns)))
    scan = (
        f"SELECT * FROM ({found.scan}) JOIN (SELECT {columns} FROM ({other.scan}))"
        f" USING ({', '.join(map(quoted, join.by))})"
    )
    described = f"{found.described} with {other.described}"
    return Source(scan, described, {**found.versions, **other.versions})


def _stored(lake: Lake, name: str, version: int, listed: Iterable[DataFile], called: str) -> Source:
    """A version of a table of the lake."""
    files = [str(lake.data_file(name, file).absolute()) for file in listed]
    if not files:
        raise InputError(f"{name} {called} has no rows to learn from.")
    described = f"{name} {called}"
    return Source(_parquet(files), described, {name: f"version {version}"}, tuple(files))


def path(place: Path, table: TableOf) -> Source:
    """A Delta table, or the Parquet or CSV files of a directory, or one such file.

    CSV files are read as text; columns are matched by name, and one that a file lacks is null.

    Raises:
        InputError: there is nothing of these kinds.
    """
    if (place / "_delta_log").is_dir():
        from deltalake import DeltaTable

        found = DeltaTable(str(place.absolute()))
        files = [str(place.absolute() / uri) for uri in found.file_uris()]
        if not files:
            raise InputError(f"The Delta table {place} has no rows to learn from.")
        version = {place.name: f"version {found.version()}"}
        return Source(_parquet(files), f"Delta table {place.name}", version, tuple(files))
    if place.is_file():
        listed = [place]
    elif place.is_dir():
        listed = sorted(p for p in place.iterdir() if p.suffix in (".parquet", ".csv"))
    else:
        raise InputError(f"There is no table at {place}.")
    kinds = {p.suffix for p in listed}
    files = [str(p.absolute()) for p in listed]
    parquet: tuple[str, ...] = ()
    if kinds == {".parquet"}:
        scan, parquet = _parquet(files), tuple(files)
    elif kinds == {".csv"}:
        scan = _csv(files, table)
    else:
        what = "both Parquet and CSV files" if kinds else "neither a Delta log nor files"
        raise InputError(f"{place} holds {what}; a table is .parquet files, .csv files or Delta.")
    many = f", {len(listed)} files" if len(listed) > 1 else ""
    return Source(scan, f"{place.name}{many}", {p.name: _hash(p) for p in listed}, parquet)


def _parquet(files: Sequence[str]) -> str:
    listed = ", ".join(text(file) for file in files)
    return f"SELECT * FROM read_parquet([{listed}], union_by_name=true, hive_partitioning=false)"


def _csv(files: Sequence[str], table: TableOf) -> str:
    listed = ", ".join(text(file) for file in files)
    nulls = ", ".join(text(null) for null in ("", *table.nulls))
    named = f", filename={text('_file')}" if table.file_column else ""
    rows = (
        f"read_csv([{listed}], all_varchar=true, header=true, delim=',', quote='\"', escape='\"',"
        f" nullstr=[{nulls}], union_by_name=true, hive_partitioning=false{named})"
    )
    if not table.file_column:
        return f"SELECT * FROM {rows}"
    stem = "regexp_extract(_file, '([^/\\\\]*)\\.csv$', 1)"
    return f"SELECT * EXCLUDE (_file), {stem} AS {quoted(table.file_column)} FROM {rows}"


def _hash(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return f"sha256 {digest.hexdigest()}"

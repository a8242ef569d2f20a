"""Which recordings of a release are sampled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from beatlake.config import ConfigError
from beatlake.dealing import share
from beatlake.sql import SEALED, texts

if TYPE_CHECKING:
    import duckdb

#: Of the group of a recording, as the samples of networks are (`beatlake.learn.folds`): a network
#: that is trained on a tenth of the artists finds all of them in a tenth of the previews.
_SALT, _KIND = "beatlake", "sample"
_GROUP = "coalesce(artist_keys[1], isrc)"
#: The 40 digits by which Spotify names a preview, after the last slash of its address.
_DIGITS = r"/([0-9a-f]{40})(?:[?#].*)?$"


@dataclass(frozen=True)
class Sample:
    """A share of the main artists, or a number of recordings; a larger one holds the smaller.

    >>> Sample.of("0.1"), Sample.of("10%"), Sample.of("500")
    (Sample(share=0.1, number=None), Sample(share=0.1, number=None), Sample(share=1.0, number=500))
    """

    share: float = 1.0
    number: int | None = None

    @classmethod
    def of(cls, text: str) -> Sample:
        """The sample that a text names: ``0.1`` or ``10%`` of the artists, ``500`` recordings.

        Raises:
            ConfigError: it names none.
        """
        if re.fullmatch(r"[1-9]\d{0,11}", text, re.ASCII):
            return cls(number=int(text))
        if found := re.fullmatch(r"(\d+(?:\.\d+)?)%|(\d*\.\d+)", text, re.ASCII):
            share = float(found[1]) / 100 if found[1] else float(found[2])
            if 0 < share <= 1:
                return cls(share=share)
        raise ConfigError(
            f"A sample is a share of the artists such as 0.1 or 10%, or a number of recordings such"
            f" as 500; found {text!r}."
        )

    def sql(self, recordings: str) -> str:
        """A query of isrc, preview_url and digits of the sampled ones of a table of recordings."""
        of_group, of_recording = share(_SALT, _KIND, _GROUP), share(_SALT, "recording", "isrc")
        limit = "" if self.number is None else f" LIMIT {self.number}"
        return (
            f"SELECT isrc, preview_url, nullif(regexp_extract(preview_url, '{_DIGITS}', 1), '')"
            f" AS digits FROM {recordings} WHERE {of_group} < {self.share!r}"
            f" ORDER BY {of_group}, {of_recording}, isrc{limit}"
        )


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB on the driver, which sees what it is given only and is in no other's way."""
    import duckdb

    connection = duckdb.connect(config=SEALED)
    try:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


def view(
    db: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str], files: Sequence[str]
) -> None:
    """A view of some columns of Parquet files, of which there are some."""
    listed = ", ".join(columns)
    db.execute(f"CREATE VIEW {name} AS SELECT {listed} FROM read_parquet({texts(files)})")

"""How a table is cut into ranges of a key, and how a data file says which range it holds.

A table may be cut into buckets by a column of texts: all rows of a key are in files of the same
bucket, so that tables that are cut alike are joined bucket by bucket, without moving a row. Buckets
are ranges, so that whoever looks for a key finds it in one file, by the least and greatest that
each file states.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_NAME = re.compile(r"part-(\d{5})-of-(\d{5}-[0-9a-f]{8})-.*")
#: So many bytes of a key decide; two keys that differ later only are in the same bucket.
_PREFIX = 8


@dataclass(frozen=True)
class Cut:
    """How tables are cut: the least prefix of each bucket but the first, ascending.

    Without any, there is one bucket.
    """

    bounds: tuple[bytes, ...] = ()

    @classmethod
    def between(cls, keys: pa.ChunkedArray, buckets: int) -> Cut:
        """As many buckets, or fewer where keys are too alike, that get about as many of the keys.

        >>> Cut.between(pa.chunked_array([["B", "D", None, "A", "C"]]), 2)
        Cut(bounds=(b'C',))
        """
        prefixes = np.sort(_prefixes(keys.drop_null()))
        places = [len(prefixes) * bucket // buckets for bucket in range(1, buckets)]
        found = sorted({int(prefixes[place]) for place in places} - {0}) if len(prefixes) else []
        return cls(tuple(p.to_bytes(_PREFIX, "big").rstrip(b"\0") for p in found))

    @property
    def buckets(self) -> int:
        """How many there are."""
        return len(self.bounds) + 1

    @cached_property
    def name(self) -> str:
        """The number of buckets and a hash of their bounds, as files that are cut so say it."""
        digest = hashlib.sha256(b"\0".join(self.bounds)).hexdigest()
        return f"{self.buckets:05}-{digest[:8]}"

    def bucket_of(self, keys: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """The bucket of each key, by the order of UTF-8's bytes; that of no key is 0.

        >>> Cut((b"GB", b"US")).bucket_of(pa.chunked_array([["GBAYE0601498", None, "Z", "US"]]))
        array([1, 0, 2, 2])
        """
        padded = [int.from_bytes(bound.ljust(_PREFIX, b"\0"), "big") for bound in self.bounds]
        found = np.searchsorted(np.array(padded, np.uint64), _prefixes(keys), side="right")
        return found.astype(np.int64)

    def file_name(self, bucket: int) -> str:
        """How the name of a bucket's data file begins.

        >>> Cut((b"GB", b"US")).file_name(1)
        'part-00001-of-00003-5618f803-'
        """
        return f"part-{bucket:05}-of-{self.name}-"


#: One bucket of everything.
UNCUT = Cut()


def bucket_in(name: str) -> tuple[int, str]:
    """The bucket that a data file's name speaks of, and the name of the cut; none if of none.

    >>> bucket_in("part-00001-of-00003-5618f803-8e1c.snappy.parquet")
    (1, '00003-5618f803')
    >>> bucket_in("part-8e1c.snappy.parquet")
    (0, '')
    """
    found = _NAME.fullmatch(name)
    return (int(found[1]), found[2]) if found else (0, "")


def _prefixes(keys: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """The first bytes of each key as a number whose order is theirs; 0 for no key."""
    found = [_numbers(chunk.cast(pa.string())) for chunk in keys.chunks]
    return np.concatenate([np.zeros(0, np.uint64), *found])


def _numbers(texts: pa.StringArray) -> npt.NDArray[np.uint64]:
    filled = pc.fill_null(texts, "")
    _, offsets, content = filled.buffers()
    ends = np.frombuffer(offsets or bytes(4), np.int32, len(filled) + 1, 4 * filled.offset)
    data = np.append(np.frombuffer(content or b"", np.uint8), np.zeros(_PREFIX, np.uint8))
    begun = np.lib.stride_tricks.sliding_window_view(data, _PREFIX)[ends[:-1]]
    numbers = begun.view(">u8").ravel().astype(np.uint64)
    # What follows a shorter key is not its own.
    beyond = (8 * (_PREFIX - np.minimum(np.diff(ends), _PREFIX))).astype(np.uint64)
    own: npt.NDArray[np.uint64] = np.where(beyond < 64, numbers >> beyond << beyond, 0)
    return own


def divided(
    rows: pa.Table, numbers: npt.NDArray[np.int64], buckets: int
) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each bucket that has some, in the order that they had.

    Args:
        rows: the rows.
        numbers: the bucket of each of them.
        buckets: how many there are.
    """
    sizes = np.bincount(numbers, minlength=buckets)
    if len(rows) and sizes.max() == len(rows):
        yield int(sizes.argmax()), rows
        return
    ordered = rows.take(pa.array(np.argsort(numbers, kind="stable")))
    begin = 0
    for bucket, size in enumerate(sizes.tolist()):
        if size:
            yield bucket, ordered.slice(begin, size)
        begin += size

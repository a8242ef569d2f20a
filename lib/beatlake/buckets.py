"""How a table is cut into ranges of a key, and how a data file says which ones it holds.

A table may be cut into buckets by a column of texts, so that tables that are cut alike are joined
bucket by bucket, without moving a row. Buckets are ranges of the key. Some that follow one another
share a file, in which each has row groups of its own: whoever looks for a key finds it by the least
and greatest that files and row groups state, and has few files to open.
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
    """How tables are cut.

    Args:
        bounds: the least prefix of each bucket but the first, ascending. Without any, there is one.
        together: how many buckets that follow one another share a file; the last may hold fewer.
    """

    bounds: tuple[str, ...] = ()
    together: int = 1

    @classmethod
    def between(cls, keys: pa.ChunkedArray, buckets: int, together: int = 1) -> Cut:
        """As many buckets, or fewer where keys are too alike, that get about as many of the keys.

        >>> Cut.between(pa.chunked_array([["B", "D", None, "A", "C"]]), 2)
        Cut(bounds=('C',), together=1)
        """
        prefixes = np.sort(_prefixes(keys.drop_null()))
        places = [len(prefixes) * bucket // buckets for bucket in range(1, buckets)]
        found = {int(prefixes[place]) for place in places} if len(prefixes) else set()
        begun = {p.to_bytes(_PREFIX, "big").partition(b"\0")[0] for p in found}
        # What ends within a letter is no text.
        texts = {prefix.decode(errors="ignore") for prefix in begun} - {""}
        return cls(tuple(sorted(texts)), together)

    @property
    def buckets(self) -> int:
        """How many there are."""
        return len(self.bounds) + 1

    @property
    def files(self) -> int:
        """How many files a table has that is cut so."""
        return -(-self.buckets // self.together)

    @cached_property
    def name(self) -> str:
        """The number of files and a hash of the cut, as files that are cut so say it."""
        told = "\0".join([str(self.together), *self.bounds])
        return f"{self.files:05}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

    def bucket_of(self, keys: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """The bucket of each key, by the order of UTF-8's bytes; that of no key is 0.

        >>> Cut(("GB", "US")).bucket_of(pa.chunked_array([["GBAYE0601498", None, "Z", "US"]]))
        array([1, 0, 2, 2])
        """
        padded = [int.from_bytes(b.encode().ljust(_PREFIX, b"\0"), "big") for b in self.bounds]
        found = np.searchsorted(np.array(padded, np.uint64), _prefixes(keys), side="right")
        return found.astype(np.int64)

    def file_of(self, bucket: int) -> int:
        """The number of the file that a bucket is in."""
        return bucket // self.together

    def ends(self, bucket: int) -> tuple[str | None, str | None]:
        """The least prefix of a bucket and of the next one; None at both ends of all."""
        ends = (None, *self.bounds, None)
        return ends[bucket], ends[bucket + 1]

    def file_name(self, file: int) -> str:
        """How the name of a data file begins.

        >>> Cut(("GB", "US")).file_name(1)
        'part-00001-of-00003-2d310197-'
        """
        return f"part-{file:05}-of-{self.name}-"


#: One bucket of everything.
UNCUT = Cut()


def file_in(name: str) -> tuple[int, str]:
    """The number of a data file of a table that is cut, and the name of the cut; none of others.

    >>> file_in("part-00001-of-00003-5618f803-8e1c.snappy.parquet")
    (1, '00003-5618f803')
    >>> file_in("part-8e1c.snappy.parquet")
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


def divided(rows: pa.Table, numbers: npt.NDArray[np.int64]) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each bucket that has some, in the order that they had.

    Args:
        rows: the rows.
        numbers: the bucket of each of them.
    """
    sizes = np.bincount(numbers)
    if len(rows) and sizes.max() == len(rows):
        yield int(sizes.argmax()), rows
        return
    # Small numbers are ordered in a tenth of the time.
    small = numbers.astype(np.min_scalar_type(len(sizes)))
    ordered = rows.take(pa.array(np.argsort(small, kind="stable")))
    begin = 0
    for number, size in enumerate(sizes.tolist()):
        if size:
            yield number, ordered.slice(begin, size)
        begin += size

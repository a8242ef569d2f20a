"""Which bucket a key is in, and how a data file says which bucket it holds.

A table may be cut into buckets by a column of texts: all rows of a key are in files of the same
bucket, so that tables cut by the same column are joined bucket by bucket, without moving a row.
The number of buckets is a power of two: bucket b of 16 is a part of bucket b % 8 of 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_NAME = re.compile(r"part-(\d{5})-of-(\d{5})-.*")
#: Odd numbers from the digits of the golden ratio and of pi: any would do, but none may change.
_FACTOR, _MIXER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x243F6A8885A308D3)


def bucket_of(keys: pa.ChunkedArray, buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each key; that of no key is 0.

    A polynomial of the bytes modulo 2^64, whose upper bits are taken after one more multiplication:
    the same on every machine and in every version, unlike the hashes that engines have built in.

    >>> bucket_of(pa.chunked_array([["GBAYE0601498", "USUM71703861", None]]), 16).tolist()
    [5, 2, 0]
    """
    found = [_hash(chunk.cast(pa.string())) for chunk in keys.chunks]
    hashes = np.concatenate([np.zeros(0, np.uint64), *found])
    numbers: npt.NDArray[np.int64] = (hashes % np.uint64(buckets)).astype(np.int64)
    return numbers


def _hash(texts: pa.StringArray) -> npt.NDArray[np.uint64]:
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset).astype(np.int64)
    data = np.frombuffer(content or b"", np.uint8)[ends[0] : ends[-1]]
    ends -= ends[0]
    sizes = np.diff(ends)
    powers = np.cumprod(np.full(int(sizes.max(initial=0)), _FACTOR, np.uint64))
    sums = np.zeros(len(texts), np.uint64)
    some = sizes > 0
    if (sizes[some] == len(powers)).all():
        # Texts of one length, as codes are, column by column.
        for place, power in enumerate(powers):
            sums[some] += data[place :: len(powers)] * power
    else:
        places = np.arange(len(data)) - np.repeat(ends[:-1], sizes)
        terms = np.append(data * powers[places], np.uint64(0))
        sums = np.where(some, np.add.reduceat(terms, ends[:-1]), np.uint64(0))
    hashes: npt.NDArray[np.uint64] = (sums * _MIXER) >> np.uint64(40)
    return hashes


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


def file_name(bucket: int, buckets: int) -> str:
    """How the name of a bucket's data file begins.

    >>> file_name(3, 16)
    'part-00003-of-00016-'
    """
    return f"part-{bucket:05}-of-{buckets:05}-"


def bucket_in(name: str) -> tuple[int, int]:
    """The bucket that a data file's name speaks of, and how many there are; 0 of 1 if of none.

    >>> bucket_in("part-00003-of-00016-8e1c.snappy.parquet"), bucket_in("part-8e1c.parquet")
    ((3, 16), (0, 1))
    """
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else (0, 1)

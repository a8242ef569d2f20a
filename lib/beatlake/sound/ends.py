"""Whether files go as far as they say, by what Ogg and WAV have for it.

An Ogg stream ends with a page that has a flag for it (RFC 3533, section 6). A WAV says how many
bytes of sound it has: in the head of its chunk ``data`` (Microsoft's "Multimedia Programming
Interface and Data Specifications 1.0"), or, as RF64, in its chunk ``ds64`` (EBU Tech 3306).
"""

from __future__ import annotations

import os
import re
import struct

#: 27 bytes, up to 255 lengths of segments, and segments of up to 255 bytes.
_OGG_HEAD = 27
_OGG_PAGE = _OGG_HEAD + 255 + 255 * 255
#: The version is 0, and there are three flags. Four letters alone are in sound by chance, too.
_OGG_START = re.compile(rb"OggS\x00[\x00-\x07]")
_OGG_END_FLAG = 0x04
#: What writers leave that do not go back when they know; in RF64 it refers to ``ds64``.
_UNKNOWN = 0xFFFFFFFF
#: And what sox leaves (MS_UNSPEC in its source wav.c).
_UNKNOWN_OF_SOX = 0x7FFFF000
#: Real files have a dozen, and each costs a read.
_MOST_CHUNKS = 1_000


def ogg_is_whole(file: int, size: int) -> bool:
    """Whether the last page is all there and the end of its stream.

    What is not Ogg may follow it, such as a tag, if it is shorter than a page can be.

    Args:
        file: a handle; its place stays.
        size: of the file.
    """
    tail = os.pread(file, 2 * _OGG_PAGE, max(0, size - 2 * _OGG_PAGE))
    start = max((page.start() for page in _OGG_START.finditer(tail)), default=None)
    if start is None or len(tail) < start + _OGG_HEAD:
        return False
    segments = tail[start + _OGG_HEAD :][: tail[start + _OGG_HEAD - 1]]
    end = start + _OGG_HEAD + tail[start + _OGG_HEAD - 1] + sum(segments)
    return end <= len(tail) and bool(tail[start + 5] & _OGG_END_FLAG)


def wav_bytes(file: int, size: int) -> tuple[int, int] | None:
    """How many bytes of sound a WAV says that it has, and how many of them there are.

    None where it does not say.

    Args:
        file: a handle; its place stays.
        size: of the file.
    """
    order = ">" if os.pread(file, 4, 0) == b"RIFX" else "<"
    place, long = 12, 0
    for _ in range(_MOST_CHUNKS):
        head = os.pread(file, 8, place)
        if len(head) < 8:
            return None
        name, said = struct.unpack(f"{order}4sI", head)
        place += 8
        if name == b"data":
            if said in (_UNKNOWN, _UNKNOWN_OF_SOX):
                said = long
            return (said, max(0, min(said, size - place))) if said else None
        if name == b"ds64":
            sizes = os.pread(file, 16, place)
            long = struct.unpack("<QQ", sizes)[1] if len(sizes) == 16 else 0
        # Chunks begin at even places.
        place += said + said % 2
    return None

"""What kind of audio a file is, by its first bytes: servers and names of files may lie."""

from __future__ import annotations

#: How many first bytes tell: two frames of the longest kind of MP3 (1,441 bytes each).
HEAD_BYTES = 4096
#: Bits of a second in kbit/s by index, and samples a second, of Layer III (ISO/IEC 11172-3 and
#: 13818-3, with the half rates of "MPEG 2.5"), by the two bits of the version.
_KBITS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def found(head: bytes) -> str | None:
    r"""The media type of audio that can be decoded, or None.

    >>> found(b"OggS" + bytes(24)), found(b"RIFF" + bytes(4) + b"WAVE"), found(b"fLaC" + bytes(4))
    ('audio/ogg', 'audio/wav', 'audio/flac')
    >>> found(b"ID3" + bytes(7)), found((b"\xff\xfb\x90\x00" + bytes(413)) * 2)
    ('audio/mpeg', 'audio/mpeg')

    Two bytes of a picture or of text can look like an MP3 frame; two frames in a row do not.

    >>> found("Not found".encode("utf-16")), found(b"<html>"), found(b"\xff\xfb\x90\x00" * 200)
    (None, None, None)
    """
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "audio/wav"
    if head.startswith(b"fLaC"):
        return "audio/flac"
    if head.startswith(b"ID3"):
        return "audio/mpeg"
    length = _frame_bytes(head[:4])
    if length and _frame_bytes(head[length : length + 4]):
        return "audio/mpeg"
    return None


def _frame_bytes(header: bytes) -> int:
    """Length of the MP3 frame that starts so; 0 where none does."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version not in _RATES or bits in (0, 15) or rate == 3:
        return 0
    kbits, factor = (_KBITS_1, 144_000) if version == 3 else (_KBITS_2, 72_000)
    return factor * kbits[bits - 1] // _RATES[version][rate] + (header[2] >> 1 & 1)

"""Files of audio are told by their first bytes, as encoders write them and standards say."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from audio_files import TYPES, tone

from beatlake.sound.kinds import HEAD_BYTES, found


@pytest.mark.parametrize("kind", TYPES)
def test_each_kind_is_told_by_its_head(kind: str) -> None:
    assert found(tone(kind)[:HEAD_BYTES]) == TYPES[kind]


@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000])
@pytest.mark.parametrize("level", [0.0, 0.9])
def test_mp3_of_every_rate_is_told_without_a_tag(rate: int, level: float) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, rate // 2)
    file = io.BytesIO()
    soundfile.write(
        file, noise, rate, format="MP3", bitrate_mode="CONSTANT", compression_level=level
    )
    body = file.getvalue()
    assert body[0] == 0xFF
    assert found(body[:HEAD_BYTES]) == "audio/mpeg"
    assert found(body[:HEAD_BYTES][1:]) is None


def frames(header: str, length: int) -> bytes:
    """Two frames of nothing."""
    return 2 * bytes.fromhex(header).ljust(length, b"\0")


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        # 144 x 128,000 / 44,100 = 417.96 bytes, one more with padding (ISO/IEC 11172-3, 2.4.3.1).
        pytest.param(frames("fffb9000", 417), "audio/mpeg", id="layer III"),
        pytest.param(frames("fffb9200", 418), "audio/mpeg", id="padded"),
        pytest.param(frames("fffb9200", 417), None, id="not as long as it says"),
        pytest.param(frames("fffd9000", 417), None, id="layer II"),
        pytest.param(frames("fff15080", 417), None, id="AAC"),
        pytest.param(frames("ffd8ffe0", 417), None, id="JPEG"),
        pytest.param(b"\xff", None, id="one byte"),
        pytest.param(b"RIFF\x24\0\0\0AVI LIST", None, id="video"),
        pytest.param(b"\x1f\x8b\x08\0" + bytes(60), None, id="gzip"),
        pytest.param(b"\0\0\0\x20ftypM4A " + bytes(60), None, id="MPEG-4"),
    ],
)
def test_what_looks_like_audio_is_looked_at_twice(head: bytes, media_type: str | None) -> None:
    assert found(head) == media_type

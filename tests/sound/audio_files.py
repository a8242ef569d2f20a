"""Short files of each kind, encoded by libsndfile and not by beatlake."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import soundfile

#: What RFC 3003, RFC 5334 and RFC 9639 register; WAV has none, and this is what browsers say.
TYPES = {"MP3": "audio/mpeg", "OGG": "audio/ogg", "FLAC": "audio/flac", "WAV": "audio/wav"}


@cache
def tone(kind: str, hertz: float = 440.0, seconds: float = 0.5) -> bytes:
    """A tone."""
    times = np.arange(int(seconds * 22050)) / 22050
    file = io.BytesIO()
    soundfile.write(file, 0.5 * np.sin(2 * np.pi * hertz * times), 22050, format=kind)
    return file.getvalue()

"""Spectrograms of one fixed shape: a log-mel one, and the picture that a published network took.

Frames are centred, with silence before the first and after the last, under a periodic Hann window,
as librosa makes them. Values are relative to the loudest, so that how loud a clip was recorded does
not count, and go down to 80 dB below it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from beatlake.sound.decoding import Sound

Picture: TypeAlias = npt.NDArray[np.uint8]

#: Raised when the same sound gives other values or another outcome than before.
_REVISION = 2
#: The scale of M. Slaney, Auditory Toolbox, Interval Research TR 1998-010: in steps of 200/3 Hz up
#: to 1 kHz, then by a factor of 6.4 for 27 steps.
_LINEAR_HZ, _BREAK_HZ, _LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27


@dataclass(frozen=True)
class Shape:
    """What spectrograms are made with.

    Args:
        sample_rate_hz: of the sound.
        stretch_s: its length.
        window_samples: of the Hann window, and of the transform.
        hop_samples: from one frame to the next.
        bands: mel bands, from `low_hz` to `high_hz`.
        low_hz: where the lowest band begins.
        high_hz: where the highest ends.
        floor_db: what is below is as low as it gets.
        image_size: rows and columns of the picture.
    """

    sample_rate_hz: int = 16_000
    stretch_s: float = 10.0
    window_samples: int = 1024
    hop_samples: int = 512
    bands: int = 96
    low_hz: float = 0.0
    high_hz: float = 8_000.0
    floor_db: float = -80.0
    image_size: int = 224

    @property
    def samples(self) -> int:
        """Of the sound."""
        return round(self.stretch_s * self.sample_rate_hz)

    @property
    def frames(self) -> int:
        """Of a spectrogram.

        >>> Shape().frames
        313
        """
        return 1 + self.samples // self.hop_samples

    def columns(self) -> dict[str, Any]:
        """The columns of `ml.spectrograms` that say what a row was made with."""
        return {**self.__dict__, "frames": self.frames, "parameters": parameters(self)}


@cache
def parameters(shape: Shape) -> str:
    """All that a spectrogram of a file follows from besides the file, as a JSON object."""
    import scipy
    import soundfile
    import soxr

    made_by = {
        "libsndfile": soundfile.__libsndfile_version__,
        "libsoxr": soxr.__libsoxr_version__,
        "scipy": scipy.__version__,
        "revision": _REVISION,
    }
    return json.dumps({**shape.__dict__, **made_by}, sort_keys=True)


def pictures(sound: Sound, shape: Shape) -> tuple[Picture, Picture]:
    """The log-mel spectrogram (bands, frames) and the square picture of a sound."""
    power = _power(sound, shape)
    return _log_mel(power, shape), _stft_image(power, shape)


def log_mel(sound: Sound, shape: Shape) -> Picture:
    """Power in mel bands against its maximum, by band and frame: 0 is `floor_db`, 255 is 0 dB.

    As librosa's ``melspectrogram`` and ``power_to_db(ref=np.max)`` give it, in 256 even steps.
    """
    return _log_mel(_power(sound, shape), shape)


def stft_image(sound: Sound, shape: Shape) -> Picture:
    """The magnitudes in dB against their maximum as a square, by frequency and time.

    Resized by cubic splines, then stretched so that its least value is 0 and its greatest 255, as
    the network takes it that was published with this data.
    """
    return _stft_image(_power(sound, shape), shape)


def _power(sound: Sound, shape: Shape) -> npt.NDArray[np.float32]:
    """The square of the short-time Fourier transform's magnitude, by frequency and frame."""
    from scipy import fft

    padded = np.pad(sound, shape.window_samples // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, shape.window_samples)[
        :: shape.hop_samples
    ]
    spectrum = fft.rfft(frames * _hann(shape.window_samples), axis=1)
    power: npt.NDArray[np.float32] = (spectrum.real**2 + spectrum.imag**2).T
    return power


def _log_mel(power: npt.NDArray[np.float32], shape: Shape) -> Picture:
    level = _level(mel_bands(shape) @ power, shape.floor_db)
    return _bytes(1 - level / shape.floor_db)


def _stft_image(power: npt.NDArray[np.float32], shape: Shape) -> Picture:
    from scipy.ndimage import zoom

    level = _level(power, shape.floor_db)
    factors = [shape.image_size / length for length in level.shape]
    resized = zoom(level, factors, order=3, mode="nearest")
    least, greatest = resized.min(), resized.max()
    if greatest == least:
        return np.zeros(resized.shape, np.uint8)
    return _bytes((resized - least) / (greatest - least))


def _bytes(shares: npt.NDArray[np.float32]) -> Picture:
    """Numbers from 0 to 1 in 256 even steps."""
    steps: Picture = np.rint(shares * 255).astype(np.uint8)
    return steps


def _level(power: npt.NDArray[np.float32], floor_db: float) -> npt.NDArray[np.float32]:
    """Power in dB against its maximum, no less than the floor, which all of silence is."""
    greatest = power.max()
    if not greatest > 0:
        return np.full(power.shape, floor_db, np.float32)
    least = np.float32(10 ** (floor_db / 10))
    level: npt.NDArray[np.float32] = 10 * np.log10(np.maximum(power / greatest, least))
    return np.clip(level, np.float32(floor_db), np.float32(0))


@cache
def _hann(length: int) -> npt.NDArray[np.float32]:
    from scipy.signal import get_window

    return np.asarray(get_window("hann", length), np.float32)


@cache
def mel_bands(shape: Shape) -> csr_array:
    """The weight of each frequency of the transform in each band: (bands, 1 + window / 2).

    Triangles whose corners are even on Slaney's scale, each of area 1 over Hz. Sparse, and so
    summed in one order, whatever the threads.
    """
    from scipy.sparse import csr_array

    frequencies = np.fft.rfftfreq(shape.window_samples, 1 / shape.sample_rate_hz)
    low, high = _mel(np.array([shape.low_hz, shape.high_hz]))
    corners = _hz(np.linspace(low, high, shape.bands + 2))[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies - left) / (middle - left)
    falling = (right - frequencies) / (right - middle)
    weights = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    return csr_array(weights.astype(np.float32))


def _mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = _BREAK_HZ / _LINEAR_HZ + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ, above)


def _hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    at = _BREAK_HZ / _LINEAR_HZ
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, at) - at))
    return np.where(mel < at, mel * _LINEAR_HZ, above)

"""Spectrograms beside scipy's transform, and beside numbers that librosa gives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import zoom
from scipy.signal import ShortTimeFFT, get_window

from beatlake.sound import spectrograms
from beatlake.sound.decoding import Sound
from beatlake.sound.spectrograms import Shape

SHAPE = Shape()

#: Values of librosa 0.11.0 by band and frame, and their mean: melspectrogram(y=chirp(), sr=16000,
#: n_fft=1024, hop_length=512, n_mels=96), power_to_db(ref=numpy.max), then
#: numpy.rint((dB + 80) / 80 * 255).
LIBROSA = {
    (2, 0): 238, (4, 0): 199, (17, 20): 247, (19, 20): 129, (43, 60): 233, (45, 60): 74,
    (58, 100): 219, (60, 100): 13, (70, 150): 206, (72, 150): 0, (79, 200): 186, (85, 250): 172,
    (92, 312): 158, (94, 312): 62, (95, 312): 52, (1, 200): 124,
}  # fmt: skip
LIBROSA_MEAN = 9.968184
#: Weights of filters.mel(sr=16000, n_fft=1024, n_mels=96), by band and frequency, and their sum.
LIBROSA_BANDS = {
    (0, 2): 0.03199922293424606, (0, 3): 0.015841038897633553, (10, 22): 0.030413499101996422,
    (10, 23): 0.014255315065383911, (30, 62): 0.02724204957485199, (50, 117): 0.01651717536151409,
    (50, 118): 0.01307774055749178, (70, 222): 0.008447029627859592,
    (95, 496): 0.0039845602586865425,
}  # fmt: skip
LIBROSA_BANDS_SUM = 6.143891197179073


def chirp() -> Sound:
    """A tone that rises from 100 Hz by 700 Hz a second, softer and softer, and a low hum."""
    time = np.arange(SHAPE.samples) / SHAPE.sample_rate_hz
    wave = np.sin(2 * np.pi * (100 * time + 350 * time**2)) * np.exp(-time / 4)
    return (wave + 0.01 * np.sin(2 * np.pi * 50 * time)).astype(np.float32)


def decibels(sound: Sound) -> np.ndarray:
    """The magnitudes in dB against their maximum, no less than -80, as scipy transforms."""
    window = get_window("hann", SHAPE.window_samples)
    # Frames begin as many samples apart, the first centred on the first sample.
    transform = ShortTimeFFT(window, SHAPE.hop_samples, SHAPE.sample_rate_hz, fft_mode="onesided")
    magnitude = np.abs(transform.stft(sound.astype(np.float64), p0=0, p1=SHAPE.frames))
    return np.maximum(20 * np.log10(np.maximum(magnitude / magnitude.max(), 1e-12)), -80)


def test_log_mel_is_what_librosa_gives() -> None:
    made = spectrograms.log_mel(chirp(), SHAPE)
    assert made.shape == (96, 313)
    assert made.dtype == np.uint8
    for (band, frame), value in LIBROSA.items():
        assert int(made[band, frame]) == pytest.approx(value, abs=1), (band, frame)
    assert made.mean() == pytest.approx(LIBROSA_MEAN, abs=0.05)


def test_bands_are_slaneys() -> None:
    bands = spectrograms.mel_bands(SHAPE).toarray()
    for (band, frequency), value in LIBROSA_BANDS.items():
        assert bands[band, frequency] == pytest.approx(value, rel=1e-5), (band, frequency)
    assert bands.sum() == pytest.approx(LIBROSA_BANDS_SUM, rel=1e-5)
    assert not np.argwhere(bands.sum(axis=1) == 0).size


def test_the_picture_is_scipys_transform_made_small() -> None:
    made = spectrograms.stft_image(chirp(), SHAPE)
    level = decibels(chirp())
    assert level.shape == (513, 313)
    small = zoom(level, [224 / 513, 224 / 313], order=3, mode="nearest")
    expected = (small - small.min()) / (small.max() - small.min()) * 255
    assert made.shape == (224, 224)
    assert np.abs(made - expected).max() < 1.5
    assert (made.min(), made.max()) == (0, 255)


def test_bands_hold_the_power_that_scipy_finds() -> None:
    power = 10 ** (decibels(chirp()) / 10)
    mel = spectrograms.mel_bands(SHAPE).toarray() @ power
    expected = np.maximum(10 * np.log10(mel / mel.max()), -80) / 80 * 255 + 255
    made = spectrograms.log_mel(chirp(), SHAPE).astype(float)
    # What scipy's was clipped to adds up to something only where there is little else.
    loud = expected > 60
    assert 0.05 < loud.mean() < 0.95
    assert np.abs(made - expected)[loud].max() < 1


def test_how_loud_a_clip_is_does_not_count() -> None:
    sound = chirp()
    for factor in (2.0**-10, 2.0**10):
        for made, same in zip(
            spectrograms.pictures(sound * np.float32(factor), SHAPE),
            spectrograms.pictures(sound, SHAPE),
            strict=True,
        ):
            assert (made == same).all()


def test_silence_is_dark_and_divides_by_nothing() -> None:
    with np.errstate(all="raise"):
        made = spectrograms.pictures(np.zeros(SHAPE.samples, np.float32), SHAPE)
    assert [picture.shape for picture in made] == [(96, 313), (224, 224)]
    assert not any(picture.any() for picture in made)


@pytest.mark.parametrize(
    "shape",
    [Shape(stretch_s=3.0, bands=32, image_size=64), Shape(22_050, 5.0, 2048, 441, high_hz=11_025)],
)
def test_other_shapes_have_what_they_say(shape: Shape) -> None:
    sound = np.random.default_rng(0).normal(size=shape.samples).astype(np.float32)
    mel, image = spectrograms.pictures(sound, shape)
    assert mel.shape == (shape.bands, shape.frames)
    assert image.shape == (shape.image_size, shape.image_size)

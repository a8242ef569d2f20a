"""The middle of an audio file as sound: mono, of one rate and length, whatever the file is.

libsndfile decodes and libsoxr resamples. What a file is called does not matter, only what is in it,
and nothing that it says of itself is believed beyond limits: of a file of three hours no more is
decoded than of one of thirty seconds. Every file ends in an outcome of `beatlake.tables.sound`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.sound.ends import ogg_is_whole, wav_bytes

Sound: TypeAlias = npt.NDArray[np.float32]

#: What libsndfile calls the formats that are taken; it knows many more, which no preview has.
FORMATS = ("WAV", "WAVEX", "RF64", "MP3", "OGG", "FLAC")
#: Larger files are not read at all: three hours of studio sound (24 bits, 48 kHz, stereo) are 3 GB.
LARGEST_BYTES = 4 << 30
#: Telephones have 8 kHz, studios 192 kHz and rooms full of loudspeakers 24 channels.
RATES_HZ = (2_000, 384_000)
MOST_CHANNELS = 32
#: More samples than this to a byte no format holds: a FLAC frame of silence, which is the smallest,
#: has 12 bytes and 65,535 samples at most (RFC 9639). Ogg files without an end claim 2^63.
_SAMPLES_PER_BYTE = 65_536
#: A shorter file has nothing to be recognised by.
SHORTEST_S = 1.0
#: What is below everywhere is silent: what spectrograms show is 80 dB.
SILENCE_DB = -80.0
#: So much may be missing at the end: MP3 frames are 1,152 samples, and some count one too many.
_MAY_MISS_S = 0.1
#: Values that are decoded at a time, over all channels. MP3, of which there are 96,000 a second at
#: most, is read at once: soundfile seeks after every read, and libmpg123 then gives sound that is
#: not in the file, since an MP3 frame builds on those before it.
_BLOCK_VALUES = 1 << 18
#: For the same reason it is decoded from so much earlier than it is listened to.
_BEFORE_S = 0.25
_BLOCK_BYTES = 1 << 20
#: What libsndfile calls a file without a whole MP3 frame whose first bytes look like one, as those
#: of UTF-16 do: its SFE_BAD_FILE, for which it says that the file does not exist.
_NO_FRAME = 7


@dataclass(frozen=True)
class Heard:
    """What became of a file.

    ``outcome`` is ``ok``, ``silent``, ``short``, ``damaged``, ``refused`` or ``missing``, and
    ``reason`` says why it is not ok. ``sound`` is there if it is: its greatest value is 1 or -1,
    and where the file has ended it is 0. The rest is None as far as it was not found out.
    """

    outcome: str
    reason: str | None = None
    sound: Sound | None = None
    format: str | None = None
    audio_rate_hz: int | None = None
    channels: int | None = None
    duration_s: float | None = None
    start_s: float | None = None


class OpenedFile:
    """A regular file that was opened to be hashed and heard, or why it was not."""

    def __init__(self, path: str) -> None:
        """Open it.

        Args:
            path: of the file, which may have gone since it was listed.
        """
        self.problem: Heard | None = None
        self.bytes: int | None = None
        self._file = -1
        try:
            # Without waiting for whoever writes to a pipe.
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            self.problem = Heard("missing", "The file was there when the run began.")
            return
        except OSError as error:
            self.problem = Heard("refused", f"The file cannot be opened: {error.strerror}.")
            return
        found = os.fstat(self._file)
        if not stat.S_ISREG(found.st_mode):
            self.problem = Heard("refused", "It is not a regular file.")
        elif found.st_size > LARGEST_BYTES:
            self.bytes = found.st_size
            self.problem = Heard(
                "refused", f"Its {found.st_size:,} bytes are more than {LARGEST_BYTES:,}."
            )
        else:
            self.bytes = found.st_size

    def __enter__(self) -> OpenedFile:
        """The file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        if self._file >= 0:
            os.close(self._file)

    def sha256(self) -> str | None:
        """The hash of its content; None where it is not read, which `problem` then explains."""
        if self.problem is not None:
            return None
        content = hashlib.sha256()
        place = 0
        try:
            while block := os.pread(self._file, _BLOCK_BYTES, place):
                content.update(block)
                place += len(block)
        except OSError as error:
            self.problem = Heard("damaged", f"The file cannot be read: {error.strerror}.")
            return None
        return content.hexdigest()

    def hear(self, stretch_s: float, sample_rate_hz: int) -> Heard:
        """The stretch in the middle of the file, or of a shorter file all, then silence.

        Args:
            stretch_s: its length.
            sample_rate_hz: of the sound that is given.
        """
        import soundfile

        if self.problem is not None:
            return self.problem
        if not self.bytes:
            return Heard("damaged", "The file is empty.")
        os.lseek(self._file, 0, os.SEEK_SET)
        try:
            # By its handle, so that its name does not count.
            with soundfile.SoundFile(self._file, closefd=False) as file:
                return _heard(file, self._file, self.bytes, stretch_s, sample_rate_hz)
        except (soundfile.SoundFileError, RuntimeError, OSError) as error:
            return Heard("damaged", f"It cannot be decoded: {_sentence(error)}")


def _heard(file: object, handle: int, size: int, stretch_s: float, sample_rate_hz: int) -> Heard:
    import soundfile
    import soxr

    assert isinstance(file, soundfile.SoundFile)
    rate, channels, frames = file.samplerate, file.channels, file.frames
    known = {"format": file.format, "audio_rate_hz": rate, "channels": channels}
    if file.format not in FORMATS:
        return Heard("refused", f"It is {file.format}, not WAV, MP3, Ogg or FLAC.", **known)
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        return Heard("refused", f"Its sample rate is {rate:,} Hz.", **known)
    if not 1 <= channels <= MOST_CHANNELS:
        return Heard("refused", f"It has {channels:,} channels.", **known)
    if not 0 <= frames <= size * _SAMPLES_PER_BYTE:
        return Heard("damaged", "It does not say how long it is, or lies.", **known)
    known["duration_s"] = frames / rate
    # First, since what is left may be short.
    if reason := _cut(file, handle, size):
        return Heard("damaged", reason, **known)
    if frames < SHORTEST_S * rate:
        return Heard("short", f"It lasts {frames / rate:.3f} s.", **known)
    wanted = min(frames, round(stretch_s * rate))
    start = (frames - wanted) // 2
    known["start_s"] = start / rate
    try:
        mono = _mono(file, start, wanted)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        return Heard("damaged", f"It cannot be decoded: {_sentence(error)}", **known)
    if len(mono) < wanted - _MAY_MISS_S * rate:
        reason = f"It ends {(wanted - len(mono)) / rate:.2f} s before it should."
        return Heard("damaged", reason, **known)
    peak = float(np.max(np.abs(mono)))
    if not np.isfinite(peak):
        return Heard("damaged", "Some of its samples are not numbers.", **known)
    if peak < 10 ** (SILENCE_DB / 20):
        return Heard("silent", f"Nothing is louder than {SILENCE_DB:g} dB.", **known)
    scaled = mono / np.float32(peak)
    resampled = scaled if rate == sample_rate_hz else soxr.resample(scaled, rate, sample_rate_hz)
    sound = np.zeros(round(stretch_s * sample_rate_hz), np.float32)
    given = resampled[: len(sound)]
    sound[: len(given)] = given
    return Heard("ok", None, sound, **known)


def _cut(file: object, handle: int, size: int) -> str | None:
    """Why the file does not go as far as it says, or None. Of MP3 the sound has to tell."""
    import soundfile

    assert isinstance(file, soundfile.SoundFile)
    if file.format == "OGG" and not ogg_is_whole(handle, size):
        return "It ends before its stream does."
    if file.format in ("WAV", "WAVEX", "RF64") and (found := wav_bytes(handle, size)):
        said, there = found
        if said > there and not (there and file.frames):
            return "It ends before its stream does."
        # What is missing has as many samples to a byte as what is there.
        missing_s = (said / there - 1) * file.frames / file.samplerate if said > there else 0.0
        if missing_s > _MAY_MISS_S:
            return f"It ends {missing_s:.2f} s before it should."
    # Nothing but its frames tells where FLAC ends, and to find the last one does not take long.
    if file.format == "FLAC" and file.frames and not _has_last(file):
        return "It cannot be decoded as far as it says."
    return None


def _has_last(file: object) -> bool:
    """Whether the last sample can be decoded."""
    import soundfile

    assert isinstance(file, soundfile.SoundFile)
    try:
        file.seek(file.frames - 1)
        return len(file.read(1, dtype="float32")) == 1
    except (soundfile.SoundFileError, RuntimeError, OSError):
        return False


def _mono(file: object, start: int, wanted: int) -> Sound:
    """The mean of the channels, as far as the file goes."""
    import soundfile

    assert isinstance(file, soundfile.SoundFile)
    at_once, before = _BLOCK_VALUES // file.channels, 0
    if file.format == "MP3":
        before = min(start, round(_BEFORE_S * file.samplerate))
        at_once = before + wanted
    file.seek(start - before)
    blocks: list[Sound] = []
    left = before + wanted
    # What is not a number is found at the end, and need not be told on the way.
    with np.errstate(all="ignore"):
        while left > 0:
            block = file.read(min(left, at_once), dtype="float32", always_2d=True)
            if not len(block):
                break
            # Ten times as fast as numpy's mean over so short an axis.
            mono = block[:, 0].copy()
            for channel in range(1, file.channels):
                mono += block[:, channel]
            blocks.append(mono / np.float32(file.channels))
            left -= len(block)
    return np.concatenate([np.zeros(0, np.float32), *blocks])[before:]


def _sentence(error: Exception) -> str:
    """What libsndfile says, without the handle that it was told to open, or what it means.

    >>> _sentence(RuntimeError("Error opening 7: Format not recognised."))
    'Format not recognised.'
    """
    if getattr(error, "code", None) == _NO_FRAME:
        return "it holds no MP3 audio."
    said = str(error)
    return said.partition(": ")[2] if said.startswith("Error opening ") else said

"""Sound: what became of the previews of recordings, and spectrograms of those that could be heard.

Like the other `ml` tables these are not part of a release. `beatlake previews` makes both what its
sample, its audio and its parameters say: it adds what is missing, and takes out what is no longer
of them. `ml.spectrograms` is committed first, so that a row of `ml.previews` that is ok always has
its spectrogram. The audio itself is not in the lake.
"""

from __future__ import annotations

from beatlake.tables.spec import Column, Table
from beatlake.tables.vocabulary import ISRC, key

#: What can become of a recording's preview: the first is what every row of `ml.spectrograms` is.
OUTCOMES = {
    "ok": "it was heard, and is in `ml.spectrograms`",
    "silent": "nothing in its middle is louder than -80 dB of full scale",
    "short": "it lasts less than a second",
    "damaged": "it cannot be decoded, or not as far as it says",
    "refused": "its address, size, type or shape is not one that is taken",
    "gone": "its address has nothing any more",
    "failed": "fetching it failed, and may succeed another time",
    "missing": "there is no audio of it",
}
_SHA256 = "SHA-256 of the audio file"
_PARAMETERS = (
    "What sound is made into spectrograms by, the libraries among it: a JSON object. Where it"
    " differs, all are made again."
)

PREVIEWS = Table(
    name="ml.previews",
    comment="One row per recording of the sample: what became of its preview, and what was heard."
    " The sample is of main artists, by hash: a larger one holds every smaller one.",
    columns=(
        key(ISRC),
        Column("preview_url", "string", "Address of the preview; null where there is none."),
        Column(
            "outcome",
            "string",
            "; ".join(f"{outcome}: {meaning}" for outcome, meaning in OUTCOMES.items()) + ".",
            False,
        ),
        Column("reason", "string", "What was found, in words; null where it is ok."),
        Column("file", "string", "Name of the file that was read."),
        Column("sha256", "string", f"{_SHA256}; null where there is none."),
        Column("bytes", "bigint", "Size of the file.", True, "bytes"),
        Column("format", "string", "What the file is, whatever its name says: WAV, MP3 ..."),
        Column("audio_rate_hz", "int", "Sample rate of the file.", True, "Hz"),
        Column("channels", "int", "Channels of the file, which are mixed into one.", True),
        Column("duration_s", "double", "Length of the whole file.", True, "s"),
        Column("start_s", "double", "Where the stretch begins that was heard.", True, "s"),
        Column("parameters", "string", _PARAMETERS, False),
    ),
    key=("isrc",),
)

SPECTROGRAMS = Table(
    name="ml.spectrograms",
    comment="One row per recording of `ml.previews` that is ok: two pictures of the middle of its"
    " preview, each of one fixed shape, as bytes row by row, one byte a value. numpy reads one by"
    " numpy.frombuffer(log_mel, numpy.uint8).reshape(bands, frames).",
    columns=(
        key(ISRC),
        Column("sha256", "string", f"{_SHA256} that was heard.", False),
        Column(
            "log_mel",
            "binary",
            "Power in mel bands against its maximum: 255 is the maximum, 0 is `floor_db` or less,"
            " and steps are even in dB. A row per band, the lowest first, a column per frame.",
            False,
        ),
        Column(
            "stft_image",
            "binary",
            "Magnitudes of the short-time Fourier transform in dB against their maximum, resized"
            " by cubic interpolation to a square, darkest value 0, brightest 255. A row per"
            " frequency, 0 Hz first, a column per time.",
            False,
        ),
        Column("sample_rate_hz", "int", "Sample rate of the sound, mono.", False, "Hz"),
        Column("stretch_s", "double", "Length of the sound; silence where it ends.", False, "s"),
        Column(
            "window_samples", "int", "Length of the Hann window and transform.", False, "samples"
        ),
        Column("hop_samples", "int", "From one frame to the next.", False, "samples"),
        Column("bands", "int", "Rows of `log_mel`: mel bands (Slaney's).", False, "bands"),
        Column("frames", "int", "Columns of `log_mel`.", False, "frames"),
        Column("low_hz", "double", "Where the lowest band begins.", False, "Hz"),
        Column("high_hz", "double", "Where the highest band ends.", False, "Hz"),
        Column("floor_db", "double", "What 0 of `log_mel` is.", False, "dB"),
        Column("image_size", "int", "Rows and columns of `stft_image`.", False, "pixels"),
        Column("parameters", "string", _PARAMETERS, False),
    ),
    key=("isrc",),
)

TABLES = (PREVIEWS, SPECTROGRAMS)

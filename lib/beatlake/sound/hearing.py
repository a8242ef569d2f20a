"""What a Spark task does with audio files: hash, decode, make spectrograms, write data files.

A file that was heard before, by its hash and the parameters, is not decoded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from beatlake.datafiles import DataFileWriter, Target
from beatlake.sound.decoding import Heard, OpenedFile
from beatlake.sound.spectrograms import Shape, parameters, pictures
from beatlake.workers import forget_archives

#: Columns of `ml.previews` that are found out by hearing a file, and are the same for the same one.
FOUND = ("sha256", "outcome", "reason", "bytes", "format", "audio_rate_hz", "channels",
         "duration_s", "start_s")  # fmt: skip
#: What those of an earlier run are called among the columns of a task.
BEFORE = "before_"
#: What a task tells of the files that it wrote.
WRITTEN_DDL = "spectrograms boolean, name string, size bigint, rows bigint"
#: Row groups of spectrograms, which readers hold one at a time, are some hundred rows.
_GROUP_BYTES = 32 << 20
_ROWS = 64


@dataclass(frozen=True)
class Hearing:
    """Hears the files of a partition. A class, so that workers import its code.

    Rows have ``isrc``, ``preview_url``, ``file``, ``path``, ``kept`` (whether there is a
    spectrogram of what was heard before) and the columns `FOUND` of an earlier run, if there was
    one of the same parameters.
    """

    previews: Target
    spectrograms: Target
    shape: Shape

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write the data files; what was written."""
        forget_archives()
        with (
            DataFileWriter(self.previews) as previews,
            DataFileWriter(self.spectrograms, group_bytes=_GROUP_BYTES) as spectrograms,
        ):
            for batch in batches:
                for begin in range(0, batch.num_rows, _ROWS):
                    rows = batch.slice(begin, _ROWS).to_pylist()
                    told, made = self._heard(rows)
                    previews.add(pa.Table.from_pylist(told, self.previews.schema))
                    spectrograms.add(pa.Table.from_pylist(made, self.spectrograms.schema))
            for writer, of_spectrograms in ((previews, False), (spectrograms, True)):
                for file in writer.finish():
                    yield pa.RecordBatch.from_pylist(
                        [
                            {
                                "spectrograms": of_spectrograms,
                                "name": file.name,
                                "size": file.size,
                                "rows": file.rows,
                            }
                        ]
                    )

    def _heard(
        self, rows: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Rows of `ml.previews`, and of `ml.spectrograms` where there is none yet."""
        told, made = [], []
        for row in rows:
            common = {name: row[name] for name in ("isrc", "preview_url", "file")}
            common["parameters"] = parameters(self.shape)
            with OpenedFile(row["path"]) as file:
                sha256 = file.sha256()
                if _known(row, sha256):
                    told.append({**common, **{name: row[BEFORE + name] for name in FOUND}})
                    continue
                heard = file.hear(self.shape.stretch_s, self.shape.sample_rate_hz)
                told.append({**common, "sha256": sha256, "bytes": file.bytes, **_columns(heard)})
            if heard.sound is not None:
                log_mel, stft_image = pictures(heard.sound, self.shape)
                made.append(
                    {
                        "isrc": row["isrc"],
                        "sha256": sha256,
                        "log_mel": log_mel.tobytes(),
                        "stft_image": stft_image.tobytes(),
                        **self.shape.columns(),
                    }
                )
        return told, made


def _known(row: dict[str, Any], sha256: str | None) -> bool:
    """Whether what is to be found out was found out before."""
    if sha256 is None or row[f"{BEFORE}sha256"] != sha256:
        return False
    return bool(row["kept"] or row[f"{BEFORE}outcome"] != "ok")


def _columns(heard: Heard) -> dict[str, Any]:
    return {name: getattr(heard, name) for name in FOUND if hasattr(heard, name)}

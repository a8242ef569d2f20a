"""truth.json: what a pipeline must find in the generated files, from the generator's own arrays.

Nothing here reads a generated file. The fields are described in the package's docstring.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from beatlake.synth import dates, signal
from beatlake.synth.build import Planted
from beatlake.synth.defects import KEEP, OUTCOME, Defect, record_numbers
from beatlake.synth.genres import DRUM_AND_BASS, genres, subgenres
from beatlake.synth.world import World

SCHEMA_VERSION = 1
EXAMPLES = 20

CONDITIONS = {
    "all_zero_features": "tempo = 0 and time_signature = 0 and danceability = 0 and valence = 0",
    "loudness_above_zero": "loudness > 0",
    "very_short_duration": "duration_ms < 30000",
    "very_long_duration": "duration_ms > 3600000",
    "bpm_missing": "bpm = 0",
    "half_time_bpm": f"genre_id = {DRUM_AND_BASS} and bpm > 0 and bpm < 110",
    "no_isrc": "isrc is null",
    "year_only_date": "release_date has the form YYYY and is not 0000",
    "year_month_date": "release_date has the form YYYY-MM",
    "placeholder_date": "release_date has the form YYYY-01-01",
    "impossible_date": "release_date has the year 0000",
}


def _meets(rule: str, values: dict[str, str | None]) -> bool:
    def number(name: str) -> float:
        return float(values.get(name) or 0)

    date = values.get("release_date") or ""
    checks = {
        "all_zero_features": lambda: (
            not any(number(name) for name in ("tempo", "time_signature", "danceability", "valence"))
        ),
        "loudness_above_zero": lambda: number("loudness") > 0,
        "very_short_duration": lambda: number("duration_ms") < 30_000,
        "very_long_duration": lambda: number("duration_ms") > 3_600_000,
        "bpm_missing": lambda: number("bpm") == 0,
        "half_time_bpm": lambda: number("genre_id") == DRUM_AND_BASS and 0 < number("bpm") < 110,
        "no_isrc": lambda: values["isrc"] is None,
        "year_only_date": lambda: len(date) == 4 and date != "0000",
        "year_month_date": lambda: len(date) == 7,
        "placeholder_date": lambda: len(date) == 10 and date.endswith("-01-01"),
        "impossible_date": lambda: date.startswith("0000"),
    }
    return bool(checks[rule]())


def added(defects: list[Defect]) -> list[dict[str, str | None]]:
    """The planted rows that a reader keeps as rows of their own: duplicates of a key are not."""
    return [
        defect.values
        for defect in defects
        if OUTCOME[defect.rule] == KEEP and defect.rule != "duplicate_key" and defect.values
    ]


def file_truth(
    name: str, clean_rows: int, defects: list[Defect], offsets: list[int], written: dict[str, Any]
) -> dict[str, Any]:
    """The entry of one file; `written` holds bytes, sha256, sums and flags of the clean rows."""
    planted: dict[str, dict[str, Any]] = {}
    for defect, record, offset in zip(defects, record_numbers(defects), offsets, strict=True):
        entry = planted.setdefault(
            defect.rule, {"outcome": OUTCOME[defect.rule], "count": 0, "examples": []}
        )
        entry["count"] += 1
        if len(entry["examples"]) < EXAMPLES:
            example = {"record": int(record), "byte_offset": offset, "key": defect.key}
            entry["examples"].append(example)
    set_aside = sum(entry["count"] for entry in planted.values() if entry["outcome"] != KEEP)
    duplicates = planted.get("duplicate_key", {"count": 0})["count"]
    kept = added(defects)
    flags = {
        rule: {"clean": count, "kept": count + sum(_meets(rule, values) for values in kept)}
        for rule, count in sorted(written["flags"].items())
    }
    return {
        "file": f"{name}.csv",
        "records": clean_rows + len(defects),
        "clean_rows": clean_rows,
        "set_aside": set_aside,
        "merged_duplicates": duplicates,
        "kept_rows": clean_rows + len(kept),
        "defects": dict(sorted(planted.items())),
        "flags": flags,
        "sums": dict(sorted(written["sums"].items())),
        "bytes": written["bytes"],
        "sha256": written["sha256"],
    }


def joins(world: World) -> dict[str, int]:
    """All join counts of the dataset's page, over the clean rows."""
    rec, counts = world.rec, world.counts
    region = counts.sp_recordings
    n_sp, n_bp = rec.n_sp.astype(np.int64), rec.n_bp.astype(np.int64)
    on_sp, on_bp = (n_sp > 0) & rec.has_isrc, (n_bp > 0) & rec.has_isrc
    audio = rec.has_audio
    per_row = rec.n_sp[world.bp.rec].astype(np.int64) * audio[world.bp.rec]
    repeated = subgenres().repeated[world.bp.subgenre]
    three_way = int((n_sp * n_bp)[audio].sum())
    return {
        "audio_features": int(audio.sum()),
        "sp_track": int(n_sp.sum()),
        "sp_track_null_isrc": int(n_sp[:region][~rec.has_isrc[:region]].sum()),
        "sp_track_distinct_isrc": int(on_sp.sum()),
        "sp_track_isrc_without_audio_rows": int(n_sp[on_sp & ~audio].sum()),
        "sp_track_isrc_without_audio": int((on_sp & ~audio).sum()),
        "audio_isrc_not_in_sp_track": int((audio & ~on_sp).sum()),
        "bp_track": int(n_bp.sum()),
        "bp_track_null_isrc": int(n_bp[region:][~rec.has_isrc[region:]].sum()),
        "bp_track_distinct_isrc": int(on_bp.sum()),
        "audio_isrc_in_bp_track": int((audio & on_bp).sum()),
        "audio_isrc_not_in_bp_track": int((audio & ~on_bp).sum()),
        "audio_x_sp_track": int(n_sp[audio].sum()),
        "audio_x_sp_track_x_bp_track": three_way,
        "audio_x_sp_track_x_bp_track_left_bp_subgenre": three_way + int(per_row[repeated].sum()),
    }


def kept_joins(clean: dict[str, int], planted: dict[str, list[Defect]]) -> dict[str, int]:
    """The join counts when the planted rows that a reader keeps are counted too.

    Each of their ISRC occurs in one row of one file, so it joins with nothing.
    """

    def rows(name: str) -> tuple[int, int]:
        kept = added(planted.get(name, []))
        return len(kept), sum(values["isrc"] is None for values in kept)

    (audio, _), (sp, sp_null), (bp, bp_null) = map(rows, ("audio_features", "sp_track", "bp_track"))
    more = {
        "audio_features": audio,
        "sp_track": sp,
        "sp_track_null_isrc": sp_null,
        "sp_track_distinct_isrc": sp - sp_null,
        "sp_track_isrc_without_audio_rows": sp - sp_null,
        "sp_track_isrc_without_audio": sp - sp_null,
        "audio_isrc_not_in_sp_track": audio,
        "bp_track": bp,
        "bp_track_null_isrc": bp_null,
        "bp_track_distinct_isrc": bp - bp_null,
        "audio_isrc_not_in_bp_track": audio,
    }
    return {name: count + more.get(name, 0) for name, count in clean.items()}


def _by_year(world: World) -> dict[str, int]:
    """Clean recordings by the year of their earliest Spotify release."""
    sp, region = world.sp, world.counts.sp_recordings
    last = dates.last_possible(sp.rel_day[:], sp.rel_precision[:])
    earliest = last[sp.rel[:region]].copy()
    np.minimum.at(earliest, sp.rec[region:], last[sp.rel[region:]])
    named = world.rec.has_isrc[:region]
    years, count = np.unique(dates.year_of(earliest[named]), return_counts=True)
    found = {str(year): int(n) for year, n in zip(years, count, strict=True)}
    return found | {"none": int(world.rec.has_isrc[region:].sum())}


def _by_genre(world: World) -> dict[str, int]:
    """Clean recordings by the genres of their Beatport rows, each genre of an ISRC once."""
    bp, known = world.bp, genres()
    named = world.rec.has_isrc[bp.rec]
    pairs = np.unique(bp.rec[named].astype(np.int64) * 64 + bp.genre[named])
    count = np.bincount(pairs % 64, minlength=len(known.ids))
    return {str(i): int(n) for i, n in zip(known.ids, count, strict=True)}


def _written_year(date: str) -> str:
    return "none" if date.startswith("0000") else date[:4]


def recordings(
    world: World, planted: dict[str, list[Defect]], release_dates: dict[str, str]
) -> dict[str, Any]:
    """Recordings, over the clean rows and over all kept ones.

    `release_dates` gives the written dates of the releases that kept planted tracks name.
    """
    rec = world.rec
    region = world.counts.sp_recordings
    by_year, by_genre = _by_year(world), _by_genre(world)
    clean: dict[str, Any] = {
        "total": int(rec.has_isrc.sum()),
        "has_audio": int(rec.has_audio.sum()),
        "has_spotify": int(rec.has_isrc[:region].sum()),
        "has_beatport": int((rec.has_isrc & (rec.n_bp > 0)).sum()),
        "by_year": by_year,
        "by_genre": by_genre,
    }
    audio, tracks, rows = (
        [values for values in added(planted.get(name, [])) if values["isrc"]]
        for name in ("audio_features", "sp_track", "bp_track")
    )
    kept_year, kept_genre = dict(by_year), dict(by_genre)
    for values in tracks:
        year = _written_year(release_dates.get(values["release_id"] or "", "0000"))
        kept_year[year] = kept_year.get(year, 0) + 1
    kept_year["none"] += len(audio) + len(rows)
    for values in rows:
        genre = values["genre_id"] or ""
        if genre in kept_genre:
            kept_genre[genre] += 1
    kept = {
        "total": clean["total"] + len(audio) + len(tracks) + len(rows),
        "has_audio": clean["has_audio"] + len(audio),
        "has_spotify": clean["has_spotify"] + len(tracks),
        "has_beatport": clean["has_beatport"] + len(rows),
        "by_year": dict(sorted(kept_year.items())),
        "by_genre": kept_genre,
    }
    return {"clean": clean, "kept": kept}


def signal_truth(planted: Planted) -> dict[str, Any]:
    """The planted coefficients, what varies how much, and how well a prediction can do."""
    return {
        "track_popularity": signal.coefficients(planted.effects),
        "ceilings": planted.ceilings,
        "variance": planted.variance,
        "artists": planted.artists,
    }

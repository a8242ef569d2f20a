"""The rules by name: what a reader must do with such a record, the files that get it, how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from beatlake.synth.defects import kinds
from beatlake.synth.defects.maker import Defect, Maker, Values

SET_ASIDE, KEEP = "set_aside", "keep"

_ZEROS: Values = {
    "tempo": "0", "time_signature": "0", "danceability": "0.000", "valence": "0.000",
    "energy": "1.000", "speechiness": "0.0000",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A kind of defect: what becomes of it, where it occurs, how often."""

    name: str
    outcome: str
    make: Callable[[Maker, int], Defect]
    files: tuple[str, ...]
    per_scale: float = 50
    at_most: int = 1_000_000

    def count(self, scale: float) -> int:
        """How many per file at a scale."""
        return min(self.at_most, max(1, round(self.per_scale * scale)))


RULES: tuple[Rule, ...] = (
    Rule("blank_line", SET_ASIDE, kinds.blank_line, ("audio_features", "sp_track", "sp_artist")),
    Rule(
        "wrong_column_count",
        SET_ASIDE,
        kinds.wrong_column_count,
        ("audio_features", "sp_track", "bp_track", "sp_artist_release"),
    ),
    Rule(
        "unbalanced_quote", SET_ASIDE, kinds.unbalanced_quote, ("sp_track", "bp_track"), at_most=40
    ),
    Rule("stray_quote", SET_ASIDE, kinds.stray_quote, ("sp_track", "bp_track", "sp_release")),
    Rule("invalid_utf8", SET_ASIDE, kinds.invalid_utf8, ("sp_track", "sp_artist", "bp_track")),
    Rule("nul_byte", SET_ASIDE, kinds.nul_byte, ("sp_track", "bp_artist")),
    Rule("lone_carriage_return", SET_ASIDE, kinds.lone_carriage_return, ("sp_track", "sp_release")),
    Rule("record_too_long", SET_ASIDE, kinds.record_too_long, ("sp_track",), 3),
    Rule("repeated_header", SET_ASIDE, kinds.repeated_header, ("audio_features", "sp_track"), 3),
    Rule("torn_record", SET_ASIDE, kinds.torn_record, ("sp_artist_track", "bp_track"), 0),
    Rule(
        "missing_value",
        SET_ASIDE,
        kinds.missing_value,
        ("audio_features", "sp_track", "sp_release", "bp_track", "sp_artist_track"),
    ),
    Rule("wrong_type", SET_ASIDE, kinds.wrong_type, tuple(kinds.WRONG_TYPES), 100),
    Rule("wrong_shape", SET_ASIDE, kinds.wrong_shape, ("audio_features", "sp_track", "bp_track")),
    Rule(
        "out_of_range",
        SET_ASIDE,
        kinds.changed(
            "out_of_range",
            audio_features={"danceability": "1.7"},
            sp_release={"popularity": "101"},
            sp_track_popularity={"popularity": "101"},
        ),
        ("audio_features", "sp_release", "sp_track_popularity"),
    ),
    Rule(
        "duplicate_key",
        KEEP,
        kinds.duplicates,
        (*kinds.SAME_SECOND_CHANGE, "sp_artist_release", "bp_artist_track"),
        150,
    ),
    Rule(
        "all_zero_features",
        KEEP,
        kinds.changed("all_zero_features", audio_features=_ZEROS),
        ("audio_features",),
    ),
    Rule(
        "loudness_above_zero",
        KEEP,
        kinds.changed("loudness_above_zero", audio_features={"loudness": "1.250"}),
        ("audio_features",),
    ),
    Rule(
        "very_short_duration",
        KEEP,
        kinds.changed(
            "very_short_duration",
            audio_features={"duration_ms": "1000"},
            sp_track={"duration_ms": "1"},
        ),
        ("audio_features", "sp_track"),
    ),
    Rule(
        "very_long_duration",
        KEEP,
        kinds.changed(
            "very_long_duration",
            audio_features={"duration_ms": "6074945"},
            sp_track={"duration_ms": "7432620"},
        ),
        ("audio_features", "sp_track"),
    ),
    Rule("bpm_missing", KEEP, kinds.changed("bpm_missing", bp_track={"bpm": "0"}), ("bp_track",)),
    Rule(
        "half_time_bpm",
        KEEP,
        kinds.changed(
            "half_time_bpm", bp_track={"bpm": "87", "genre_id": "1", "subgenre_id": None}
        ),
        ("bp_track",),
    ),
    Rule(
        "year_only_date",
        KEEP,
        kinds.changed("year_only_date", sp_release={"release_date": "1998"}),
        ("sp_release",),
    ),
    Rule(
        "year_month_date",
        KEEP,
        kinds.changed("year_month_date", sp_release={"release_date": "2011-06"}),
        ("sp_release",),
    ),
    Rule(
        "impossible_date",
        KEEP,
        kinds.changed("impossible_date", sp_release={"release_date": "0000"}),
        ("sp_release",),
    ),
    Rule(
        "placeholder_date",
        KEEP,
        kinds.changed("placeholder_date", sp_release={"release_date": "2009-01-01"}),
        ("sp_release",),
    ),
    Rule(
        "no_isrc",
        KEEP,
        kinds.changed("no_isrc", sp_track={"isrc": None}, bp_track={"isrc": None}),
        ("sp_track", "bp_track"),
    ),
    Rule(
        "orphan_release",
        KEEP,
        kinds.orphan("orphan_release", "release_id"),
        ("sp_track", "bp_track"),
    ),
    Rule(
        "orphan_track",
        KEEP,
        kinds.orphan("orphan_track", "track_id"),
        ("sp_artist_track", "bp_artist_track"),
    ),
    Rule(
        "orphan_artist",
        KEEP,
        kinds.orphan("orphan_artist", "artist_id"),
        ("sp_artist_track", "sp_artist_release", "bp_artist_track"),
    ),
    Rule("orphan_genre", KEEP, kinds.orphan("orphan_genre", "genre_id"), ("bp_track",)),
    Rule("orphan_subgenre", KEEP, kinds.orphan_subgenre, ("bp_track",)),
    Rule("orphan_label", KEEP, kinds.orphan("orphan_label", "label_id"), ("bp_track",)),
    Rule("orphan_key", KEEP, kinds.orphan("orphan_key", "key_id"), ("bp_track",)),
)
OUTCOME = {rule.name: rule.outcome for rule in RULES}

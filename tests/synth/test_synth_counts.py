"""Counts and joins of the clean files, counted by DuckDB, against the published figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from beatlake.synth.shape import counts_at, multiplicities

Query = Callable[[str], Any]

PUBLISHED = {
    "audio_features": (4_687_104, "SELECT count(*) FROM audio_features"),
    "sp_track": (5_777_707, "SELECT count(*) FROM sp_track"),
    "sp_track_distinct_isrc": (4_816_552, "SELECT count(DISTINCT isrc) FROM sp_track"),
    "sp_track_isrc_without_audio_rows": (
        142_650,
        "SELECT count(*) FROM sp_track ANTI JOIN audio_features USING (isrc) WHERE isrc NOT NULL",
    ),
    "sp_track_isrc_without_audio": (
        129_448,
        "SELECT count(DISTINCT isrc) FROM sp_track ANTI JOIN audio_features USING (isrc)",
    ),
    "audio_isrc_not_in_sp_track": (
        0,
        "SELECT count(*) FROM audio_features ANTI JOIN sp_track USING (isrc)",
    ),
    "bp_track": (10_685_331, "SELECT count(*) FROM bp_track"),
    "bp_track_null_isrc": (295_778, "SELECT count(*) FROM bp_track WHERE isrc IS NULL"),
    "bp_track_distinct_isrc": (7_656_648, "SELECT count(DISTINCT isrc) FROM bp_track"),
    "audio_isrc_in_bp_track": (
        4_667_811,
        "SELECT count(*) FROM audio_features SEMI JOIN bp_track USING (isrc)",
    ),
    "audio_isrc_not_in_bp_track": (
        19_293,
        "SELECT count(*) FROM audio_features ANTI JOIN bp_track USING (isrc)",
    ),
    "audio_x_sp_track": (
        5_635_011,
        "SELECT count(*) FROM audio_features JOIN sp_track USING (isrc)",
    ),
    "audio_x_sp_track_x_bp_track": (
        14_460_217,
        "SELECT count(*) FROM audio_features JOIN sp_track USING (isrc) JOIN bp_track USING (isrc)",
    ),
    "audio_x_sp_track_x_bp_track_left_bp_subgenre": (
        14_511_864,
        "SELECT count(*) FROM audio_features JOIN sp_track USING (isrc) JOIN bp_track USING (isrc) "
        "LEFT JOIN bp_subgenre USING (subgenre_id)",
    ),
    "sp_release": (713_563, "SELECT count(DISTINCT release_id) FROM sp_release"),
    "sp_artist": (676_911, "SELECT count(DISTINCT artist_id) FROM sp_artist"),
    "sp_artist_release": (
        3_969_489,
        "SELECT count(*) FROM (SELECT DISTINCT artist_id, release_id FROM sp_artist_release)",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_the_published_ones_in_proportion(
    name: str, one: Query, truth: dict[str, Any]
) -> None:
    published, sql = PUBLISHED[name]
    found = one(sql)
    # Sums of rounded counts can differ from the rounded sum by one.
    assert found == pytest.approx(published * truth["scale"], abs=1.5)
    if name in truth["joins"]["clean"]:
        assert truth["joins"]["clean"][name] == found


def test_small_tables_are_whole(one: Query) -> None:
    assert one("SELECT count(DISTINCT genre_id) FROM bp_genre") == 32
    assert one("SELECT count(*) FROM bp_subgenre") == 74
    assert one("SELECT count(*) FROM bp_key") == 34
    repeated = "SELECT list(subgenre_id ORDER BY subgenre_id) FROM (SELECT subgenre_id "
    repeated += "FROM bp_subgenre GROUP BY 1 HAVING count(*) = 2)"
    assert one(repeated) == ["210", "233"]


def test_a_few_isrc_have_many_tracks(one: Query) -> None:
    times = "SELECT count(*) AS n FROM bp_track WHERE isrc NOT NULL GROUP BY isrc"
    assert one(f"SELECT quantile_disc(n, 0.5) FROM ({times})") == 1
    assert one(f"SELECT max(n) FROM ({times})") >= 30
    assert one(f"SELECT avg((n > 1)::INT) FROM ({times})") == pytest.approx(0.19, abs=0.08)


@pytest.mark.parametrize("scale", [0.0002, 0.0007, 0.003])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_shape_is_exact_at_any_scale_and_seed(scale: float, seed: int) -> None:
    counts = counts_at(scale)
    shape = multiplicities(counts, seed)
    n_sp, n_bp = shape.n_sp.astype(int), shape.n_bp.astype(int)
    assert (n_sp * n_bp)[shape.has_audio].sum() == round(14_460_217 * scale)
    assert n_sp[shape.has_audio].sum() == round(5_635_011 * scale)
    assert n_bp.sum() == round(10_685_331 * scale)


@pytest.mark.parametrize("scale", [0.0, -1.0, 0.0001, 3.5])
def test_an_impossible_scale_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must lie between"):
        counts_at(scale)

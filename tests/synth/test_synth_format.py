"""The files are what PostgreSQL's COPY writes; Python's csv module reads them independently."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

HEADERS = {
    "audio_features": "isrc,acousticness,danceability,duration_ms,energy,instrumentalness,key,"
    "liveness,loudness,mode,speechiness,tempo,time_signature,valence,updated_on",
    "sp_track": "track_id,track_title,duration_ms,isrc,track_number,release_id,explicit,"
    "disc_number,preview_url,updated_on",
    "sp_release": "release_id,release_title,release_date,upc,popularity,total_tracks,album_type,"
    "release_img,label_name,updated_on",
    "sp_artist": "artist_id,artist_name,updated_on",
    "sp_artist_release": "release_id,artist_id,updated_on",
    "sp_artist_track": "track_id,artist_id,updated_on",
    "sp_track_popularity": "track_id,popularity,fetched_at",
    "bp_track": "track_id,title,mix,is_remixed,release_date,genre_id,subgenre_id,track_url,bpm,"
    "duration,duration_ms,isrc,key_id,label_id,release_id,updated_on,is_matched_spot",
    "bp_genre": "genre_id,genre_name,song_count,genre_url,updated_on",
    "bp_subgenre": "subgenre_id,subgenre_name,song_count,genre_id,subgenre_url,updated_on,"
    "genre_url",
    "bp_key": "key_id,key_letter,key_name,camelot_num,camelot_letter,is_sharp,is_flat,chord_id,"
    "chord_name",
    "bp_artist": "artist_id,artist_name,artist_url,updated_on",
    "bp_artist_track": "artist_id,track_id,updated_on,is_remixer",
    "bp_artist_release": "artist_id,release_id,updated_on",
    "bp_release": "release_id,release_title,release_date,release_url,label_id,updated_on",
    "bp_label": "label_id,label_name,label_url,updated_on",
    "bp_label_artist": "label_id,artist_id,updated_on",
    "bp_artist_media": "artist_id,artist_img_id,artist_img_uuid,updated_on",
    "bp_label_media": "label_id,label_img_id,label_img_uuid,updated_on",
    "bp_release_media": "release_id,release_img_id,release_img_uuid,updated_on",
    "bp_track_media": "track_id,wave_img_id,wave_img_uuid,sample_uuid,sample_start,sample_end,"
    "updated_on",
}
SPOTIFY_ID = r"[0-9A-Za-z]{22}"
BEATPORT_ID = r"[1-9][0-9]*"
ISRC = r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}"
SECOND = r"2023-\d\d-\d\d \d\d:\d\d:\d\d"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
SHAPES = {
    "audio_features": {
        "isrc": ISRC,
        "acousticness": r"0|1|0\.\d{1,6}|\d(\.\d\d?)?e-[56]",
        "instrumentalness": r"0|1|0\.\d{1,6}|\d(\.\d\d?)?e-[56]",
        "danceability": r"[01]\.\d{3}",
        "liveness": r"[01]\.\d{4}",
        "loudness": r"-?\d{1,2}\.\d{3}",
        "tempo": r"\d{1,3}",
        "updated_on": SECOND,
    },
    "sp_track": {
        "track_id": SPOTIFY_ID,
        "isrc": f"({ISRC})?",
        "release_id": SPOTIFY_ID,
        "explicit": "[tf]",
        "preview_url": r"(https://p\.scdn\.co/mp3-preview/[0-9a-f]{40}\?cid=[0-9a-f]{32})?",
        "updated_on": SECOND,
    },
    "sp_release": {"upc": r"(\d{13})?", "popularity": r"\d+", "total_tracks": BEATPORT_ID},
    "bp_track": {
        "track_id": BEATPORT_ID,
        "is_remixed": "[tf]",
        "release_date": r"\d{4}-\d\d-\d\d",
        "track_url": r"/track/[a-z0-9-]+/\d+",
        "duration": r"(\d:)?\d?\d:\d\d",
        "isrc": f"({ISRC})?",
        "label_id": f"({BEATPORT_ID})?",
    },
    "bp_track_media": {"wave_img_uuid": UUID, "sample_uuid": UUID, "sample_end": BEATPORT_ID},
}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_there_are_exactly_these_files(clean: Path) -> None:
    names = {path.name for path in clean.iterdir()}
    assert names == {f"{name}.csv" for name in HEADERS} | {"truth.json"}


@pytest.mark.parametrize("name", HEADERS)
def test_header_and_line_ends(name: str, clean: Path) -> None:
    data = (clean / f"{name}.csv").read_bytes()
    assert data.startswith(HEADERS[name].encode() + b"\r\n")
    assert data.endswith(b"\r\n")
    assert not data.startswith(b"\xef\xbb\xbf")
    data.decode("utf-8")
    assert b"\r" not in data.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", HEADERS)
def test_quoting_is_minimal(name: str, clean: Path) -> None:
    """Each record, read by csv and written by COPY's rule, gives its own bytes again."""
    data = (clean / f"{name}.csv").read_bytes().decode()
    with (clean / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    assert len({len(row) for row in rows}) == 1

    def written(value: str) -> str:
        if any(character in value for character in ',"\r\n'):
            return '"' + value.replace('"', '""') + '"'
        return value

    again = "".join(",".join(map(written, row)) + "\r\n" for row in rows)
    # The csv module cannot tell NULL from an empty text, which only upc can be.
    assert again == data.replace(',"",', ",,")
    assert (',"",' in data) == (name == "sp_release")


@pytest.mark.parametrize("name", SHAPES)
def test_values_have_their_shapes(name: str, clean: Path) -> None:
    rows = _rows(clean / f"{name}.csv")
    for column, shape in SHAPES[name].items():
        wrong = [row[column] for row in rows if not re.fullmatch(shape, row[column])]
        assert wrong == [], column


def test_titles_hold_what_real_ones_do(clean: Path) -> None:
    titles = [row["track_title"] for row in _rows(clean / "sp_track.csv")]
    for literal in ("NaN", "null", "NA", "None"):
        assert any(title.split(" - ")[0] == literal for title in titles), literal
    assert any("\r\n" in title for title in titles)
    assert any("\n" in title.replace("\r\n", "") for title in titles)
    assert any(len(title) > 255 for title in titles)
    assert any(re.search("[а-яё]", title) for title in titles)
    assert any(re.search("[\u3040-\u30ff\u4e00-\u9fff]", title) for title in titles)
    assert any('"' in title for title in titles)
    assert any("," in title for title in titles)
    assert 0.05 < sum(title.endswith(" Remix") for title in titles) / len(titles) < 0.4
    assert "" not in titles


def test_artists_can_be_called_null(clean: Path) -> None:
    names = {row["artist_name"] for row in _rows(clean / "sp_artist.csv")}
    assert {"NaN", "null", "NA", "None"} <= names
    assert "" not in names


def test_many_rows_share_a_second(clean: Path) -> None:
    rows = _rows(clean / "sp_track.csv")
    assert 1 < len({row["updated_on"] for row in rows}) < len(rows) / 100


def test_durations_of_one_recording_differ_by_a_millisecond(clean: Path) -> None:
    audio = {row["isrc"]: int(row["duration_ms"]) for row in _rows(clean / "audio_features.csv")}
    tracks = _rows(clean / "sp_track.csv")
    apart = {int(row["duration_ms"]) - audio[row["isrc"]] for row in tracks if row["isrc"] in audio}
    assert apart == {-1, 0, 1}


def test_genre_files_are_the_real_ones(clean: Path) -> None:
    genres, subgenres = _rows(clean / "bp_genre.csv"), _rows(clean / "bp_subgenre.csv")
    assert sum(int(row["song_count"]) for row in genres) == 10_793_921
    assert sum(int(row["song_count"]) for row in subgenres) == 718_846

"""Rows of a task: names, labels, keys and dates, and what is told where a table does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import songs

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn.judgement import Predictions, regression

NUMBER = (("label: {column: hit}", "label: {column: plays, kind: number}"),)


def as_number(text: str = songs.TASK) -> str:
    return songs.altered(
        text,
        *NUMBER,
        ("{name: logistic_regression}", "{name: linear_regression}"),
        ("ceiling: 0.99", "ceiling: 0.999"),
    )


def test_rows_of_equal_content_are_kept_apart_and_have_names_of_their_own(tmp_path: Path) -> None:
    given = songs.made()
    with songs.ready(given, tmp_path) as ready:
        names = ready.column("SELECT row_id FROM prepared")
    assert len(names) == len(set(names)) == len(given)


def test_rows_lie_in_one_order_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    given = songs.made()
    with songs.ready(given, tmp_path) as ready:
        first = ready.connection.execute("SELECT * FROM prepared").fetchall()
    with songs.ready(given[::-1], tmp_path) as ready:
        assert ready.connection.execute("SELECT * FROM prepared").fetchall() == first


def test_distinct_rows_count_once_and_the_repeats_are_told(tmp_path: Path) -> None:
    given = songs.made()
    text = songs.altered(songs.TASK, ("entities:", "table: {distinct: true}\nentities:"))
    with songs.ready(given, tmp_path, text) as ready:
        assert ready.prepared.rows == len({song["track"] for song in given})
        repeats = len(given) - ready.prepared.rows
        assert ready.prepared.dropped == {"repeats of a row": repeats}
        assert repeats > 0


@pytest.mark.parametrize("how", ["equal_width", "quantile"])
def test_bins_are_those_of_numpy(how: str, tmp_path: Path) -> None:
    given = songs.made()
    text = songs.altered(
        songs.TASK,
        (
            "label: {column: hit}",
            f"label: {{column: plays, bins: {{how: {how}, names: [low, mid, high]}}}}",
        ),
    )
    plays = np.array([song["plays"] for song in given])
    if how == "equal_width":
        edges = np.linspace(plays.min(), plays.max(), 4)[1:-1]
    else:
        edges = np.quantile(plays, [1 / 3, 2 / 3], method="inverted_cdf")
    with songs.ready(given, tmp_path, text) as ready:
        found = dict(
            ready.connection.execute("SELECT label, count(*) FROM prepared GROUP BY 1").fetchall()
        )
        assert ready.prepared.classes == ("low", "mid", "high")
    codes, counts = np.unique(np.searchsorted(edges, plays, side="left"), return_counts=True)
    assert found == dict(zip(codes.tolist(), counts.tolist(), strict=True))


def test_the_first_rule_that_fits_names_the_class(tmp_path: Path) -> None:
    given = [
        {**song, "mood": mood}
        for song, mood in zip(
            songs.made(6),
            ["indie pop", "pop rock", "hard rock", "folk", "rock", "pop"],
            strict=False,
        )
    ]
    rules = "[{name: rock, contains: [rock]}, {name: pop, contains: [pop]}]"
    text = songs.altered(
        songs.TASK, ("label: {column: hit}", f"label: {{column: mood, rules: {rules}}}")
    )
    with songs.ready(given, tmp_path, text) as ready:
        found = ready.connection.execute("SELECT s_mood, label FROM prepared ORDER BY 1").fetchall()
        assert ready.prepared.dropped == {"mood without a class": 1}
    # Classes in order of name: pop is 0, rock is 1.
    assert found == [
        ("hard rock", 1),
        ("indie pop", 0),
        ("pop", 0),
        ("pop rock", 1),
        ("rock", 1),
    ]


@pytest.mark.parametrize(
    ("credit", "names"),
    [
        ("A featuring B", ["a", "b"]),
        ("A feat. B & C", ["a", "b", "c"]),
        ("A x B with C", ["a", "b", "c"]),
        ("A, B", ["a", "b"]),
        ("Lil Nas X", ["lil nas x"]),
        ("Lil Nas X feat. Cardi B", ["lil nas x", "cardi b"]),
        ("Lil Nas X & Billy Ray Cyrus", ["lil nas x", "billy ray cyrus"]),
        ("A X B", ["a", "b"]),
        ("  The   XX ", ["the xx"]),
        ("Foxwith", ["foxwith"]),
        ("ÉLAN vs. Ólafur", ["élan", "ólafur"]),
    ],
)
def test_a_credit_is_split_by_the_stated_rule(
    credit: str, names: list[str], tmp_path: Path
) -> None:
    given = [{**song, "artist": credit} if i == 0 else song for i, song in enumerate(songs.made(9))]
    given[0]["track"] = "the one"
    with songs.ready(given, tmp_path) as ready:
        (found,) = ready.column("SELECT artists FROM prepared WHERE recording = '0:the one'")
    assert found == names


def test_an_artist_that_the_title_credits_counts(tmp_path: Path) -> None:
    given = songs.made(9)
    assert given[2]["track"] == "t0001"
    given[2]["title"] = "Anthem (feat. Somebody & Else) [Remix]"
    with songs.ready(given, tmp_path) as ready:
        found = ready.column("SELECT artists FROM prepared WHERE recording = '0:t0001'")
    assert found[0][-2:] == ["somebody", "else"]


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        ("2019", "2019-01-01", "2019-12-31"),
        ("2020-02", "2020-02-01", "2020-02-29"),
        ("2019-06-14", "2019-06-14", "2019-06-14"),
        ("2019-02-30", "None", "None"),
        ("sometime", "None", "None"),
    ],
)
def test_a_date_stands_for_all_its_days(
    written: str, first: str, last: str, tmp_path: Path
) -> None:
    given = [{**song, "track": f"u{i}"} for i, song in enumerate(songs.made(9))]
    given[0]["released"] = written
    with songs.ready(given, tmp_path) as ready:
        (found,) = ready.connection.execute(
            "SELECT starts, ends FROM prepared WHERE recording = '0:u0'"
        ).fetchall()
    assert tuple(map(str, found)) == (first, last)


def test_every_missing_column_is_named_with_the_near_one(tmp_path: Path) -> None:
    given = [
        {("enrgy" if k == "energy" else k): v for k, v in song.items() if k != "mood"}
        for song in songs.made(9)
    ]
    with (
        pytest.raises(InputError, match=r"energy \(near: enrgy\)") as error,
        songs.ready(given, tmp_path),
    ):
        pass
    assert "mood" in str(error.value)


def test_a_number_that_is_none_is_told_with_an_example(tmp_path: Path) -> None:
    given = songs.made(9)
    given[3]["tempo"] = "fast"
    with (
        pytest.raises(InputError, match="tempo is no number in 1 rows, such as 'fast'"),
        songs.ready(given, tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("change", "text", "said"),
    [
        ({"hit": "yes"}, songs.TASK, "nothing to tell apart"),
        ({"hit": None}, songs.TASK, "nothing to tell apart"),
        (
            {"plays": 5},
            songs.altered(
                songs.TASK,
                (
                    "label: {column: hit}",
                    "label: {column: plays, bins: {how: quantile, names: [a, b]}}",
                ),
            ),
            "no row in b",
        ),
        ({"plays": None}, as_number(), "No row"),
    ],
)
def test_a_label_without_a_question_is_an_error(
    change: dict[str, object], text: str, said: str, tmp_path: Path
) -> None:
    given = [{**song, **change} for song in songs.made(20)]
    with pytest.raises(InputError, match=said), songs.ready(given, tmp_path, text):
        pass


def test_a_key_that_repeats_is_told(tmp_path: Path) -> None:
    text = songs.altered(songs.TASK, ("entities:", "table: {row_key: [track]}\nentities:"))
    with (
        pytest.raises(InputError, match="track does not name one row: 't0000'"),
        songs.ready(songs.made(30), tmp_path, text),
    ):
        pass


@pytest.mark.parametrize("name", ["weight", "Label"])
def test_a_feature_is_not_taken_for_what_else_rows_have(name: str, tmp_path: Path) -> None:
    """A fold's weights were those of a feature that was named `weight`."""
    feature = f"{{name: {name}, column: tempo}}"
    text = songs.altered(songs.TASK, ("[energy, tempo, valence]", f"[energy, {feature}, valence]"))
    with (
        pytest.raises(ConfigError, match=f"something else of the name {name}"),
        songs.ready(songs.made(30), tmp_path, text),
    ):
        pass


def test_the_base_rate_is_that_of_all_rows(tmp_path: Path) -> None:
    given = songs.made(150)
    with songs.ready(given, tmp_path) as ready:
        shares = ready.prepared.base_rate
    yes = sum(song["hit"] == "yes" for song in given) / len(given)
    assert shares == {"no": pytest.approx(1 - yes), "yes": pytest.approx(yes)}
    with songs.ready(given, tmp_path, as_number()) as ready:
        found = ready.prepared.base_rate
    # As a judgement of these rows gives it.
    plays = np.array([song["plays"] for song in given])
    rows = np.arange(len(plays)).astype(str)
    judged = regression(Predictions(plays, plays, None, None, rows, rows), salt="s", resamples=10)
    assert found == pytest.approx(dict(judged.base_rate))

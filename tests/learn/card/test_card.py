"""Cards say what the facts say, in HTML and in Markdown, whatever the texts hold."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from card_facts import cluster_facts, genre_facts, ladder, popularity_facts, side
from markdown_it import MarkdownIt
from matplotlib.image import imread

from beatlake.errors import InputError
from beatlake.learn.card import CardFacts, Rung, Tried, Weight, render
from beatlake.learn.card.canvas import label
from beatlake.learn.card.document import cell, plain
from beatlake.learn.card.markdown import escaped
from beatlake.learn.judgement import Predictions, classification

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "](javascript:alert(1)) ![x](http://example.com/x.png)",
    "| a | b |",
    "**bold** _it_ ~~gone~~ `code`",
    "&lt;b&gt; &amp; &copy;",
    "{{ 7 * 7 }} {% raw %}",
    "http://example.com www.example.com me@example.com",
    "$x^2$ $\\nonsense{$ \\(y\\)",
    "# heading",
    "- item",
    "1. item",
    "---",
    "=",
    "中文 Ελλάδα  العربية",
]


class Page(HTMLParser):
    """The cells, headings and images of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self.open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag in {"td", "th", "p", "h1", "h2", "li", "caption", "figcaption", "title"}:
            self.texts.append("")
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th", "p", "h1", "h2", "li", "caption", "figcaption", "title"}:
            self.open = False

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[-1] += data


def as_html(markdown: bytes) -> Page:
    """What GitHub's dialect makes of it: tables, strikethrough; raw HTML lets itself be seen."""
    return Page(
        MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown.decode())
    )


@pytest.fixture(scope="module")
def genre() -> dict[str, bytes]:
    return render(genre_facts())


def test_both_cards_say_the_same(genre: dict[str, bytes]) -> None:
    html = Page(genre["card.html"].decode())
    markdown = as_html(genre["card.md"])

    def cells(page: Page) -> list[str]:
        return [" ".join(text.split()) for text in page.texts]

    # The page's title stands in its head too; captions are paragraphs, or an image's, in Markdown.
    assert set(cells(html)) - set(cells(markdown)) <= {
        value for _, name, value in html.attributes if name == "alt"
    }
    assert html.tags.count("tr") == markdown.tags.count("tr")
    assert html.tags.count("img") == markdown.tags.count("img")


def test_numbers_of_the_facts_are_shown(genre: dict[str, bytes]) -> None:
    facts = genre_facts()
    shown = Page(genre["card.html"].decode()).texts
    assert facts.judgement is not None
    assert facts.verdict is not None

    score = facts.judgement.score("macro_f1")
    assert f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})" in shown
    assert facts.verdict.sentence in shown
    for pair in facts.judgement.pairs:
        assert str(pair.n) in shown
    for example in (*facts.judgement.right, *facts.judgement.wrong):
        assert example.row_id in shown
    assert "0.00012345" in shown
    assert any("95 % interval" in text for text in shown)


def test_importances_stand_side_by_side_and_choices_by_fold(genre: dict[str, bytes]) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in genre["card.md"].decode().replace("\\", "").splitlines()
        if line.startswith("|")
    ]
    assert ["energy", "0.140 (0.130 to 0.152)", "0.600"] in rows
    assert ["key", "0.001 (-0.009 to 0.013)", ""] in rows
    assert ["depth 4", "0.328", "0.310", "0.346", "no"] in rows
    assert ["depth 8", "0.350", "0.400", "0.300", "yes"] in rows


def test_the_ladder_shows_every_rung_and_why_one_is_missing(genre: dict[str, bytes]) -> None:
    shown = Page(genre["card.html"].decode()).texts

    for name in ("random", "recording", "artist", "time", "artist_time"):
        assert name in shown
    assert "not available: the table has no dates" in shown
    assert "-0.070" in shown
    assert "412" in shown
    assert "recording: 240, artist: 0" in shown


def test_a_resampler_before_the_split_is_marked_as_wrong(genre: dict[str, bytes]) -> None:
    assert (
        b"**SMOTE before the split is wrong: it copies test rows into training.**"
        in genre["card.md"]
    )


def test_a_model_that_beats_nothing_is_said_so_in_bold() -> None:
    facts = genre_facts()
    assert facts.verdict is not None
    verdict = dataclasses.replace(
        facts.verdict,
        beaten=False,
        differences={
            name: dataclasses.replace(found, first_is="not told apart")
            for name, found in facts.verdict.differences.items()
        },
    )

    card = render(dataclasses.replace(facts, verdict=verdict))["card.html"].decode()

    assert re.search("<strong>The model does not beat the baselines", card)


def test_pictures_are_of_print_size_and_show_something(genre: dict[str, bytes]) -> None:
    files = genre | render(popularity_facts()) | render(cluster_facts())
    pictures = {name: content for name, content in files.items() if name.endswith(".png")}

    assert sorted(pictures) == [
        "by_artist_size.png",
        "by_genre.png",
        "by_year.png",
        "calibration.png",
        "clusters.png",
        "confusion.png",
        "importance.png",
        "ladder.png",
        "radar.png",
        "sweep.png",
    ]
    for name, content in pictures.items():
        pixels = imread(io.BytesIO(content))
        # 6.3 inches, what A4 leaves between its margins, at 200 dots.
        assert pixels.shape[1] == 1260, name
        ink = (pixels[:, :, :3] < 0.9).any(axis=2)
        assert 0.004 < ink.mean() < 0.9, name
        # Nothing is cut: the outermost dots are paper.
        for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
            assert not edge.any(), name


def test_the_html_card_holds_its_pictures_and_asks_for_nothing(genre: dict[str, bytes]) -> None:
    page = Page(genre["card.html"].decode())
    sources = [value for tag, name, value in page.attributes if name == "src"]

    held = [
        base64.b64decode((source or "").removeprefix("data:image/png;base64,"))
        for source in sources
    ]
    assert sorted(held) == sorted(v for k, v in genre.items() if k.endswith(".png"))
    assert not set(page.tags) & {"script", "link", "iframe", "a", "object", "form"}
    assert not {name for _, name, _ in page.attributes} & {"href", "srcset", "onload", "onerror"}
    assert all(value for _, name, value in page.attributes if name == "alt")


def test_the_markdown_card_points_to_pictures_beside_it(genre: dict[str, bytes]) -> None:
    sources = [value for _, name, value in as_html(genre["card.md"]).attributes if name == "src"]

    assert sources
    assert set(sources) == {name for name in genre if name.endswith(".png")}


def hostile() -> CardFacts:
    """A run all of whose texts are hostile."""
    k = len(HOSTILE)
    p = Predictions(
        np.arange(k) % 3,
        np.zeros(k, dtype=int),
        np.tile(np.array([0.5, 0.3, 0.2]), (k, 1)),
        tuple(HOSTILE[:3]),
        np.array(HOSTILE),
        np.array([f"{text} {place}" for place, text in enumerate(HOSTILE)]),
        {HOSTILE[1]: np.array(HOSTILE)},
    )
    facts = genre_facts(
        judgement=classification(p, salt="", resamples=10),
        uses=tuple(HOSTILE),
        importances={text: tuple(Weight(text, 1.0) for text in HOSTILE) for text in HOSTILE},
        tried=tuple(Tried(text, text, ((text, (1.0,), True),)) for text in HOSTILE),
        rungs=tuple(Rung(text, text, unavailable=text) for text in HOSTILE),
        inputs={text: text for text in HOSTILE},
    )
    return dataclasses.replace(facts, task=HOSTILE[0], question=HOSTILE[1], estimator=HOSTILE[2])


def test_hostile_texts_are_shown_and_do_nothing() -> None:
    files = render(hostile())

    for page in (Page(files["card.html"].decode()), as_html(files["card.md"])):
        texts = [" ".join(text.split()) for text in page.texts]
        for hostile_text in HOSTILE:
            shown = " ".join(hostile_text.split())
            assert shown in texts, hostile_text
        assert "script" not in page.tags
        assert not {"a", "del", "code", "em", "hr", "onerror"} & set(page.tags)
        sources = [value or "" for _, name, value in page.attributes if name == "src"]
        assert all(s.startswith("data:image/png") or re.fullmatch(r"\w+\.png", s) for s in sources)
        assert not any(name.startswith("on") for _, name, _ in page.attributes)


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_markdown_reads_as_the_text(text: str) -> None:
    for before, after in (("", ""), ("| a |\n| --- |\n| ", " |"), ("- ", "")):
        page = as_html(f"{before}{escaped(text)}{after}".encode())
        assert " ".join(text.split()) in [" ".join(shown.split()) for shown in page.texts]
        assert not set(page.tags) - {"p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}


def test_bare_addresses_are_no_links_for_github() -> None:
    shown = escaped("http://example.com www.example.com me@example.com HTTPS://x mailto:a")

    assert not re.search(r"://|www\.|@|mailto:", shown)


def test_characters_that_turn_or_hide_text_are_left_out() -> None:
    assert plain("a\u202eb\u200bc\x00d\x1b[31me\r\nf") == "abcd[31me f"
    assert label("x" * 40) == "x" * 27 + "…"
    assert len(cell("y" * 5_000)) == 1_000


def test_no_text_of_a_card_turns_what_follows() -> None:
    turned = "a\u202eb\x1b[31m"
    files = render(genre_facts(question=turned, uses=(turned,), task=turned, salt=turned))

    for name in ("card.html", "card.md"):
        text = files[name].decode()
        assert text.count("ab") >= 4
        assert not set(text) & {"\u202e", "\x1b"}


def test_the_same_facts_give_the_same_bytes(genre: dict[str, bytes]) -> None:
    assert render(genre_facts()) == genre


def test_random_rows_are_never_the_headline() -> None:
    with pytest.raises(InputError, match="the rung 'random' as its headline"):
        genre_facts(headline="random")


def test_a_card_of_clusters_asks_for_no_leaks() -> None:
    files = render(cluster_facts())

    assert b"Leakage" not in files["card.md"]
    assert {"radar.png", "sweep.png", "clusters.png"} <= files.keys()


def test_a_card_of_a_regression_shows_residuals() -> None:
    files = render(popularity_facts())
    text = files["card.md"].decode()

    assert "Quantiles of true minus predicted" in text
    assert "confusion.png" not in text
    assert "True minus predicted by genre" in text
    assert "Base rate: mean" in text


def test_a_run_that_measured_next_to_nothing_has_a_card() -> None:
    files = render(
        CardFacts("t", "1", "2026-01-01T00:00:00Z", "What?", "", "artist", "accuracy", None)
    )

    assert sorted(files) == ["card.html", "card.md"]


def test_many_classes_years_and_rungs_without_value_are_drawn() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 32, 2_000)
    p = Predictions(
        true,
        np.where(rng.random(2_000) < 0.5, true, 3),
        None,
        tuple(f"A genre with a long name, number {k}" for k in range(32)),
        rng.integers(0, 100, 2_000).astype(str),
        np.arange(2_000).astype(str),
        {"year": rng.integers(1900, 2024, 2_000)},
    )
    rungs = ladder("accuracy", {"random": 0.5, "artist": 0.4})
    score = rungs[1].score
    assert score is not None
    empty = dataclasses.replace(score, value=None, low=None, high=None)
    files = render(
        genre_facts(
            judgement=classification(p, salt="", resamples=10),
            rungs=(rungs[0], dataclasses.replace(rungs[1], score=empty)),
        )
    )

    assert b"smallest are in the table of metrics" in files["card.md"]
    assert {"confusion.png", "by_year.png", "ladder.png"} <= files.keys()


def test_slicings_of_nearly_one_name_have_a_picture_each() -> None:
    p = side(0, "classification", 20)
    year = p.slices["year"]
    p = dataclasses.replace(p, slices={"confusion": year, "Con-fusion": year, "con fusion": year})

    files = render(genre_facts(judgement=classification(p, salt="", resamples=10)))

    assert "confusion.png" in files
    assert len([name for name in files if name.startswith("by_con")]) == 3
    sources = [value for _, name, value in as_html(files["card.md"]).attributes if name == "src"]
    assert len(sources) == len(set(sources)) == len(files) - 2


def test_more_clusters_than_a_page_holds_are_drawn() -> None:
    assert "radar.png" in render(cluster_facts(16))

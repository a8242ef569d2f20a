"""The data dictionary names every table, column and rule of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from beatlake.quality.rules import Rule
from beatlake.reading.dictionary import dictionary
from beatlake.tables import registry

DOCUMENT = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


@pytest.fixture(scope="module")
def text() -> str:
    return dictionary()


def test_every_table_has_its_columns_in_order(text: str) -> None:
    sections = dict(re.findall(r"\n### (\w+\.\w+)\n(.*?)(?=\n##)", text, re.DOTALL))
    tables = registry.all_tables()
    assert set(sections) == {table.name for table in tables}
    for table in tables:
        rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", sections[table.name], re.MULTILINE)
        assert [(name, type_.replace("\\|", "|")) for name, type_ in rows] == [
            (column.name, column.type) for column in table.columns
        ]


def test_every_rule_has_its_sentence(text: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", text, re.MULTILINE))
    assert rows == {rule.value: rule.meaning for rule in Rule}


def test_every_link_leads_to_a_heading(text: str) -> None:
    anchors = set(re.findall(r"\]\(#([\w-]+)\)", text))
    headings = {h.lower().replace(".", "") for h in re.findall(r"^##+ (.+)$", text, re.MULTILINE)}
    assert anchors <= headings


def test_no_table_cell_breaks_its_row(text: str) -> None:
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 6)


def test_the_document_in_the_repository_is_current(text: str) -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == text, (
        "Make it again: beatlake dictionary --output docs/data-dictionary.md"
    )

"""What the integration of every table shares: one row per key, and links whose ends exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from beatlake.exchange import Dealt, Query, Stored, select
from beatlake.quality.counting import Count
from beatlake.quality.rules import Rule

PROVENANCE = ("source_file", "byte_offset", "byte_length")


@dataclass(frozen=True)
class Inputs:
    """The tables a stage reads, by name, and the input files that were not given.

    A reference to a file that was not given is not an orphan: nothing is known of its target.
    """

    tables: Mapping[str, Stored]
    absent: frozenset[str] = frozenset()

    def __getitem__(self, table: str) -> Stored:
        """A table."""
        return self.tables[table]

    def columns(self, file: str) -> list[str]:
        """The columns of a file's bronze table without those of provenance."""
        return [c for c in self.tables[f"bronze.{file}"].schema.names if c not in PROVENANCE]


def one_per_key(view: str, columns: Sequence[str], key: Sequence[str]) -> str:
    """SQL for the row of each key that was written last; of several, the first by content.

    ``_copies`` says how many rows of the view have the key, and ``_repeated`` is the key as text
    where they are several. The order compares every column except the flags, which follow from
    them, so it is total up to rows that are equal.

    Args:
        view: the rows, all of a key together: a source that `by_key` made.
        columns: their columns.
        key: the columns that must become unique; never null.
    """
    content = [c for c in columns if c not in ("updated_on", "flags", *key)]
    order = ["updated_on DESC"] if "updated_on" in columns else []
    order += [f"{c} ASC NULLS LAST" for c in content]
    by, shown = ", ".join(key), ", ".join(columns)
    # Keys hardly ever repeat, and only the rows of those that do are ordered.
    return f"""
        SELECT {shown}, 1::BIGINT AS _copies, NULL::VARCHAR AS _repeated
        FROM {view} ANTI JOIN {view}_repeated USING ({by})
        UNION ALL
        SELECT {shown}, _copies, {text_of(key)} AS _repeated
        FROM {view} JOIN {view}_repeated USING ({by})
        QUALIFY row_number() OVER (PARTITION BY {by} ORDER BY {", ".join(order) or "1"}) = 1"""


def by_key(rows: Query, key: Sequence[str], by: Sequence[str] = ()) -> Dealt:
    """Rows as a source of which `one_per_key` gives one for each key.

    Args:
        rows: the rows.
        key: the columns that must become unique; never null.
        by: those of them by which rows are dealt, if not all.
    """
    return Dealt(rows, tuple(by or key), repeated=tuple(key))


def merged(table: str, source: str, where: str = "true", of: str = "") -> Count:
    """The count of rows that `one_per_key` left out.

    Args:
        table: the table that the rows are for.
        source: where they come from.
        where: a condition on the rows that are counted.
        of: what stands before the names ``_copies`` and ``_repeated``.
    """
    rows = f"sum({of}_copies - 1) FILTER (WHERE {where})"
    example = f"min({of}_repeated) FILTER (WHERE {where})"
    return Count(table, source, "merged", rows, Rule.DUPLICATE_KEY.value, example)


def kept(table: str, source: str, where: str = "true") -> Count:
    """The count of rows that go on."""
    return Count(table, source, "kept", f"count(*) FILTER (WHERE {where})")


def set_aside(table: str, source: str, rule: Rule, where: str, example: str) -> Count:
    """The count of rows that do not go on because they break a rule."""
    counted = f"FILTER (WHERE {where})"
    return Count(
        table, source, "set_aside", f"count(*) {counted}", rule.value, f"min({example}) {counted}"
    )


def text_of(key: Sequence[str]) -> str:
    """A key as text for people, its parts told apart."""
    return f"concat_ws(' / ', {', '.join(f'{c}::VARCHAR' for c in key)})"


def artists_of(inputs: Inputs, side: str, *columns: str) -> Query:
    """The ``artist_id`` of each artist of Spotify or Beatport, with further columns."""
    return select(
        inputs["silver.artists"],
        f"{side}_artist_id AS artist_id",
        *columns,
        where=f"artist_source = '{side}'",
    )


def unique_links(links: Query, key: Sequence[str], ends: Query) -> Query:
    """Links, each once, with the columns of their first end and ``has_end``, whether it exists.

    ``copies`` and ``repeated`` are those of `one_per_key`.

    Args:
        links: the links.
        key: the columns that identify a link, that of its first end before the others.
        ends: what the first end may be, one row each.
    """
    end = key[0]
    return Query(
        f"""
        SELECT own.* EXCLUDE (_copies, _repeated), _copies AS copies, _repeated AS repeated,
            ends.* EXCLUDE ({end}), ends.{end} IS NOT NULL AS has_end
        FROM ({one_per_key("links", links.schema.names, key)}) own LEFT JOIN ends USING ({end})
        """,
        {"links": by_key(links, key, [end]), "ends": Dealt(ends, (end,))},
    )


def link_counts(table: str, source: str, ends: Mapping[Rule, tuple[str, str]]) -> list[Count]:
    """Counts of links: kept where every end exists, else set aside by the first that does not.

    Those that a link stood for besides, by its ``_copies``, were merged into it.

    Args:
        table: the table that the links are meant for.
        source: where they come from.
        ends: for each end the rule that an unknown one breaks, the column that says whether the
            end is there, and SQL for its id.
    """
    counts, sound = [], "true"
    for rule, (there, id_) in ends.items():
        lacking = f"{sound} AND NOT {there}"
        counts.append(set_aside(table, source, rule, lacking, f"{id_}::VARCHAR"))
        sound += f" AND {there}"
    return [kept(table, source, sound), merged(table, source), *counts]

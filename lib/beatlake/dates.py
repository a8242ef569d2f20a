"""Release dates of partial precision, and the seasons they fall in, as SQL.

Spotify gives dates as ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``. Nothing is guessed: the text, its
parsed parts and its precision are kept side by side, and a year alone never becomes 1 January.
"""

from __future__ import annotations

#: Meteorological seasons of the northern hemisphere by month (WMO): December opens the winter.
NORTHERN = ("winter", "spring", "summer", "autumn")
SOUTHERN = ("summer", "autumn", "winter", "spring")
UNKNOWN = "unknown"


def precision(text: str) -> str:
    """``day``, ``month`` or ``year`` by the shape of the text; null when it has none of them."""
    return (
        f"CASE WHEN regexp_full_match({text}, '\\d{{4}}-\\d{{2}}-\\d{{2}}') THEN 'day'"
        f" WHEN regexp_full_match({text}, '\\d{{4}}-\\d{{2}}') THEN 'month'"
        f" WHEN regexp_full_match({text}, '\\d{{4}}') THEN 'year' END"
    )


def first_day(text: str) -> str:
    """The first day that a date of day, month or year precision may stand for; null if none is."""
    completed = (
        f"CASE {precision(text)} WHEN 'day' THEN {text} WHEN 'month' THEN {text} || '-01'"
        f" WHEN 'year' THEN {text} || '-01-01' END"
    )
    return f"try_cast({completed} AS DATE)"


#: The last day that a date in `parts` may stand for; null if none is. Used to order dates: a full
#: date sorts before the bare year that contains it, so the earliest date of a recording is never
#: less precise than it could be.
LATEST_DAY = """
    CASE release_date_precision WHEN 'day' THEN release_date
        WHEN 'month' THEN last_day(make_date(release_year, release_month, 1))
        WHEN 'year' THEN make_date(release_year, 12, 31) END"""


def is_new_year(day: str) -> str:
    """Whether a full date is 1 January, which often stands for "some day of that year"."""
    return f"coalesce(month({day}) = 1 AND day({day}) = 1, false)"


def season(month: str, hemisphere: str = "north") -> str:
    """The meteorological season of a month number; ``unknown`` for a null month."""
    names = NORTHERN if hemisphere == "north" else SOUTHERN
    cases = " ".join(f"WHEN {quarter} THEN '{name}'" for quarter, name in enumerate(names))
    return f"CASE ({month} % 12) // 3 {cases} ELSE '{UNKNOWN}' END"


def season_year(year: str, month: str) -> str:
    """The year a season belongs to: December counts to the season of the following year.

    December 2019, January 2020 and February 2020 are one season, named after 2020, so that a
    season is three consecutive months. Null when the month is unknown.
    """
    return f"CASE WHEN {month} = 12 THEN {year} + 1 WHEN {month} IS NOT NULL THEN {year} END"


def parts(text: str, impossible: str) -> str:
    """The columns ``release_date_text`` to ``is_placeholder_date`` of a date as text.

    Args:
        text: the date.
        impossible: whether it cannot be true, as the flags of its row say; such a date keeps its
            text and has no parts.
    """
    day = first_day(text)
    kind = f"CASE WHEN NOT {impossible} THEN {precision(text)} END"
    return f"""
        {text} AS release_date_text,
        CASE WHEN {kind} = 'day' THEN {day} END AS release_date,
        CASE WHEN {kind} IS NOT NULL THEN year({day}) END::INTEGER AS release_year,
        CASE WHEN {kind} IN ('day', 'month') THEN month({day}) END::INTEGER AS release_month,
        CASE WHEN {kind} = 'day' THEN day({day}) END::INTEGER AS release_day,
        {kind} AS release_date_precision,
        coalesce({kind} = 'day' AND {is_new_year(day)}, false) AS is_placeholder_date"""

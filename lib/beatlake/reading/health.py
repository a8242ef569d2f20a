"""Whether what readers get is there and fresh enough."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field

from beatlake import releases
from beatlake.reading.errors import ReadingError
from beatlake.reading.opened import OpenLake

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Health:
    """The newest release, its age and what is wrong with it: nothing, in a healthy lake."""

    release: int
    kind: str
    run_id: str
    published_at: dt.datetime
    age: dt.timedelta
    tables: int
    rows: int
    absent: list[str]
    missing: list[str]
    problems: list[str] = field(default_factory=list)


def health(opened: OpenLake, max_age: dt.timedelta | None, now: dt.datetime) -> Health:
    """How the release that readers get is."""
    release = opened.release
    published = moment(release.published_at)
    age = now - published
    missing = releases.incomplete(opened.lake, release)
    problems = []
    if missing:
        problems.append(f"{len(missing)} data files are gone or cut short, first {missing[0]}.")
    if max_age is not None and age > max_age:
        problems.append(f"It is older than {duration(max_age)}.")
    return Health(
        release=release.release,
        kind=release.kind,
        run_id=release.run_id,
        published_at=published,
        age=age,
        tables=len(release.tables),
        rows=sum(table.rows for table in release.tables.values()),
        absent=list(release.absent),
        missing=missing,
        problems=problems,
    )


def moment(text: str) -> dt.datetime:
    """A time of publication; UTC where it names no zone.

    >>> moment("2024-02-29T12:00:00Z").isoformat()
    '2024-02-29T12:00:00+00:00'
    """
    try:
        found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ReadingError(f"The release says it was published at {text!r}.") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.timezone.utc)


def parse_age(text: str) -> dt.timedelta:
    """A length of time such as 90s, 30m, 24h or 7d.

    >>> parse_age("24h") == parse_age("1d")
    True

    Raises:
        ReadingError: it is not one.
    """
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*([smhd])\s*", text)
    if found is None:
        raise ReadingError(f"An age is a number and a unit, such as 30m, 24h or 7d, not {text!r}.")
    return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})


def duration(length: dt.timedelta) -> str:
    """A length of time in its two largest units.

    >>> duration(dt.timedelta(hours=49, minutes=5)), duration(dt.timedelta(seconds=3))
    ('2 d 1 h', '3 s')
    """
    left = max(0, int(length.total_seconds()))
    parts = []
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        parts.append((count, unit))
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count or len(parts) == 1)

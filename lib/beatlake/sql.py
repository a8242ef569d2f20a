"""SQL as DuckDB reads it: names, texts, data files, and what every database here is closed to."""

from __future__ import annotations

from collections.abc import Iterable

#: Settings of a database: Python variables are not tables, and nothing is fetched from the network.
SEALED: dict[str, str | bool | int | float | list[str]] = {
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


def quoted(name: str) -> str:
    """A name as SQL writes it.

    >>> print(quoted('a "b" c'))
    "a ""b"" c"
    """
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as SQL writes it.

    >>> print(text("it's"))
    'it''s'
    """
    return "'" + value.replace("'", "''") + "'"


def texts(values: Iterable[str]) -> str:
    """A list of texts as SQL writes it.

    >>> print(texts(["a", "it's"]))
    ['a', 'it''s']
    """
    return f"[{', '.join(map(text, values))}]"

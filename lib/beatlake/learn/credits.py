"""Artist credits: which artists a text such as "A featuring B & C" names.

The rule, stated once: a credit is split at "featuring", "feat.", "ft.", "with" and "vs." where
blanks stand on both sides, at "x" between two names, and at "&", "," and ";". Names are compared in
lower case with single blanks. The x of "Lil Nas X feat. Cardi B" ends a name, as another sign
follows. A band whose own name has such a sign falls into several names; that purges rows that could
have stayed, and never lets one through. Lists are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from beatlake.sql import quoted

_WORDS = r"\s+(?:featuring|feat\.?|ft\.?|with|vs\.?)\s+"
_TIMES = r"\s+x\s+([^&,;\s])"
_IN_TITLE = r"[\(\[](?:featuring|feat\.?|ft\.?|with)\s+([^\)\]]+)[\)\]]"


def names(text: str) -> str:
    r"""SQL of the list of names in a credit, the main artist first.

    >>> import duckdb
    >>> duckdb.execute(f"SELECT {names('$1')}", ["Lil Nas X feat. Cardi B x C & D"]).fetchall()
    [(['lil nas x', 'cardi b', 'c', 'd'],)]
    """
    lowered = f"lower(nfc_normalize(regexp_replace({text}, '[\\(\\)\\[\\]]', ' ', 'g')))"
    # The words first: what remains of them tells an x between names from one that ends a name.
    marked = f"regexp_replace({lowered}, '{_WORDS}', ' & ', 'g')"
    marked = f"regexp_replace({marked}, '{_TIMES}', ' & \\1', 'g')"
    parts = f"regexp_split_to_array({marked}, '[&,;]')"
    tidy = f"list_transform({parts}, lambda n: trim(regexp_replace(n, '\\s+', ' ', 'g')))"
    return f"list_filter({tidy}, lambda n: n <> '')"


def in_title(title: str) -> str:
    """SQL of the list of names that a title credits in brackets.

    >>> import duckdb
    >>> duckdb.execute(f"SELECT {in_title('$1')}", ["Song (feat. B & C) [Remix]"]).fetchall()
    [(['b', 'c'],)]
    """
    found = f"regexp_extract_all({title}, '{_IN_TITLE}', 1, 'i')"
    return f"flatten(list_transform({found}, lambda t: {names('t')}))"


def lists(
    columns: Sequence[str], titles: Sequence[str], *, arrays: Sequence[bool], split: bool
) -> str:
    """SQL of all artists of a row, the main artist first; an empty list where none is known.

    Args:
        columns: that name artists.
        titles: that may name others in brackets.
        arrays: for each of the columns whether it is a list.
        split: whether a text is split into names.
    """
    parts = []
    for column, is_array in zip(columns, arrays, strict=True):
        name = quoted(column)
        if is_array:
            one = f"list_filter({name}::VARCHAR[], lambda n: n IS NOT NULL)"
        elif split:
            one = names(f"{name}::VARCHAR")
        else:
            one = f"CASE WHEN {name} IS NOT NULL THEN [{name}::VARCHAR] END"
        parts.append(f"coalesce({one}, []::VARCHAR[])")
    parts += [f"coalesce({in_title(f'{quoted(t)}::VARCHAR')}, []::VARCHAR[])" for t in titles]
    return f"flatten([{', '.join(parts)}])"

"""Plain texts as Markdown that shows them and does nothing else (CommonMark and GitHub's)."""

from __future__ import annotations

import re

#: What has a meaning anywhere in a line.
_ANYWHERE = re.compile(r"([\\`*_\[\]~|#$])")
#: GitHub makes links of bare addresses and of names after an @, which a backslash does not stop.
_LINKS = re.compile(r"[&<>@]|(?<=[a-z]):(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):", re.IGNORECASE)
#: What begins a list or a line where it comes first.
_FIRST = re.compile(r"^(\d*)([-+=.)])(?=\s|$|[-=])")


def escaped(text: str) -> str:
    r"""The text so that it is shown as it is.

    >>> print(escaped("a|b *c* <i>"))
    a\|b \*c\* &#60;i&#62;
    >>> print(escaped("1. one"), escaped("- two"))
    1\. one \- two
    >>> print(escaped("-0.5"))
    -0.5
    """
    shown = _LINKS.sub(lambda found: f"&#{ord(found[0])};", _ANYWHERE.sub(r"\\\1", text))
    return _FIRST.sub(r"\1\\\2", shown)

"""Taking secrets out of what is recorded or shown: settings, errors, logs, notifications.

A secret is known by the name that it goes under, by its place in an address, or by the shape that
well-known services give theirs. One without any of these cannot be told from other text. The data
of the lake is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "**********"

_NAME = re.compile(
    r"passw(?:or)?d|passphrase|secret|token|credential|signature|authorization|webhook"
    r"|(?:access|account|api|auth|encryption|private|shared|signing)[-_. ]?key"
    r"|(?<![a-z])(?:pwd|sas|sig)(?![a-z])",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.(?!-----END))*.?(?:-----END [A-Z ]*-----)?"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # Amazon
    r"|\bAIza[\w-]{35}"  # Google
    r"|\bdapi[0-9a-f]{32}"  # Databricks
    r"|\bgh[a-z]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{20,}"  # GitHub, GitLab
    r"|\bxox[a-z]-[\w-]{10,}|(?<=hooks\.slack\.com/)[\w/-]+|(?<=/webhooks/)[\w/-]+"  # chats
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # JSON web tokens
    r"|(?<=\bBearer )[\w.~+/=-]+|(?<=\bBasic )[\w+/=]{8,}",
    re.DOTALL,
)
#: User and password of an address (a password of Amazon may hold a slash), or its ``key``.
_IN_ADDRESS = re.compile(
    r"(?<=://)(?:[^/\s'\"<>@]{1,200}|[^/\s'\"<>@:]{0,200}:[^\s'\"<>@]{1,200})(?=@)"
    r"|(?<=[?&]key=)[^&\s'\"<>]+",
    re.IGNORECASE,
)
#: ``name=value`` and ``name: value``, either in quotes, which may be escaped or cut off. A path
#: before a colon is no name.
_NAMED = re.compile(
    rf"((?:(?<![\w/.-])[\w.-]{{0,80}}?(?:{_NAME.pattern})[\w.-]{{0,80}}:"
    rf"|(?:{_NAME.pattern})[\w.-]{{0,80}}(?:\\?[\"']? ?=|\\?[\"'] ?:)) ?(?:\\?[\"'])?)"
    r"(?:(?<=\\[\"'])(?:(?!\\[\"']).)*"
    r"|(?<=[^\\]\")(?:[^\"\\]|\\.)*|(?<=[^\\]')(?:[^'\\]|\\.)*"
    r"|[^\s&;,'\")\]}]+)",
    re.IGNORECASE | re.DOTALL,
)


def redact(text: str) -> str:
    """The text with its secrets hidden.

    >>> redact("cannot open s3://me:abc@bucket/in?token=abc&region=eu")
    'cannot open s3://**********@bucket/in?token=**********&region=eu'
    >>> redact("fs.s3a.secret.key=abc was refused")
    'fs.s3a.secret.key=********** was refused'
    """
    hidden = _SHAPES.sub(HIDDEN, _IN_ADDRESS.sub(HIDDEN, text))
    return _NAMED.sub(rf"\g<1>{HIDDEN}", hidden)


def redacted(value: Any, name: str = "") -> Any:
    """Nested settings or records with their secrets hidden, as JSON has them.

    >>> redacted({"api_key": "abc", "to": ["https://me:abc@example.com"], "rows": 3})
    {'api_key': '**********', 'to': ['https://**********@example.com'], 'rows': 3}
    """
    if isinstance(value, Mapping):
        return {key: redacted(below, f"{name}.{key}") for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(below, name) for below in value]
    if value is None or isinstance(value, bool):
        return value
    if names_secret(name):
        return HIDDEN
    return redact(value) if isinstance(value, str) else value


def names_secret(name: str) -> bool:
    """Whether what goes under a name is secret.

    >>> names_secret("spark.hadoop.fs.s3a.secret.key"), names_secret("stage_key")
    (True, False)
    """
    return _NAME.search(name) is not None

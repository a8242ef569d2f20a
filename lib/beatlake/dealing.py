"""What a key falls to: the same for the same key, whatever else there is."""

from __future__ import annotations

from beatlake.sql import text


def share(salt: str, kind: str, key: str) -> str:
    """SQL of a number from 0 to 1 that a key always gets: the side of a row follows from it.

    MD5 because every engine has it and always will; DuckDB's own hash may change with a version.

    Args:
        salt: of the task.
        kind: what the key names, so that keys of two kinds do not fall together.
        key: SQL of a text.
    """
    prefix = text(f"{salt}\x1f{kind}\x1f")
    # 52 bits, which a double holds exactly.
    return f"(('0x' || substr(md5({prefix} || {key}), 1, 13))::BIGINT / 4503599627370496.0)"

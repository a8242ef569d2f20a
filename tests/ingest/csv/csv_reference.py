"""The rule of records once more, slow and plain, written from the package's docstring alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One physical record: its values or the rule that it breaks, and where it lies."""

    values: tuple[str | None, ...] | None
    defect: str | None
    offset: int
    length: int


def reference(
    part: bytes, columns: list[str], max_record_bytes: int, max_record_lines: int
) -> list[Row]:
    """Every record of a part whose header is sound and names `columns` in any order."""
    header_end = part.index(b"\n") + 1 if b"\n" in part else len(part)
    header = part[:header_end].removeprefix(b"\xef\xbb\xbf")
    names = [name.decode() for name in fields(content(header)) or [] if name is not None]
    rows = []
    offset = header_end
    for record, alone in records(part[header_end:], len(names), max_record_bytes, max_record_lines):
        last = offset + len(record) == len(part)
        defect = judge(record, alone, names, max_record_bytes)
        if last and not record.endswith(b"\n") and defect not in (None, "repeated_header"):
            defect = "torn_record"
        values = None
        if defect is None:
            found = dict(zip(names, fields(content(record)), strict=True))
            values = tuple(
                None if found[name] is None else found[name].decode() for name in columns
            )
        rows.append(Row(values, defect, offset, len(record)))
        offset += len(record)
    return rows


def records(body: bytes, n_columns: int, max_bytes: int, max_lines: int):
    """Each record's bytes, and whether it is a line that found no partner."""
    lines = body.split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    at = 0
    while at < len(lines):
        if odd(lines[at]):
            partner = at + 1
            while partner < len(lines) and not odd(lines[partner]):
                partner += 1
            joined = b"".join(lines[at : partner + 1])
            if (
                partner < len(lines)
                and partner - at + 1 <= max_lines
                and len(joined) <= max_bytes
                and (found := fields(content(joined))) is not None
                and len(found) == n_columns
            ):
                yield joined, False
                at = partner + 1
                continue
        yield lines[at], odd(lines[at])
        at += 1


def judge(record: bytes, alone: bool, names: list[str], max_bytes: int) -> str | None:
    inner = content(record)
    outside = [inner[:i].count(b'"') % 2 == 0 for i in range(len(inner))]
    found = fields(inner)
    verdicts = [
        ("record_too_long", len(record) > max_bytes),
        ("unbalanced_quote", alone),
        ("blank_line", not inner),
        ("nul_byte", 0 in inner),
        (
            "lone_carriage_return",
            any(
                byte == 13 and outside[i] and inner[i + 1 : i + 2] != b"\n"
                for i, byte in enumerate(inner)
            ),
        ),
        ("stray_quote", found is None),
        ("invalid_utf8", not is_text(inner)),
        ("wrong_column_count", found is not None and len(found) != len(names)),
        ("repeated_header", found == [name.encode() for name in names]),
    ]
    return next((rule for rule, broken in verdicts if broken), None)


def fields(inner: bytes) -> list[bytes | None] | None:
    """The fields of a strictly quoted record, None for NULL; or None for stray quotes."""
    found: list[bytes | None] = []
    at = 0
    while True:
        if inner[at : at + 1] == b'"':
            value = b""
            at += 1
            while True:
                end = inner.find(b'"', at)
                if end < 0:
                    return None
                value += inner[at:end]
                at = end + 1
                if inner[at : at + 1] != b'"':
                    break
                value += b'"'
                at += 1
            found.append(value)
            if inner[at : at + 1] not in (b"", b","):
                return None
        else:
            end = inner.find(b",", at)
            end = len(inner) if end < 0 else end
            if b'"' in inner[at:end]:
                return None
            found.append(inner[at:end] or None)
            at = end
        if at >= len(inner):
            return found
        at += 1


def content(record: bytes) -> bytes:
    return record[:-1].removesuffix(b"\r") if record.endswith(b"\n") else record


def odd(line: bytes) -> bool:
    return line.count(b'"') % 2 == 1


def is_text(inner: bytes) -> bool:
    try:
        inner.decode()
    except UnicodeDecodeError:
        return False
    return True

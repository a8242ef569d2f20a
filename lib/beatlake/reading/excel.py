"""Tables as Excel files."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xlsxwriter

from beatlake.reading.errors import ReadingError
from beatlake.reading.results import flat

if TYPE_CHECKING:
    import duckdb

#: https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3
ROWS = 1_048_575
CELL = 32_767
#: Excel keeps 15 digits of a number.
_EXACT = 10**15
#: Excel believes in 29 February 1900.
_FIRST_DAY = dt.date(1900, 3, 1)
_BATCH = 10_000


def write_xlsx(relation: duckdb.DuckDBPyRelation, path: Path, title: str) -> None:
    """One sheet with a fixed header row; texts that look like formulas get an apostrophe.

    Whole numbers that Excel would round, days before March 1900 and numbers that are not finite
    are written as text.

    Raises:
        ReadingError: there are more rows than a sheet has, or a text is longer than a cell takes.
    """
    rows = relation.aggregate("count(*)").fetchall()[0][0]
    if rows > ROWS:
        raise ReadingError(
            f"{title} has {rows:,} rows and an Excel sheet holds {ROWS:,} beside its header:"
            " export it to .parquet or .csv."
        )
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as workbook:
        sheet = workbook.add_worksheet(title.rsplit(".", 1)[-1][:31])
        bold = workbook.add_format({"bold": True})
        day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        moment = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet.freeze_panes(1, 0)
        guarded = flat(relation, guard=True)
        for column, name in enumerate(guarded.columns):
            sheet.write_string(0, column, name, bold)
        for number, row in enumerate(_rows(guarded), start=1):
            for column, raw in enumerate(row):
                value = _cell(raw)
                if isinstance(value, dt.datetime):
                    sheet.write_datetime(number, column, value, moment)
                elif isinstance(value, dt.date):
                    sheet.write_datetime(number, column, value, day)
                elif isinstance(value, str):
                    if len(value) > CELL:
                        raise ReadingError(
                            f"Row {number} of {title} has a text of {len(value):,} characters in"
                            f" {relation.columns[column]} and an Excel cell holds {CELL:,}:"
                            " export it to .parquet or .csv."
                        )
                    sheet.write_string(number, column, value)
                elif value is not None:
                    sheet.write(number, column, value)


def _rows(relation: duckdb.DuckDBPyRelation) -> Iterator[tuple[Any, ...]]:
    for batch in relation.to_arrow_table().to_batches(_BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _cell(value: Any) -> Any:
    """A value as Excel can hold it."""
    if isinstance(value, dt.date):
        return _day(value)
    if isinstance(value, Decimal) and abs(value) < _EXACT:
        return float(value)
    if isinstance(value, int) and abs(value) < _EXACT:
        return value
    if value is None or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _day(value: dt.date) -> dt.date | str:
    if not isinstance(value, dt.datetime):
        return value if value >= _FIRST_DAY else value.isoformat()
    naive = value.astimezone(dt.timezone.utc).replace(tzinfo=None) if value.tzinfo else value
    return naive if naive.date() >= _FIRST_DAY else naive.isoformat(" ")

"""Every table of the lake by name."""

from __future__ import annotations

from functools import cache

from beatlake.tables import bronze, gold, ml, ops, silver, sound
from beatlake.tables.spec import Table


@cache
def _by_name() -> dict[str, Table]:
    learnt = [*ml.TABLES, *sound.TABLES]
    listed = [*bronze.tables(), *silver.TABLES, *gold.tables(), *learnt, *ops.TABLES]
    return {table.name: table for table in listed}


def all_tables() -> list[Table]:
    """Every table's spec, layer by layer in the order that data flows."""
    return list(_by_name().values())


def table(name: str) -> Table:
    """A table's spec.

    Raises:
        KeyError: there is no such table.
    """
    return _by_name()[name]

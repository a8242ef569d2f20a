"""Reading a lake without a JVM: one release, pinned, as DuckDB, Arrow, pandas, Polars or Spark."""

from __future__ import annotations

from beatlake.reading.opened import OpenLake, OpenTable, open_lake

__all__ = ["OpenLake", "OpenTable", "open_lake"]

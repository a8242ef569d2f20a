"""All files to Parquet in DuckDB, as they are: the least that reading and writing them costs.

copy_with_duckdb.py INPUT OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb


def main(source: Path, output: Path) -> None:
    """Copy every file."""
    connection = duckdb.connect(config={"threads": 2})
    for file in sorted(source.glob("*.csv")):
        connection.execute(
            f"COPY (FROM read_csv('{file}', all_varchar = true))"
            f" TO '{output}/{file.stem}.parquet' (CODEC snappy)"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""What `beatlake generate` costs per million records.

    python benchmarks/generator.py --scale 0.1 [--clean]

The baseline keeps its CPU-seconds beside those of a plain copy of its files to Parquet by DuckDB.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import baseline
from etl import measure

from pipeline import plain_copy


def main() -> int:
    """Generate once, measured, and remove what was made."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", default=0.1, type=float)
    parser.add_argument("--clean", action="store_true", help="leave out the defective records")
    baseline.add_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "beatlake.cli", "generate", "--out", folder]
        command += ["--scale", str(options.scale), *(["--clean"] if options.clean else [])]
        measured = measure(command, output=Path(os.devnull))
        copy, _ = plain_copy(Path(folder))
        truth = json.loads((Path(folder) / "truth.json").read_text(encoding="utf-8"))
    files = truth["files"].values()
    millions = sum(file["records"] for file in files) / 1e6
    size = sum(file["bytes"] for file in files)
    print(
        f"{millions:.2f} million records, {size / 1e6:,.0f} MB: wall {measured.wall_s:.1f} s,"
        f" CPU {measured.cpu_s:.1f} s, peak {measured.peak_rss_mb:,.0f} MB"
        f" (others used {measured.others_cpu_s:.0f} CPU-s meanwhile);"
        f" {measured.wall_s / millions:.2f} s and {measured.cpu_s / millions:.2f} CPU-s per million"
    )
    ratios = {"cpu_to_plain_copy": measured.cpu_s / copy.cpu_s}
    found = {"records": millions * 1e6, "bytes": size, **asdict(measured)}
    return baseline.finish("generator", str(options.scale), ratios, found, options)


if __name__ == "__main__":
    sys.exit(main())

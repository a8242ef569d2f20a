"""What the benchmarks found before, and whether one has become worse.

Every benchmark boils down to ratios, of which less is better and which say the same on any machine:
`baseline.json` keeps those of a scale, as `{benchmark: {scale: {ratio: value}}}`. `finish` prints
each beside the kept one. One that has grown by more than `TOLERANCE` is said to be worse, and the
benchmark ends with status 1, so that `make bench` does, too. `--keep` writes what was found into
`baseline.json` instead, and leaves ratios there that were not measured this time: do so on purpose,
on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Seconds on a machine of one's own differ by a tenth from run to run, and so do their ratios.
TOLERANCE = 0.2
_FILE = Path(__file__).with_name("baseline.json")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that `finish` looks at."""
    parser.add_argument("--json", type=Path, help="where to write all that was measured")
    parser.add_argument("--keep", action="store_true", help="make the ratios the baseline")


def scale_of(source: Path) -> str:
    """The scale of a generated folder, as the baseline names it; a real one has its name."""
    truth = source / "truth.json"
    if not truth.exists():
        return source.name
    return str(json.loads(truth.read_text(encoding="utf-8"))["scale"])


def compare(ratios: Mapping[str, float], kept: Mapping[str, float]) -> tuple[list[str], list[str]]:
    r"""A line for each ratio beside the kept one, and the names of those that are worse.

    >>> lines, worse = compare({"a": 3.0, "b": 1.0, "c": 2.0}, {"a": 2.0, "b": 1.1})
    >>> print(*lines, sep="\n")
    a                                                3.00  was     2.00   +50 %  WORSE
    b                                                1.00  was     1.10    -9 %
    c                                                2.00  was not kept
    >>> worse
    ['a']
    """
    lines, worse = [], []
    for name, value in ratios.items():
        line = f"{name:44} {value:8.2f}"
        if name not in kept:
            lines.append(f"{line}  was not kept")
            continue
        change = value / kept[name] - 1
        line += f"  was {kept[name]:8.2f} {change:+6.0%}".replace("%", " %")
        if change > TOLERANCE:
            worse.append(name)
            line += "  WORSE"
        lines.append(line)
    return lines, worse


def finish(
    benchmark: str,
    scale: str,
    ratios: Mapping[str, float],
    found: Mapping[str, Any],
    options: argparse.Namespace,
) -> int:
    """Print the ratios beside the kept ones and write what was asked for; the exit status.

    Args:
        benchmark: its name.
        scale: the size of the input.
        ratios: what it boils down to; less is better.
        found: all that was measured.
        options: of `add_options`.
    """
    kept = json.loads(_FILE.read_text(encoding="utf-8"))
    lines, worse = compare(ratios, kept.get(benchmark, {}).get(scale, {}))
    print(f"\n{benchmark} at scale {scale}, ratios beside {_FILE.name}:", *lines, sep="\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.keep:
        rounded = {name: round(value, 3) for name, value in ratios.items()}
        of_scale = kept.setdefault(benchmark, {}).setdefault(scale, {})
        of_scale.update(rounded)
        _FILE.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        return 0
    if worse:
        print(f"Worse by more than {TOLERANCE:.0%}: {', '.join(worse)}.")
    return 1 if worse else 0

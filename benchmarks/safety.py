"""What the safety of a run costs: the pipeline with it beside the pipeline without it.

    python benchmarks/safety.py --input DIR [--rounds 3] [--parts] [--set KEY=VALUE]...

Each round runs the pipeline on an empty lake as it is, and once more without its safety: no lease
and no heartbeat, no stage records, no audit, and a release that is no more than its file. `--parts`
also runs it without each part alone. What the ratio leaves out is what could not be taken away:
that the files of a commit are looked at, and the commits themselves, which make the tables.

The order within a round alternates, so that what the machine's caches remember falls on both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import baseline
from etl import Measured, measure

from beatlake import cli, releases
from beatlake.commits import Committed
from beatlake.lake import Lake
from beatlake.releases import Release
from beatlake.runs import history, lease, publishing, reserve
from beatlake.runs.job import Job
from beatlake.runs.lease import Lease
from beatlake.runs.records import StageRecord, StageRecords
from beatlake.tables import ops


def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def _take(lake: Lake, run_id: str, expires_s: float, begun: lease.Begun | None = None) -> Lease:
    """A lease that nobody else sees."""
    now = datetime.now(timezone.utc)
    holder = lease.Holder(
        run_id=run_id,
        host="",
        pid=0,
        place=None,
        since=now,
        seen=now,
        expires_s=expires_s,
        begun=begun,
    )
    return Lease(lake, 1, holder, 0)


def _remember(records: StageRecords, record: StageRecord) -> None:
    """Keep a stage record in memory until the run ends."""
    vars(records).setdefault("remembered", []).append(record)


def _remembered(records: StageRecords) -> Committed:
    """All stage records of the run, in one commit at its end."""
    rows = [record.row() for record in vars(records)["remembered"]]
    return records._lake.record(ops.STAGES, rows, records._stamp, "append")


def _save(held: Lease, release: Release, _: object) -> None:
    """A release that is no more than its file."""
    releases.save(held.lake, release)


#: What takes the place of what, by part of the safety.
WITHOUT: Mapping[str, list[tuple[Any, str, Any]]] = {
    "lease": [
        (lease, "take", _take),
        (lease, "unheld", _nothing),
        (Lease, "check", _nothing),
        (Lease, "give_back", _nothing),
        (history, "record_killed", _nothing),
        (reserve, "keep", _nothing),
    ],
    "records": [
        (StageRecords, "add", _remember),
        (StageRecords, "committed", property(_remembered)),
    ],
    "audit": [(Job, "_audit", _nothing)],
    "publishing": [(publishing, "publish", _save), (publishing, "catch_up", _nothing)],
}


def run(source: Path, parts: list[str], settings: list[str]) -> Measured:
    """Run the pipeline on an empty lake without some parts of its safety.

    Raises:
        CalledProcessError: the run failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--without", ",".join(parts)]
        command += ["--input", str(source), "--lake", f"{folder}/lake"]
        command += [word for each in settings for word in ("--set", each)]
        return measure(command, output=Path(folder) / "log")


def run_without(parts: list[str], arguments: list[str]) -> int:
    """`beatlake run` in this process, with parts of its safety taken away."""
    for part in parts:
        for owner, name, instead in WITHOUT[part]:
            setattr(owner, name, instead)
    return cli.main(["run", *arguments])


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--input", required=True, type=Path)
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--parts", action="store_true", help="also without each part alone")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    baseline.add_options(parser)
    options = parser.parse_args()
    ways: dict[str, list[str]] = {"with": [], "without": list(WITHOUT)}
    if options.parts:
        ways |= {f"without {part}": [part] for part in WITHOUT}
    found: dict[str, list[Measured]] = {way: [] for way in ways}
    for number in range(options.rounds):
        order = list(ways.items())
        for way, parts in order if number % 2 == 0 else order[::-1]:
            found[way].append(run(options.input, parts, options.settings))
            print(f"round {number + 1} {way:20} {found[way][-1]}", flush=True)

    def ratio(way: str, used: Callable[[Measured], float]) -> float:
        pairs = zip(found["with"], found[way], strict=True)
        return statistics.median(used(one) / used(other) for one, other in pairs)

    ratios = {}
    for way in list(ways)[1:]:
        name = f"with_to_{way.replace(' ', '_')}"
        ratios |= {
            name: ratio(way, lambda each: each.wall_s),
            f"{name}_cpu": ratio(way, lambda each: each.cpu_s),
        }
    result = {way: [asdict(each) for each in measured] for way, measured in found.items()}
    return baseline.finish("safety", baseline.scale_of(options.input), ratios, result, options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--without"]:
        sys.exit(run_without([part for part in sys.argv[2].split(",") if part], sys.argv[3:]))
    sys.exit(main())

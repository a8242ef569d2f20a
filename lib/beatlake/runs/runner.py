"""Running what must run: see whether anything must, take the lease, do it, tell how it went."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from beatlake import releases
from beatlake.commits import Stamp
from beatlake.config import Settings
from beatlake.errors import naming_the_cause
from beatlake.lake import Lake
from beatlake.redaction import redact
from beatlake.releases import InputFile, Release
from beatlake.runs import history, notify, plan, publishing, records, reserve
from beatlake.runs import lease as leases
from beatlake.runs.inputs import RunInputs, discover
from beatlake.runs.job import Job
from beatlake.runs.report import Reporter, RunReport
from beatlake.runs.selection import EVERYTHING, Selection

#: Surveying so much takes longer than Spark needs to start.
_MUCH_TO_SURVEY = 1 << 30


def run(
    input_directory: str,
    lake: Lake,
    settings: Settings,
    reporter: Reporter,
    selection: Selection = EVERYTHING,
) -> RunReport:
    """Bring the lake up to the input and publish a release, or find that there is nothing to do.

    Args:
        input_directory: the directory or address of the CSV files.
        lake: where the tables are.
        settings: the run's settings.
        reporter: is told what happens.
        selection: which stages must and may run.

    Raises:
        InputError: the input cannot be used.
        GateError: the audit failed; nothing was published.
        ConfigError: a stage is named that does not exist.
        ConflictError: another run holds the lake, or has taken it over.
        OutOfRoomError: a disk is full; readers find what they found before.
        SparkLostError: the Java process of Spark has ended; the next run goes on.
    """
    started = time.monotonic()
    try:
        with naming_the_cause(lake.root):
            report = _run(input_directory, lake, settings, reporter, selection, started)
    except BaseException as error:
        seconds = time.monotonic() - started
        ended = notify.failed(str(lake.root), input_directory, error, seconds)
        notify.tell(settings.notify, ended, reporter)
        raise
    notify.tell(settings.notify, notify.done(str(lake.root), input_directory, report), reporter)
    return report


def _run(
    input_directory: str,
    lake: Lake,
    settings: Settings,
    reporter: Reporter,
    selection: Selection,
    started: float,
) -> RunReport:
    inputs = discover(input_directory, settings.ingest)
    described = _described(lake, inputs, _newest(lake), settings)
    sha256 = {name: described[name].sha256 if name in described else None for name in inputs.parts}
    planned = plan.stages(settings, sha256)
    forced, chosen = selection.forced(planned), selection.chosen(planned)
    keys = plan.keys(planned)
    identity = plan.identity(keys)

    def idle() -> RunReport | None:
        newest = _newest(lake)
        if newest is None or not selection.publishes or forced or newest.identity != identity:
            return None
        if releases.stale(lake) or leases.left(lake):
            return None
        gone = releases.incomplete(lake, newest)
        if gone:
            reporter.message(f"{len(gone)} data files of the release are gone, e.g. {gone[0]}.")
            return None
        elapsed = time.monotonic() - started
        return RunReport(newest.run_id, "nothing to do", newest, elapsed, absent=inputs.absent)

    if found := idle():
        return found
    begun = leases.Begun(
        run_id=publishing.new_run_id(),
        identity=identity,
        started_at=records.now() - timedelta(seconds=time.monotonic() - started),
        input_directory=redact(inputs.directory),
        absent_files=inputs.absent,
        settings=json.dumps(settings.recorded(), sort_keys=True),
        code_version=plan.code_version(),
    )
    lease = leases.take(lake, begun.run_id, settings.lease_s, begun)
    try:
        publishing.catch_up(lake)
        stamp = Stamp(begun.run_id, records.STAMPED_AS, identity, begun.code_version)
        history.record_killed(lease.lake, stamp)
        reserve.keep(lake)
        # Another run may have published what this one would, before it took the lease.
        if found := idle():
            return found
        job = Job(
            lake=lease.lake,
            lease=lease,
            before=_newest(lake),
            begun=begun,
            settings=settings,
            reporter=reporter,
            inputs=inputs,
            described=described,
            planned=selection.needed(planned),
            keys=keys,
            forced=forced,
            chosen=chosen,
            publishes=selection.publishes,
        )
        return job.run(started)
    finally:
        lease.give_back()


def _described(
    lake: Lake, inputs: RunInputs, before: Release | None, settings: Settings
) -> dict[str, InputFile]:
    """Each present file.

    Where some are new there will be something to do, so that a run that may not write ends before
    they are surveyed, and Spark starts meanwhile if they are large.

    Raises:
        InputError: a file cannot be used.
        ConflictError: another run holds the lake.
    """
    new = inputs.bytes_to_survey(before)
    if new:
        leases.unheld(lake)
    if new < _MUCH_TO_SURVEY:
        return inputs.described(before)
    from beatlake.session import session

    with ThreadPoolExecutor(1) as pool:
        described = pool.submit(inputs.described, before)
        session(settings.spark)
        return described.result()


def _newest(lake: Lake) -> Release | None:
    try:
        return releases.load(lake)
    except releases.NoReleaseError:
        return None

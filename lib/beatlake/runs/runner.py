"""Running the stages that must run, auditing the whole, and publishing it as one release."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from beatlake import releases
from beatlake.config import ConfigError, Settings
from beatlake.errors import GateError
from beatlake.lake import Committed, Lake, LakeError, Stamp
from beatlake.quality import drift
from beatlake.quality.rules import Rule
from beatlake.releases import InputFile, Release, ReleasedTable
from beatlake.runs import lease as leases
from beatlake.runs import notify, plan, publishing, records
from beatlake.runs.inputs import RunInputs, discover
from beatlake.runs.records import StageRecord, StageRecords
from beatlake.runs.report import Reporter, RunReport, StageReport
from beatlake.tables import ops, registry

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from beatlake.quality.counting import Counted, Tally


#: The last step, which no stage is: auditing what the stages made and publishing it.
PUBLISH = "publish"


def run(
    input_directory: str,
    lake: Lake,
    settings: Settings,
    reporter: Reporter,
    *,
    force: bool = False,
    from_stage: str | None = None,
    only: str | None = None,
) -> RunReport:
    """Bring the lake up to the input and publish a release, or find that there is nothing to do.

    Args:
        input_directory: the directory or address of the CSV files.
        lake: where the tables are.
        settings: the run's settings.
        reporter: is told what happens.
        force: run every stage, even those whose outputs are there.
        from_stage: run this stage and all that depend on it, whatever their keys say.
        only: a stage, or ``ingest``, ``integrate`` or ``aggregate`` for all of that kind: run it
            and publish nothing; or ``publish``: run no stage, and publish what the others made.

    Raises:
        InputError: the input cannot be used.
        GateError: the audit failed; nothing was published.
        ConfigError: a stage is named that does not exist.
    """
    started = time.monotonic()
    try:
        report = _run(
            input_directory,
            lake,
            settings,
            reporter,
            started,
            force=force,
            from_stage=from_stage,
            only=only,
        )
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
    started: float,
    *,
    force: bool,
    from_stage: str | None,
    only: str | None,
) -> RunReport:
    inputs = discover(input_directory, settings.ingest)
    before = _newest(lake)
    described = inputs.described(before)
    planned = plan.stages(settings, {name: _sha256(described, name) for name in inputs.parts})
    forced = _forced(planned, force=force, from_stage=from_stage)
    chosen = _chosen(planned, only)
    keys = plan.keys(planned)
    identity = plan.identity(keys)
    publishes = only in (None, PUBLISH)

    def idle() -> RunReport | None:
        newest = _newest(lake)
        if newest is None or not publishes or forced or newest.identity != identity:
            return None
        if releases.stale(lake):
            return None
        gone = releases.incomplete(lake, newest)
        if gone:
            reporter.message(f"{len(gone)} data files of the release are gone, e.g. {gone[0]}.")
            return None
        elapsed = time.monotonic() - started
        return RunReport(newest.run_id, "nothing to do", newest, elapsed, absent=inputs.absent)

    if found := idle():
        return found
    run_id = publishing.new_run_id()
    lease = leases.take(lake, run_id, settings.lease_s)
    try:
        publishing.catch_up(lake)
        # Another run may have published what this one would, before it took the lease.
        if found := idle():
            return found
        job = _Job(
            lease.lake,
            lease,
            _newest(lake),
            run_id,
            settings,
            reporter,
            inputs,
            described,
            planned if publishes else _needed(planned, chosen),
            keys,
            identity,
            forced,
            chosen,
            publishes,
        )
        return job.run(started)
    finally:
        lease.give_back()


def _newest(lake: Lake) -> Release | None:
    try:
        return releases.load(lake)
    except releases.NoReleaseError:
        return None


def _sha256(described: Mapping[str, InputFile], name: str) -> str | None:
    return described[name].sha256 if name in described else None


def _forced(planned: list[plan.Stage], *, force: bool, from_stage: str | None) -> frozenset[str]:
    """The stages that must run whatever their keys say."""
    names = [stage.name for stage in planned]
    if force:
        return frozenset(names)
    if from_stage is None:
        return frozenset()
    if from_stage not in names:
        raise ConfigError(f"There is no stage {from_stage}; there are: {', '.join(names)}.")
    made_by = plan.producers(planned)
    forced = {from_stage}
    for stage in planned:
        if any(made_by[table] in forced for table in stage.inputs):
            forced.add(stage.name)
    return frozenset(forced)


def _chosen(planned: list[plan.Stage], only: str | None) -> frozenset[str]:
    """The stages that may run; the others must have run already."""
    names = [stage.name for stage in planned]
    chosen = [n for n in names if only is None or n == only or n.startswith(f"{only}.")]
    if not chosen and only != PUBLISH:
        kinds = dict.fromkeys(name.partition(".")[0] for name in names)
        raise ConfigError(
            f"There is no stage {only}; there are: {', '.join([*kinds, PUBLISH, *names])}."
        )
    return frozenset(chosen)


def _needed(planned: list[plan.Stage], chosen: frozenset[str]) -> list[plan.Stage]:
    """The chosen stages and those they read from, directly or not."""
    by_name = {stage.name: stage for stage in planned}
    made_by = plan.producers(planned)
    needed: set[str] = set()
    pending = list(chosen)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += [made_by[table] for table in by_name[name].inputs]
    return [stage for stage in planned if stage.name in needed]


@dataclass
class _Job:
    """One run that has something to do."""

    lake: Lake
    lease: leases.Lease
    before: Release | None
    run_id: str
    settings: Settings
    reporter: Reporter
    inputs: RunInputs
    described: Mapping[str, InputFile]
    planned: list[plan.Stage]
    keys: Mapping[str, str]
    identity: str
    forced: frozenset[str]
    chosen: frozenset[str]
    publishes: bool
    committed: dict[str, Committed] = field(default_factory=dict)
    done: dict[str, StageRecord] = field(default_factory=dict)
    reports: list[StageReport] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, started: float) -> RunReport:
        from beatlake.runs.progress import watched
        from beatlake.session import session

        started_at = records.now()
        self.reporter.run_started(self.run_id, len(self.planned))
        self.code_version = plan.code_version()
        self.stage_records = StageRecords(self.lake, self.run_id, self.code_version)
        spark = session(self.settings.spark)
        release: Release | None = None
        failure: BaseException | None = None
        try:
            with watched(spark, self.reporter):
                self._run_stages(spark)
                if self.publishes:
                    self._audit(spark)
                    release = self._publish()
        except BaseException as error:
            failure = error
            raise
        finally:
            self._record(spark, started_at, time.monotonic() - started, release, failure)
        return RunReport(
            self.run_id,
            "done",
            release or releases.load(self.lake),
            time.monotonic() - started,
            self.reports,
            self.inputs.absent,
            [f"{f}: {note}" for f in self.described for note in self._notes(f)],
        )

    def _notes(self, file: str) -> list[str]:
        surveyed = self.inputs.surveyed(file)
        return [note.meaning for note in surveyed.notes] if surveyed else []

    def _run_stages(self, spark: SparkSession) -> None:
        """Every stage as soon as those it reads from are done, some side by side."""
        made_by = plan.producers(self.planned)
        waiting = {stage.name: stage for stage in self.planned}
        running: dict[Future[None], str] = {}
        with ThreadPoolExecutor(self.settings.parallel_stages) as pool:
            try:
                while waiting or running:
                    for stage in list(waiting.values()):
                        if all(made_by[table] in self.done for table in stage.inputs):
                            del waiting[stage.name]
                            running[pool.submit(self._stage, spark, stage)] = stage.name
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        del running[future]
                        future.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _stage(self, spark: SparkSession, stage: plan.Stage) -> None:
        key = self.keys[stage.name]
        usable = None if stage.name in self.forced else self.stage_records.usable(key)
        if usable is None and stage.name not in self.chosen:
            raise ConfigError(
                f"{stage.name} has not run on this input with these settings and this code;"
                " run it first, or run the whole pipeline."
            )
        self.reporter.stage_started(stage.name)
        record = usable or self._execute(spark, stage, key)
        with self.lock:
            self.done[stage.name] = record
            self.committed |= {output.table: output for output in record.outputs}
            report = self._report(stage, record, reused=usable is not None)
            self.reports.append(report)
        self.reporter.stage_finished(report)

    def _execute(self, spark: SparkSession, stage: plan.Stage, key: str) -> StageRecord:
        from beatlake.runs.stages import Context, Write, build

        started_at, started = records.now(), time.monotonic()
        given = [self.committed[table] for table in stage.inputs]
        pinned = {table.table: table.version for table in given}
        frames = {t: self.lake.read(spark, registry.table(t), v) for t, v in pinned.items()}
        stamp = Stamp(self.run_id, stage.name, key, self.code_version, pinned)
        outputs: list[Committed] = []
        counted: list[Counted] = []
        writes: Iterable[Write] = build(stage, Context(spark, frames, self.settings, self.inputs))
        if given and not any(table.rows for table in given):
            # Nothing comes of nothing, and Spark need not be asked.
            writes = [Write(table, None) for table in stage.outputs]
        for write in writes:
            outputs.append(self.lake.write(spark, registry.table(write.table), write.frame, stamp))
            counted += write.counted
        record = StageRecord(
            self.run_id,
            stage.name,
            key,
            started_at,
            time.monotonic() - started,
            tuple(outputs),
            tuple(self._tallies(counted)),
        )
        self.stage_records.add(record)
        return record

    def _tallies(self, counted: list[Counted]) -> list[Tally]:
        """The counts of a stage; taken again by query where they do not add up.

        An observation may count a task twice that Spark ran twice, and what it counts is the
        evidence that no row was lost, so one that does not add up is not believed.
        """
        tallies = [tally for c in counted for tally in c.tallies()]
        if self._add_up(tallies):
            return tallies
        for c in counted:
            c.recount()
        return [tally for c in counted for tally in c.tallies()]

    def _add_up(self, tallies: Iterable[Tally]) -> bool:
        accounted: dict[str, int] = {}
        for tally in tallies:
            if tally.outcome != "flagged":
                accounted[tally.source] = accounted.get(tally.source, 0) + tally.rows
        return all(rows == self._rows_of(source) for source, rows in accounted.items())

    def _rows_of(self, source: str) -> int:
        if source in self.described:
            return self.described[source].records
        return self.committed[source].rows

    def _report(self, stage: plan.Stage, record: StageRecord, *, reused: bool) -> StageReport:
        def by_rule(outcome: str) -> dict[str, int]:
            found: dict[str, int] = {}
            for t in record.tallies:
                if t.outcome == outcome and t.rule is not None and t.rows:
                    found[t.rule] = found.get(t.rule, 0) + t.rows
            return found

        def total(*outcomes: str) -> int:
            return sum(t.rows for t in record.tallies if t.outcome in outcomes)

        return StageReport(
            stage.name,
            reused,
            record.seconds,
            rows_in=total("kept", "merged", "set_aside"),
            kept=total("kept"),
            merged=total("merged"),
            set_aside=by_rule("set_aside"),
            flagged=by_rule("flagged"),
        )

    def _audit(self, spark: SparkSession) -> None:
        from beatlake.runs import audit

        tallies = self._all_tallies()
        fresh = {
            output.table: self.lake.read(spark, registry.table(output.table), output.version)
            for record in self.done.values()
            if record.run_id == self.run_id
            for output in record.outputs
        }
        problems = audit.ledger_problems(tallies, self.committed, self.described)
        problems += audit.gate_problems(tallies, self.described)
        problems += audit.key_problems(fresh)
        if "silver.recordings" in fresh:
            problems += audit.grain_problems(
                *(
                    self.lake.read(spark, registry.table(table), self.committed[table].version)
                    for table in (
                        "silver.recordings",
                        "bronze.audio_features",
                        "silver.spotify_tracks",
                        "silver.beatport_tracks",
                    )
                )
            )
        self.figures = self._figures(spark)
        before = self.before.figures if self.before is not None else {}
        moved, self.accepted = drift.drift().problems(before, self.figures, self.settings.accept)
        if problems := problems + moved:
            raise GateError("Nothing was published. " + "\n".join(problems))

    def _figures(self, spark: SparkSession) -> dict[str, float | None]:
        """The key figures of the release to be; taken over where their table is the same."""
        from beatlake.runs import audit

        declared = drift.drift().figures
        before = {} if self.before is None else self.before.figures
        figures: dict[str, float | None] = {}
        for table in dict.fromkeys(figure.table for figure in declared.values()):
            version = self.committed[table].version
            names = [name for name, figure in declared.items() if figure.table == table]
            known = None if self.before is None else self.before.tables.get(table)
            same = known is not None and known.version == version
            if same and before.keys() >= set(names):
                figures |= {name: before[name] for name in names}
            else:
                frame = self.lake.read(spark, registry.table(table), version)
                figures |= audit.figures(frame, table)
        return {name: figures[name] for name in declared}

    def _all_tallies(self) -> list[Tally]:
        return [t for stage in self.planned for t in self.done[stage.name].tallies]

    def _publish(self) -> Release:
        stamp = Stamp(self.run_id, records.STAMPED_AS, self.identity, self.code_version)
        ledger, quality = self._ledger_rows(), self._quality_rows()
        for table, rows in ((ops.LEDGER, ledger), (ops.QUALITY, quality)):
            self.committed[table.name] = self.lake.record(table, rows, stamp, "overwrite")
        self.committed[ops.STAGES.name] = self.stage_records.committed
        release = Release(
            release=publishing.next_number(self.lake),
            kind="run",
            run_id=self.run_id,
            identity=self.identity,
            published_at=records.now().isoformat(timespec="seconds"),
            code_version=self.code_version,
            inputs=dict(self.described),
            absent=self.inputs.absent,
            settings=self.settings.model_dump(mode="json"),
            tables={name: self._released(c) for name, c in sorted(self.committed.items())},
            figures=self.figures,
            accepted=self.accepted,
        )
        publishing.publish(self.lease, release, stamp)
        return release

    def _released(self, committed: Committed) -> ReleasedTable:
        stamped = self.lake.stamped(committed.table, committed.version)
        expected = self._made_under(committed.table)
        if expected is not None and stamped.get("stage_key") != expected:
            raise LakeError(
                f"Version {committed.version} of {committed.table} is no longer what this run"
                " wrote or verified. Nothing was published; run again."
            )
        return ReleasedTable(
            path=str(self.lake.path(committed.table).relative_to(self.lake.root)),
            version=committed.version,
            rows=committed.rows,
            stage=stamped["stage"],
            stage_key=stamped["stage_key"],
            run_id=stamped["run_id"],
            files=self.lake.files(committed.table, committed.version),
        )

    def _made_under(self, table: str) -> str | None:
        """The key that the commit of a released version must carry; None for `ops.stages`."""
        if table == ops.STAGES.name:
            return None
        if table in (ops.LEDGER.name, ops.QUALITY.name):
            return self.identity
        made_by = plan.producers(self.planned)
        return self.keys[made_by[table]]

    def _ledger_rows(self) -> list[dict[str, object]]:
        return [
            {
                "run_id": self.run_id,
                "table": t.table,
                "source": t.source,
                "outcome": t.outcome,
                "rule": t.rule,
                "rows": t.rows,
            }
            for t in self._all_tallies()
            if t.outcome != "flagged" and (t.rows or t.outcome == "kept")
        ]

    def _quality_rows(self) -> list[dict[str, object]]:
        return [
            {
                "run_id": self.run_id,
                "table": t.table,
                "rule": t.rule,
                "severity": "warn" if t.outcome == "flagged" else "error",
                "rows": t.rows,
                "example": t.example,
                "meaning": Rule[t.rule.upper()].meaning,
            }
            for t in self._all_tallies()
            if t.rule is not None and t.rows
        ]

    def _record(
        self,
        spark: SparkSession,
        started_at: datetime,
        seconds: float,
        release: Release | None,
        failure: BaseException | None,
    ) -> None:
        """Leave a run record, whatever happened; a second failure must not hide the first."""
        code = 0 if failure is None else getattr(failure, "exit_code", 1)
        row = {
            "run_id": self.run_id,
            "identity": self.identity,
            "started_at": started_at,
            "seconds": seconds,
            "status": "done" if failure is None else "refused" if code == 4 else "failed",
            "exit_code": code,
            "reason": None if failure is None else str(failure)[:2000],
            "input_directory": self.inputs.directory,
            "absent_files": self.inputs.absent,
            "settings": json.dumps(self.settings.model_dump(mode="json"), sort_keys=True),
            "code_version": self.code_version,
            "spark_version": spark.version,
            "release": None if release is None else release.release,
        }
        stamp = Stamp(self.run_id, records.STAMPED_AS, self.identity, self.code_version)
        try:
            # Not guarded: a run that lost its lease leaves a record too.
            Lake(self.lake.root).record(ops.RUNS, [row], stamp, "append")
        except Exception as error:
            if failure is None:
                raise
            self.reporter.message(f"The run record could not be written: {error}")

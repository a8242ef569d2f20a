"""One run that has something to do: its stages, their audit, and the release made of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from beatlake.commits import Committed, LakeError, Stamp
from beatlake.config import ConfigError, Settings
from beatlake.errors import GateError, naming_the_cause
from beatlake.lake import Lake
from beatlake.quality import drift
from beatlake.releases import InputFile, Release, ReleasedTable
from beatlake.runs import history, plan, publishing, records
from beatlake.runs import lease as leases
from beatlake.runs.inputs import RunInputs
from beatlake.runs.records import StageRecord, StageRecords
from beatlake.runs.report import Reporter, RunReport, StageReport
from beatlake.tables import ops, registry

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from beatlake.buckets import Cut
    from beatlake.datafiles import Written
    from beatlake.exchange import Done, Stored
    from beatlake.quality.counting import Tally


@dataclass
class Job:
    """One run that has something to do."""

    lake: Lake
    lease: leases.Lease
    before: Release | None
    begun: leases.Begun
    settings: Settings
    reporter: Reporter
    inputs: RunInputs
    described: Mapping[str, InputFile]
    planned: list[plan.Stage]
    keys: Mapping[str, str]
    forced: frozenset[str]
    chosen: frozenset[str]
    publishes: bool
    committed: dict[str, Committed] = field(default_factory=dict)
    done: dict[str, StageRecord] = field(default_factory=dict)
    reports: list[StageReport] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    cuts: dict[tuple[str, str], Cut] = field(default_factory=dict)
    cutting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def run_id(self) -> str:
        """The run's own id, which everything that it writes carries."""
        return self.begun.run_id

    @property
    def identity(self) -> str:
        """The hash of everything that decides what the release holds."""
        return self.begun.identity

    @property
    def code_version(self) -> str:
        """The version and content hash of the code."""
        return self.begun.code_version

    def run(self, started: float) -> RunReport:
        """Run what must run, audit and publish; leave a run record, whatever happens.

        Args:
            started: when the run began, by `time.monotonic`.

        Raises:
            GateError: the audit failed; nothing was published.
        """
        from beatlake.runs.progress import watched
        from beatlake.session import session

        self.reporter.run_started(self.run_id, len(self.planned))
        self.stage_records = StageRecords(self.lake, self.run_id, self.code_version)
        spark_version: str | None = None
        release: Release | None = None
        failure: BaseException | None = None
        try:
            with naming_the_cause(self.lake.root):
                spark = session(self.settings.spark)
                # Asked now, since a run whose Spark has died leaves a record too.
                spark_version = spark.version
                with watched(spark, self.reporter):
                    plan.run_in_order(
                        self.planned, partial(self._stage, spark), self.settings.parallel_stages
                    )
                    if self.publishes:
                        self._audit(spark)
                        release = self._publish()
        except BaseException as error:
            failure = error
            raise
        finally:
            self._record(spark_version, time.monotonic() - started, release, failure)
        return RunReport(
            self.run_id,
            "done",
            release,
            time.monotonic() - started,
            self.reports,
            self.inputs.absent,
            [f"{f}: {note}" for f in self.described for note in self._notes(f)],
        )

    def _notes(self, file: str) -> list[str]:
        surveyed = self.inputs.surveyed(file)
        return [note.meaning for note in surveyed.notes] if surveyed else []

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
            report = StageReport.of(record, reused=usable is not None)
            self.reports.append(report)
        self.reporter.stage_finished(report)

    def _execute(self, spark: SparkSession, stage: plan.Stage, key: str) -> StageRecord:
        from beatlake.runs.stages import Context, Write, build

        started_at, started = records.now(), time.monotonic()
        given = [self.committed[table] for table in stage.inputs]
        pinned = {table.table: table.version for table in given}
        cut = self._cut(spark, stage)
        stored = {
            table: self.lake.stored(registry.table(table), self.committed[table], cut)
            for table in stage.inputs
        }
        stamp = Stamp(self.run_id, stage.name, key, self.code_version, pinned)
        outputs: list[Committed] = []
        tallies: list[Tally] = []
        context = Context(spark, stored, self.settings, self.inputs, self.lake.target, cut)
        writes: Iterable[Write] = build(stage, context)
        if given and not any(table.rows for table in given):
            # Nothing comes of nothing, and Spark need not be asked.
            writes = [Write(table, None) for table in stage.outputs]

        def files(work: Callable[[], Done]) -> list[Written]:
            done = work()
            tallies.extend(done.tallies)
            return done.files

        for write in writes:
            rows = None if write.work is None else partial(files, write.work)
            outputs.append(self.lake.write(registry.table(write.table), rows, stamp))
        record = StageRecord(
            self.run_id,
            stage.name,
            key,
            started_at,
            time.monotonic() - started,
            tuple(outputs),
            tuple(tallies),
        )
        self.stage_records.add(record)
        return record

    def _cut(self, spark: SparkSession, stage: plan.Stage) -> Cut:
        """How the files of a stage's outputs are cut."""
        from beatlake.buckets import UNCUT
        from beatlake.exchange import Sizes, ranges

        if stage.cut_by is None:
            return UNCUT
        with self.cutting:
            if stage.cut_by not in self.cuts:
                table, column = stage.cut_by
                sizes = Sizes.of(spark, self.settings.spark)
                self.cuts[stage.cut_by] = ranges(spark, self._stored(table), column, sizes)
            return self.cuts[stage.cut_by]

    def _audit(self, spark: SparkSession) -> None:
        from beatlake.exchange import Query, Sizes, collect
        from beatlake.runs import audit

        sizes = Sizes.of(spark, self.settings.spark)

        def ask(query: Query) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = collect(spark, query, sizes).to_pylist()
            return rows

        tallies = self._all_tallies()
        fresh = {
            output.table: self._stored(output.table)
            for record in self.done.values()
            if record.run_id == self.run_id
            for output in record.outputs
        }
        asking: list[Callable[[], list[str]]] = [lambda: audit.key_problems(fresh, ask)]
        if "silver.recordings" in fresh:
            sides = [self._stored(table) for table in audit.GRAIN_OF_RECORDINGS]
            asking.append(lambda: audit.grain_problems(*sides, ask=ask))
        # Each asks little at a time, so side by side they wait for Spark together.
        with ThreadPoolExecutor(self.settings.parallel_stages) as pool:
            found = [pool.submit(each) for each in asking]
            figures = pool.submit(audit.all_figures, self._stored, ask, self.committed, self.before)
            problems = audit.ledger_problems(tallies, self.committed, self.described)
            problems += audit.gate_problems(tallies, self.described)
            problems += [problem for each in found for problem in each.result()]
            self.figures = figures.result()
        before = self.before.figures if self.before is not None else {}
        moved, self.accepted = drift.drift().problems(before, self.figures, self.settings.accept)
        if problems := problems + moved:
            raise GateError("Nothing was published. " + "\n".join(problems))

    def _stored(self, table: str) -> Stored:
        """The version of a table that this run wrote or verified."""
        return self.lake.stored(registry.table(table), self.committed[table])

    def _all_tallies(self) -> list[Tally]:
        return [t for stage in self.planned for t in self.done[stage.name].tallies]

    def _publish(self) -> Release:
        stamp = Stamp(self.run_id, records.STAMPED_AS, self.identity, self.code_version)
        tallies = self._all_tallies()
        for table, rows in (
            (ops.LEDGER, records.ledger_rows(self.run_id, tallies)),
            (ops.QUALITY, records.quality_rows(self.run_id, tallies)),
        ):
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
            settings=self.settings.recorded(),
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

    def _record(
        self,
        spark_version: str | None,
        seconds: float,
        release: Release | None,
        failure: BaseException | None,
    ) -> None:
        """Leave a run record, whatever happened; a second failure must not hide the first."""
        end = history.End(
            seconds=seconds,
            stages=sum(record.run_id == self.run_id for record in self.done.values()),
            spark_version=spark_version,
            release=None if release is None else release.release,
            failure=failure,
        )
        try:
            # Not guarded: a run that lost its lease leaves a record too.
            history.record(Lake(self.lake.root), self.begun, end)
        except Exception as error:
            if failure is None:
                raise
            self.reporter.message(f"The run record could not be written: {error}")

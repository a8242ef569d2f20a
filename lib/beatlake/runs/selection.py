"""What of a plan is asked for: all of it, some stages, or publishing what they made."""

from __future__ import annotations

from dataclasses import dataclass

from beatlake.config import ConfigError
from beatlake.runs.plan import Stage, producers

#: The last step, which no stage is: auditing what the stages made and publishing it.
PUBLISH = "publish"


@dataclass(frozen=True)
class Selection:
    """What of the plan is asked for.

    Args:
        force: run every stage, even those whose outputs are there.
        from_stage: run this stage and all that depend on it, whatever their keys say.
        only: a stage, or ``ingest``, ``integrate`` or ``aggregate`` for all of that kind: run it
            and publish nothing; or ``publish``: run no stage, and publish what the others made.
    """

    force: bool = False
    from_stage: str | None = None
    only: str | None = None

    @property
    def publishes(self) -> bool:
        """Whether a release is asked for."""
        return self.only in (None, PUBLISH)

    def forced(self, planned: list[Stage]) -> frozenset[str]:
        """The stages that must run whatever their keys say.

        Raises:
            ConfigError: there is no such stage.
        """
        names = [stage.name for stage in planned]
        if self.force:
            return frozenset(names)
        if self.from_stage is None:
            return frozenset()
        if self.from_stage not in names:
            raise ConfigError(
                f"There is no stage {self.from_stage}; there are: {', '.join(names)}."
            )
        made_by = producers(planned)
        found = {self.from_stage}
        for stage in planned:
            if any(made_by[table] in found for table in stage.inputs):
                found.add(stage.name)
        return frozenset(found)

    def chosen(self, planned: list[Stage]) -> frozenset[str]:
        """The stages that may run; the others must have run already.

        Raises:
            ConfigError: there is no such stage.
        """
        names, only = [stage.name for stage in planned], self.only
        found = [n for n in names if only is None or n == only or n.startswith(f"{only}.")]
        if not found and only != PUBLISH:
            kinds = dict.fromkeys(name.partition(".")[0] for name in names)
            raise ConfigError(
                f"There is no stage {only}; there are: {', '.join([*kinds, PUBLISH, *names])}."
            )
        return frozenset(found)

    def needed(self, planned: list[Stage]) -> list[Stage]:
        """The chosen stages and those they read from, directly or not; all to publish."""
        if self.publishes:
            return planned
        by_name = {stage.name: stage for stage in planned}
        made_by = producers(planned)
        found: set[str] = set()
        pending = list(self.chosen(planned))
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += [made_by[table] for table in by_name[name].needs]
        return [stage for stage in planned if stage.name in found]


#: Whatever must run, and a release of it.
EVERYTHING = Selection()

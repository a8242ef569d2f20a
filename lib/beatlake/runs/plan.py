"""The stages of a run, what they read and write, and the keys that say whether they must run.

A stage's key is the hash of everything that decides its outputs: the code, the settings that
change content, the content of the files it reads, and the keys of the stages it reads from. All
keys are known before anything runs, and the identity of a run is the hash of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from beatlake import __version__
from beatlake.config import Settings
from beatlake.quality.contract import contracts
from beatlake.resources import conf_path
from beatlake.tables import gold, registry

if TYPE_CHECKING:
    from beatlake.resources import Traversable

#: What of the package decides what tables hold.
_CODE = (
    "aggregate",
    "ingest",
    "integrate",
    "quality",
    "runs/plan.py",
    "runs/stages.py",
    "tables",
    "buckets.py",
    "datafiles.py",
    "dates.py",
    "exchange",
    "lake.py",
    "preparing.py",
    "commits.py",
    "session.py",
)
_CONF = ("contracts", "gold.yaml")


@dataclass(frozen=True)
class Stage:
    """A named step: the tables it reads, the tables it writes, what else decides its outputs.

    ``cut_by`` is the table whose values of a column decide how the files of its outputs are cut, if
    they are, and the column. They decide nothing of what the outputs hold.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    content: Mapping[str, Any] = field(default_factory=dict)
    cut_by: tuple[str, str] | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """All tables that must be there before it runs."""
        return self.inputs if self.cut_by is None else (*self.inputs, self.cut_by[0])


def stages(settings: Settings, sha256: Mapping[str, str | None]) -> list[Stage]:
    """Every stage, each after those it reads from.

    Args:
        settings: the run's settings.
        sha256: the content hash of each input file, None for one that is not there.
    """
    ingest = [
        Stage(
            f"ingest.{file}",
            (),
            (f"bronze.{file}", f"quarantine.{file}"),
            {**settings.ingest.content(), "sha256": sha256[file]},
        )
        for file in contracts()
    ]
    integrate = [
        Stage(f"integrate.{name}", inputs, (f"silver.{name}",), content, _cut_by(f"silver.{name}"))
        for name, inputs, content in _integrate(settings)
    ]
    aggregate = [
        Stage(
            f"aggregate.{name}",
            tuple({"silver.recordings": None, f"silver.{aggregates[0].of}": None}),
            tuple(f"gold.{aggregate.name}" for aggregate in aggregates),
        )
        for name, aggregates in gold.declaration().together().items()
    ]
    return [*ingest, *integrate, *aggregate]


def _cut_by(table: str) -> tuple[str, str] | None:
    column = registry.table(table).bucket_by
    return None if column is None else ("bronze.audio_features", column)


def _integrate(settings: Settings) -> list[tuple[str, tuple[str, ...], dict[str, Any]]]:
    half_time = {"half_time_below": settings.integrate.content()["half_time_below"]}
    hemisphere = settings.aggregate.content()
    return [
        ("genres", ("bronze.bp_genre",), {}),
        ("subgenres", ("bronze.bp_subgenre", "silver.genres"), {}),
        ("labels", ("bronze.bp_label",), {}),
        ("keys", ("bronze.bp_key",), {}),
        ("artists", ("bronze.sp_artist", "bronze.bp_artist"), {}),
        ("releases", ("bronze.sp_release",), {}),
        (
            "release_artists",
            ("bronze.sp_artist_release", "silver.releases", "silver.artists"),
            {},
        ),
        (
            "spotify_tracks",
            ("bronze.sp_track", "bronze.sp_track_popularity", "silver.releases"),
            {},
        ),
        (
            "spotify_track_artists",
            (
                "bronze.sp_artist_track",
                "silver.spotify_tracks",
                "silver.artists",
                "silver.release_artists",
            ),
            {},
        ),
        ("beatport_releases", ("bronze.bp_release", "silver.labels"), {}),
        (
            "beatport_tracks",
            (
                "bronze.bp_track",
                "silver.genres",
                "silver.subgenres",
                "silver.keys",
                "silver.labels",
                "silver.beatport_releases",
            ),
            half_time,
        ),
        (
            "beatport_track_artists",
            ("bronze.bp_artist_track", "silver.beatport_tracks", "silver.artists"),
            {},
        ),
        (
            "orphans",
            (
                "bronze.bp_artist_media",
                "bronze.bp_artist_release",
                "bronze.bp_label_artist",
                "bronze.bp_label_media",
                "bronze.bp_release_media",
                "bronze.bp_track_media",
                "bronze.bp_artist",
                "bronze.bp_label",
                "bronze.bp_release",
                "bronze.bp_track",
            ),
            {},
        ),
        ("recording_genres", ("silver.beatport_tracks",), {}),
        (
            "recording_artists",
            (
                "silver.spotify_track_artists",
                "silver.beatport_track_artists",
            ),
            {},
        ),
        (
            "recordings",
            (
                "bronze.audio_features",
                "silver.spotify_tracks",
                "silver.beatport_tracks",
                "silver.recording_artists",
            ),
            hemisphere,
        ),
    ]


def run_in_order(planned: Iterable[Stage], run: Callable[[Stage], None], side_by_side: int) -> None:
    """Run every stage as soon as those of the planned ones that it reads from are done.

    Args:
        planned: the stages.
        run: what runs one; it is called in threads.
        side_by_side: how many may run at a time.
    """
    waiting = {stage.name: stage for stage in planned}
    made_by = producers(waiting.values())
    needs = {
        stage.name: {made_by[table] for table in stage.needs if table in made_by}
        for stage in waiting.values()
    }
    done: set[str] = set()
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(side_by_side) as pool:
        try:
            while waiting or running:
                for stage in list(waiting.values()):
                    if needs[stage.name] <= done:
                        del waiting[stage.name]
                        running[pool.submit(run, stage)] = stage.name
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    name = running.pop(future)
                    future.result()
                    done.add(name)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def producers(planned: Iterable[Stage]) -> dict[str, str]:
    """Which stage writes each table."""
    return {table: stage.name for stage in planned for table in stage.outputs}


def keys(planned: Iterable[Stage]) -> dict[str, str]:
    """The key of each stage, by name."""
    planned = list(planned)
    made_by = producers(planned)
    found: dict[str, str] = {}
    for stage in planned:
        found[stage.name] = _hash(
            {
                "stage": stage.name,
                "code": code_hash(),
                "content": dict(stage.content),
                "inputs": {table: found[made_by[table]] for table in stage.inputs},
            }
        )
    return found


def identity(stage_keys: Mapping[str, str]) -> str:
    """The hash of everything that decides what a release holds."""
    return _hash(dict(stage_keys))


def code_version() -> str:
    """The package's version and the first digits of its content hash."""
    return f"{__version__}+{code_hash()[:12]}"


@cache
def code_hash() -> str:
    """The hash of the code and declarations that decide what tables hold."""
    digest = hashlib.sha256()
    package = files("beatlake")
    roots = [(name, package.joinpath(name)) for name in _CODE]
    roots += [(f"conf/{name}", conf_path(name)) for name in _CONF]
    for name, root in roots:
        for path, content in sorted(_contents(name, root)):
            digest.update(f"{path}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def _contents(name: str, node: Traversable) -> list[tuple[str, bytes]]:
    if node.is_file():
        return [(name, node.read_bytes())] if name.endswith((".py", ".yaml")) else []
    return [
        entry
        for child in node.iterdir()
        if child.name != "__pycache__"
        for entry in _contents(f"{name}/{child.name}", child)
    ]


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

"""The ladder of splits: which rows train, which judge, and what each rung promises.

A side follows from a salted hash of the group's key, so that a row keeps its side when data grows
and nothing depends on the order of rows or the number of cores. Every rung puts each row into one
of these sides:

* ``test``: judges;
* ``train``: trains;
* ``valid``: watches a fit that stops early, chosen by group like the test; trains otherwise;
* ``between``: shares something with ``valid``: trains where nothing watches;
* ``purged``: shares something that the rung promises to keep apart with a test row; does nothing;
* ``unused``: has no artist or date where the rung needs one, or lies after the test's start without
  being chosen for it.

Rungs, from the one that flatters most: ``random`` deals rows; ``recording`` deals recordings;
``artist`` deals main artists and purges the training rows *any* of whose artists occurs in the test
side (connected components over collaborations would be one giant group); ``time`` tests what came
out after a day; ``artist_time`` tests what chosen artists brought out after it.

Choices that a fit needs are made on `inner` splits: the rows that may train, dealt once more by the
same keys. The test side of the rung is in none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import duckdb

from beatlake.config import ConfigError
from beatlake.dealing import share
from beatlake.errors import InputError
from beatlake.learn.engine import one
from beatlake.learn.rows import Prepared
from beatlake.learn.task import RUNGS, Splits
from beatlake.sql import quoted, text

SIDES = ("train", "between", "valid", "test", "purged", "unused")
#: Sides that may train where nothing watches the fit.
FITTING = ("train", "between", "valid")
#: What a rung keeps apart.
PROMISES: Mapping[str, tuple[str, ...]] = {
    "random": (),
    "recording": ("recording",),
    "artist": ("recording", "artist"),
    "time": ("recording", "date"),
    "artist_time": ("recording", "artist", "date"),
}
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "random": (),
    "recording": ("recording",),
    "artist": ("artist",),
    "time": ("date",),
    "artist_time": ("artist", "date"),
}
#: What a side is chosen by: what the key names, and its column.
DEALT_BY: Mapping[str, tuple[str, str]] = {
    "random": ("row", "row_id"),
    "recording": ("recording", "recording"),
    "artist": ("artist", "artist"),
    "time": ("recording", "recording"),
    "artist_time": ("artist", "artist"),
}
_KEPT_APART = {"recording": "recordings", "artist": "artists"}


@dataclass(frozen=True)
class Rung:
    """One split of the prepared rows, or the reason why there is none.

    Args:
        name: of the rung.
        unavailable: why the table cannot have it; empty where it can.
        counts: rows by side.
        test_from: first day of the test side in time.
        shared: test rows that share a recording or artist with a row that may train, or are one,
            measured on the sides themselves; what the rung does not promise is measured too.
        train_until: last day on which a row that may train can have come out; None where no such
            row has a date.
        tests_since: first day on which a test row can have come out.
        fold: which of the `inner` splits of the rung it is, from 1; 0 for the rung itself.
    """

    name: str
    unavailable: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    test_from: str | None = None
    shared: Mapping[str, int] = field(default_factory=dict)
    train_until: str | None = None
    tests_since: str | None = None
    fold: int = 0

    @property
    def key(self) -> str:
        """What tells the split from every other of the same rows."""
        return f"{self.name}_fold_{self.fold}" if self.fold else self.name

    @property
    def table(self) -> str:
        """The table of ``row_id`` and ``side``."""
        return quoted(f"sides_{self.key}")

    @property
    def promise(self) -> str:
        """What it keeps apart, as half a sentence."""
        kept = " and ".join(_KEPT_APART[p] for p in PROMISES[self.name] if p in _KEPT_APART)
        parts = [f"no {kept} on both sides"] if kept else []
        if "date" in PROMISES[self.name]:
            parts.append("tests only what came out after everything it trains on")
        return ", ".join(parts) or "nothing: rows are dealt, and what repeats stands on both sides"


def assign(
    connection: duckdb.DuckDBPyConnection,
    prepared: Prepared,
    splits: Splits,
    needed: Sequence[str] = ("train", "test"),
) -> list[Rung]:
    """Deal the prepared rows on every rung of the task, in the ladder's order.

    Each available rung gets a table ``sides_RUNG`` with one row per prepared row.

    Args:
        connection: holds the prepared rows.
        prepared: what is known of them.
        splits: of the task.
        needed: sides without which there is no rung.
    """
    return [
        _rung(connection, prepared, splits, name, needed) for name in RUNGS if name in splits.rungs
    ]


def _rung(
    connection: duckdb.DuckDBPyConnection,
    prepared: Prepared,
    splits: Splits,
    name: str,
    needed: Sequence[str],
) -> Rung:
    for need in _NEEDS[name]:
        if need in prepared.lacks:
            return Rung(name, unavailable=prepared.lacks[need])
    in_time = "date" in _NEEDS[name]
    test_from = watch_from = None
    if in_time:
        test_from = splits.test_from or _day_before_share(connection, splits.test, None)
        if test_from is not None and splits.validation:
            watch_from = _day_before_share(connection, splits.validation, test_from)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE dealt AS SELECT row_id, {_keys(name)} AS keys,"
        f" {_chosen(name, splits, test_from, watch_from)} AS side FROM prepared"
    )
    if PROMISES[name]:
        _purge(connection, "test", FITTING[0], "purged")
        _purge(connection, "test", "valid", "purged")
        _purge(connection, "valid", "train", "between")
    rung = Rung(name)
    counts = _kept(connection, rung)
    for side in needed:
        if not counts[side]:
            return Rung(name, f"no row is on the {side} side", counts, test_from)
    shared = {
        thing: _shared(connection, rung, f"{thing}s")
        for thing in ("recording", "artist")
        if thing not in prepared.lacks
    }
    fitting = f"side IN ({', '.join(map(text, FITTING))})"
    (shared["row"],) = one(
        connection,
        f"SELECT count(DISTINCT row_id) FROM {rung.table} WHERE side = 'test' AND row_id IN"
        f" (SELECT row_id FROM {rung.table} WHERE {fitting})",
    )
    until, since = one(
        connection,
        f"SELECT max(ends) FILTER ({fitting}), min(starts) FILTER (side = 'test') FROM prepared"
        f" JOIN {rung.table} USING (row_id)",
    )
    return Rung(name, "", counts, test_from, shared, until and str(until), since and str(since))


def counted(connection: duckdb.DuckDBPyConnection, rung: Rung) -> dict[str, int]:
    """Rows of a rung by side, 0 where a side has none."""
    found = dict(
        connection.execute(f"SELECT side, count(*) FROM {rung.table} GROUP BY side").fetchall()
    )
    return {side: int(found.get(side, 0)) for side in SIDES}


def inner(
    connection: duckdb.DuckDBPyConnection, rung: Rung, salt: str, folds: int
) -> Iterator[Rung]:
    """Splits of the rows of a rung that may train: each of its folds judges once.

    The folds are dealt by the key that the rung deals by, so that none splits a group, and what the
    rung promises holds within: a row that shares a recording or artist with the fold that judges is
    purged for that time. The order in time does not: a fold of a rung in time is as old as those
    that train. Rows outside the training side, those of the test side among them, are ``unused``.

    Args:
        connection: holds the prepared rows and the rung's sides.
        rung: an available one.
        salt: of the task.
        folds: how many.

    Raises:
        InputError: a fold has no row, or leaves none to train on.
    """
    kind, key = DEALT_BY[rung.name]
    fold_of = f"floor({share(salt, f'{folds} folds of {kind}', f'p.{key}')} * {folds})::INTEGER + 1"
    fitting = ", ".join(f"'{side}'" for side in FITTING)
    for fold in range(1, folds + 1):
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE dealt AS SELECT p.row_id, {_keys(rung.name)} AS keys,"
            f" CASE WHEN side NOT IN ({fitting}) THEN 'unused' WHEN {fold_of} = {fold} THEN 'test'"
            f" ELSE side END AS side FROM prepared AS p JOIN {rung.table} USING (row_id)"
        )
        if PROMISES[rung.name]:
            for side in FITTING:
                _purge(connection, "test", side, "purged")
        made = Rung(rung.name, fold=fold)
        counts = _kept(connection, made)
        for side in ("train", "test"):
            if not counts[side]:
                raise InputError(
                    f"Fold {fold} of {folds} of the {rung.name} rung has no row on its {side} side:"
                    f" there are too few {kind}s for so many folds."
                )
        yield replace(made, counts=counts)


def _kept(connection: duckdb.DuckDBPyConnection, rung: Rung) -> dict[str, int]:
    """Make the rung's table of the rows as they were dealt; rows by side."""
    connection.execute(f"CREATE OR REPLACE TABLE {rung.table} AS SELECT row_id, side FROM dealt")
    connection.execute("DROP TABLE dealt")
    return counted(connection, rung)


def _keys(name: str) -> str:
    """SQL of all that a row must not share with the other side."""
    parts = [
        f"list_transform({p}s, lambda k: '{p}:' || k)" for p in _KEPT_APART if p in PROMISES[name]
    ]
    return f"flatten([{', '.join(parts)}])" if parts else "[]::VARCHAR[]"


def _chosen(name: str, splits: Splits, test_from: str | None, watch_from: str | None) -> str:
    """SQL of the side by the row alone, before anything is purged."""
    kind, key = DEALT_BY[name]
    drawn = f"{share(splits.salt, kind, key)} < {splits.test!r}"
    watches = f"{share(splits.salt, f'watch {kind}', key)} < {splits.validation!r}"
    if "date" not in PROMISES[name]:
        known = f"WHEN {key} IS NULL THEN 'unused'"
        return f"CASE {known} WHEN {drawn} THEN 'test' WHEN {watches} THEN 'valid' ELSE 'train' END"
    after, before = f"starts >= DATE '{test_from}'", f"ends < DATE '{test_from}'"
    tested = after if name == "time" else f"{after} AND {drawn}"
    known = "starts IS NULL OR ends IS NULL" + (" OR artist IS NULL" if name != "time" else "")
    watched = f"starts >= DATE '{watch_from}'" if watch_from else "false"
    if name != "time":
        watched = watches
    return (
        f"CASE WHEN {known} THEN 'unused' WHEN {tested} THEN 'test'"
        f" WHEN NOT ({before}) THEN 'unused' WHEN {watched} THEN 'valid' ELSE 'train' END"
    )


def _day_before_share(
    connection: duckdb.DuckDBPyConnection, wanted: float, before: str | None
) -> str | None:
    """The first day of the newest rows that make up a share; None where all are of one day."""
    limit = f" AND ends < DATE '{before}'" if before else ""
    day, oldest = one(
        connection,
        f"SELECT quantile_disc(starts, {1 - wanted!r}), min(starts) FROM prepared"
        f" WHERE starts IS NOT NULL{limit}",
    )
    if day is None or day == oldest:
        # So many rows are of the oldest day that the share begins with it: the next day then.
        (day,) = one(
            connection,
            "SELECT min(starts) FROM prepared"
            f" WHERE starts > (SELECT min(starts) FROM prepared){limit}",
        )
    return None if day is None else str(day)


def _purge(connection: duckdb.DuckDBPyConnection, holder: str, loser: str, to: str) -> None:
    """Move the rows of one side that share a key with another side."""
    connection.execute(
        f"UPDATE dealt SET side = '{to}' WHERE side = '{loser}' AND row_id IN ("
        "SELECT row_id FROM (SELECT row_id, unnest(keys) AS key FROM dealt"
        f" WHERE side = '{loser}') WHERE key IN (SELECT unnest(keys) FROM dealt"
        f" WHERE side = '{holder}'))"
    )


def _shared(connection: duckdb.DuckDBPyConnection, rung: Rung, keys: str) -> int:
    """Test rows one of whose keys stands in a row that may train."""
    fitting = ", ".join(f"'{side}'" for side in FITTING)
    (found,) = one(
        connection,
        f"SELECT count(DISTINCT row_id) FROM (SELECT row_id, unnest({keys}) AS key FROM prepared"
        f" JOIN {rung.table} USING (row_id) WHERE side = 'test') WHERE key IN (SELECT"
        f" unnest({keys}) FROM prepared JOIN {rung.table} USING (row_id)"
        f" WHERE side IN ({fitting}))",
    )
    return int(found)


def refuse_headline(task_name: str, rungs: list[Rung], headline: str) -> Rung:
    """The headline rung, which must be there.

    Raises:
        ConfigError: the table cannot have it; the message says why and which rungs there are.
    """
    by_name = {rung.name: rung for rung in rungs}
    rung = by_name[headline]
    if rung.unavailable:
        others = [r.name for r in rungs if not r.unavailable and r.name != "random"]
        raise ConfigError(
            f"{task_name} is judged on the {headline} rung, which this table cannot have:"
            f" {rung.unavailable}. Rungs that it can have: {', '.join(others) or 'none'}"
            " (splits.headline)."
        )
    return rung

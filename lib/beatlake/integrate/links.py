"""Ids that files which only link or illustrate others name, and that are not in the data."""

from __future__ import annotations

from beatlake.exchange import Dealt, Query, select
from beatlake.integrate.common import Inputs, text_of
from beatlake.quality.contract import Contract, ForeignKey, contracts
from beatlake.quality.counting import Count


def orphans(inputs: Inputs) -> Query:
    """The ids that name nothing, one row per file, rule and id.

    Judged are the given files that no other given file refers to; the references of all others are
    judged where their rows are taken into a table. References to a file that is absent are left
    out: nothing is known of their targets.
    """
    given = [contracts()[name.removeprefix("bronze.")] for name in inputs.tables]
    named = {key.references for contract in given for key in contract.foreign_keys}
    sources: dict[str, Dealt] = {}
    rows: list[str] = []
    counts: list[Count] = []
    for file in given:
        if file.file in named:
            continue
        for key in file.foreign_keys:
            number = len(rows)
            sources |= _ends(inputs, file, key, number)
            by = ", ".join(key.columns)
            rows.append(
                f"SELECT '{file.file}' AS file, '{key.flag}' AS rule,"
                f" {text_of(key.columns)} AS reference, count(*) AS n_rows"
                f" FROM links_{number} ANTI JOIN known_{number} USING ({by}) GROUP BY {by}"
            )
            counts.append(_count(file, key))
    return Query(" UNION ALL ".join(rows), sources, counts)


def _ends(inputs: Inputs, file: Contract, key: ForeignKey, number: int) -> dict[str, Dealt]:
    """The references of a file's rows, and what they may refer to."""
    given = [f"{column} IS NOT NULL" for column in key.columns]
    if key.references in inputs.absent:
        given = ["false"]
    target = contracts()[key.references].key
    known = [f"{there} AS {here}" for here, there in zip(key.columns, target, strict=True)]
    by = tuple(key.columns)
    links = select(inputs[f"bronze.{file.file}"], *by, where=" AND ".join(given))
    return {
        f"links_{number}": Dealt(links, by),
        f"known_{number}": Dealt(select(inputs[f"bronze.{key.references}"], *known), by),
    }


def _count(file: Contract, key: ForeignKey) -> Count:
    where = f"FILTER (WHERE file = '{file.file}' AND rule = '{key.flag}')"
    return Count(
        "silver.orphans",
        f"bronze.{file.file}",
        "flagged",
        f"sum(n_rows) {where}",
        key.flag,
        f"min(reference) {where}",
    )

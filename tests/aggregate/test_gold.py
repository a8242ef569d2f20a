"""What `conf/gold.yaml` may declare, and which tables are made together."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from beatlake.tables.gold import Aggregate, Gold, common_groups, declaration


def test_tables_of_the_same_links_are_made_together() -> None:
    together = declaration().together()
    assert {stage: [a.name for a in made] for stage, made in together.items() if len(made) > 1} == {
        "recording_genres": ["by_genre", "by_year_genre", "by_year_season_genre", "genre_profiles"]
    }
    assert common_groups(together["recording_genres"]) == ("genre_id", "genre_name")
    assert sum(map(len, together.values())) == len(declaration().tables)


def test_tables_that_are_made_together_must_share_a_grouping_column() -> None:
    declared = declaration()
    odd = Aggregate(
        name="by_month_filed",
        comment="Odd.",
        of="recording_genres",
        group_by=("is_canonical",),
        credit="full",
        measures="all",
    )
    with pytest.raises(ValidationError, match=r"by_month_filed of recording_genres share no"):
        Gold(
            quantiles=declared.quantiles,
            measures=declared.measures,
            tables=(*declared.tables, odd),
        )

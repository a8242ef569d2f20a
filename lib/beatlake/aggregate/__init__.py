"""Aggregates of silver by year, season, genre and so on, as `conf/gold.yaml` declares them."""

"""Queries over tables that are spread over files and machines.

A query is SQL over views. It runs in many tasks, each of which sees its share of the rows: the rows
of one data file, or those whose key falls into the task's bucket, so that rows of equal keys meet.
Spark runs the tasks, repeats those that fail and moves the rows between them; within a task DuckDB
computes whole columns at a time, on one core. A query must not depend on which rows share a task,
beyond those of equal keys, nor on their order. What one machine can do is done in a single task,
from the data files on and by all cores: no row is moved.
"""

from beatlake.exchange.query import Dealt, Query, Scanned, Whole, select
from beatlake.exchange.run import ALL_HELD, Done, Output, Sizes, collect, ranges, write
from beatlake.exchange.stored import Stored

__all__ = [
    "ALL_HELD",
    "Dealt",
    "Done",
    "Output",
    "Query",
    "Scanned",
    "Sizes",
    "Stored",
    "Whole",
    "collect",
    "ranges",
    "select",
    "write",
]

"""What the repetitions of a grid say: means, paired differences, and when to claim one.

Pure functions on the data frame of runs, one row a run, with the columns ``task``, ``dataset``,
``model``, ``loss``, ``repetition``, ``status`` and one column a metric. Metrics are fractions
from 0 to 1, and of every metric more is better.
"""

from benchmark.statistics.frames import (
    GROUP,
    PRIMARY,
    REFERENCES,
    RUN,
    RUN_COLUMNS,
    STATUSES,
    groups,
    reference,
    scores,
)
from benchmark.statistics.intervals import Estimate, mean_interval, paired_difference
from benchmark.statistics.summary import MIN_PAIRS, SUMMARY_COLUMNS, summarise

__all__ = [
    "GROUP",
    "MIN_PAIRS",
    "PRIMARY",
    "REFERENCES",
    "RUN",
    "RUN_COLUMNS",
    "STATUSES",
    "SUMMARY_COLUMNS",
    "Estimate",
    "groups",
    "mean_interval",
    "paired_difference",
    "reference",
    "scores",
    "summarise",
]

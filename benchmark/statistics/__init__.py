"""What the repetitions of a grid say: means, paired differences, and when to claim one.

Pure functions on the data frame of runs, one row a run, with the columns ``task``, ``dataset``,
``model``, ``loss``, ``repetition``, ``status`` and one column a metric. Metrics are fractions
from 0 to 1, and of every metric more is better.
"""

from benchmark.statistics.convergence import (
    Target,
    area_under,
    summarise_times,
    targets_of,
    time_to_target,
)
from benchmark.statistics.descriptive import interquartile_mean, pairing_correlation
from benchmark.statistics.frames import (
    GROUP,
    PRIMARY,
    REFERENCES,
    RUN,
    RUN_COLUMNS,
    STATUSES,
    baseline_labels,
    groups,
    reference,
    scores,
)
from benchmark.statistics.improvement import probability_of_improvement, unpaired_improvement
from benchmark.statistics.intervals import (
    Estimate,
    bootstrap_interval,
    mean_interval,
    paired_difference,
)
from benchmark.statistics.pooling import POOLED_COLUMNS, pool, pooled_differences
from benchmark.statistics.power import (
    detectable_difference,
    power_of,
    repetitions_needed,
    sd_interval,
)
from benchmark.statistics.ranks import (
    RANK_COLUMNS,
    CriticalDifference,
    critical_difference,
    friedman_test,
    mean_ranks,
)
from benchmark.statistics.settings import SETTING_COLUMNS, choose_settings, sensitivity
from benchmark.statistics.significance import (
    holm,
    sign_flip_test,
    significance_note,
    smallest_p,
    strictest_level,
    t_test,
    wilcoxon_test,
)
from benchmark.statistics.summary import SUMMARY_COLUMNS, summarise, with_bootstrap
from benchmark.statistics.verdicts import MIN_PAIRS

__all__ = [
    "GROUP",
    "MIN_PAIRS",
    "POOLED_COLUMNS",
    "PRIMARY",
    "RANK_COLUMNS",
    "REFERENCES",
    "RUN",
    "RUN_COLUMNS",
    "SETTING_COLUMNS",
    "STATUSES",
    "SUMMARY_COLUMNS",
    "CriticalDifference",
    "Estimate",
    "Target",
    "area_under",
    "baseline_labels",
    "bootstrap_interval",
    "choose_settings",
    "critical_difference",
    "detectable_difference",
    "friedman_test",
    "groups",
    "holm",
    "interquartile_mean",
    "mean_interval",
    "mean_ranks",
    "paired_difference",
    "pairing_correlation",
    "pool",
    "pooled_differences",
    "power_of",
    "probability_of_improvement",
    "reference",
    "repetitions_needed",
    "scores",
    "sd_interval",
    "sensitivity",
    "sign_flip_test",
    "significance_note",
    "smallest_p",
    "strictest_level",
    "summarise",
    "summarise_times",
    "t_test",
    "targets_of",
    "time_to_target",
    "unpaired_improvement",
    "wilcoxon_test",
    "with_bootstrap",
]

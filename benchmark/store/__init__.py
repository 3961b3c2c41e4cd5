"""The one place that reads and writes runs.

Files are the truth: an experiment's folder holds ``experiment.yaml``, ``cells.txt`` (the names of
its cells) and, in ``runs/``, one folder a cell with ``config.yaml``, ``environment.json``,
``streams.json``, ``history.csv``, ``details.json``, ``log.txt``, and ``metrics.json``, which is
written last: its presence means that the run has ended. Tuning runs lie in ``tuning/`` in the
same form. All but the log are written beside their place and then moved there, so none is ever
seen half-written. Tables are collected from these files by :mod:`benchmark.collecting`. Merging
results is copying run folders, those of the same experiment into one folder, or any into one
without ``cells.txt``. Files of an older form are read through :mod:`benchmark.migrations`.
"""

from benchmark.store.experiment_folder import STAGE_FOLDER, Store
from benchmark.store.files import (
    ARRIVING,
    TEMPORARY,
    forget_arrivals,
    read_json,
    write_atomically,
    write_json,
    write_text,
)
from benchmark.store.run_folder import RunFolder

__all__ = [
    "ARRIVING",
    "STAGE_FOLDER",
    "TEMPORARY",
    "RunFolder",
    "Store",
    "forget_arrivals",
    "read_json",
    "write_atomically",
    "write_json",
    "write_text",
]

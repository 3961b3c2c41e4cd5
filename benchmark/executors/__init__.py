"""Where cells run. One module an executor, found by registration; :mod:`local` is this machine."""

from benchmark._discover import import_modules
from benchmark.executors.base import (
    EXECUTORS,
    Event,
    Executor,
    Job,
    Resources,
    register_executor,
)

import_modules("benchmark.executors")

__all__ = ["EXECUTORS", "Event", "Executor", "Job", "Resources", "register_executor"]

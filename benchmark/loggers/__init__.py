"""Where a run is logged besides its history; one module a destination, found by registration."""

from benchmark._discover import import_modules
from benchmark.loggers.base import LOGGERS, RunLogger, check_loggers, register_logger

import_modules("benchmark.loggers")

__all__ = ["LOGGERS", "RunLogger", "check_loggers", "register_logger"]

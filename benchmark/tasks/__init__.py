"""Tasks by name: what each adds to the training loop."""

from benchmark._discover import import_modules
from benchmark.tasks.base import TASKS, Batch, Task, register

import_modules(__name__)

__all__ = ["TASKS", "Batch", "Task", "register"]

"""Where cells run. :mod:`local` is a pool of processes on this machine."""

from benchmark.executors.base import Event, Executor, Job, Resources

__all__ = ["Event", "Executor", "Job", "Resources"]

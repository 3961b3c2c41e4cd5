"""Slurm itself: tasks in job arrays, by the commands that Slurm's users have."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from benchmark.executors.on_slurm.clusters import GONE, Cluster, register_cluster
from benchmark.executors.on_slurm.task import Task, python_command
from benchmark.options import UserError

TOO_MANY = re.compile("submit ?(job|limit)|temporarily unable", re.IGNORECASE)
"""In what Slurm says to more jobs than a user, or the cluster, may have at a time."""
TOO_MANY_HINT = "; executor.queued submits so many at a time"
COMMANDS = ("sbatch", "srun", "squeue", "scancel")


@register_cluster("slurm")
class SlurmCluster(Cluster):
    """Slurm, by the commands that its users have."""

    def check(self) -> None:
        missing = [name for name in COMMANDS if not shutil.which(name)]
        if missing:
            raise UserError(
                f"executor: this machine has no {', '.join(missing)}; start the experiment where "
                "jobs can be submitted to Slurm, or set executor.cluster=local to try it here"
            )
        asked = subprocess.run(["squeue", "--me"], capture_output=True, text=True, check=False)
        if asked.returncode:
            raise UserError(f"executor: Slurm does not answer: {_one_line(asked.stderr)}")

    def submit(self, tasks: list[Task], folder: Path) -> list[str]:
        size = _array_size()
        chunks = [tasks[start : start + size] for start in range(0, len(tasks), size)]
        # The arrays share the places; where there are fewer places, some arrays come after others.
        lanes = min(len(chunks), self.wishes.workers or len(chunks))
        tasks_of: list[list[str]] = []
        try:
            for number, chunk in enumerate(chunks):
                limit = len(chunk)
                if self.wishes.workers is not None:
                    limit = (self.wishes.workers + number % lanes) // lanes
                before = tasks_of[number - lanes][0] if number >= lanes else None
                tasks_of.append(self._submit_array(chunk, folder, limit, before))
        except UserError:
            self.cancel([task for tasks in tasks_of for task in tasks])
            raise
        return [task for tasks in tasks_of for task in tasks]

    def _submit_array(
        self, tasks: list[Task], folder: Path, limit: int, before: str | None
    ) -> list[str]:
        """One array, ``limit`` of its tasks at a time, when that of the task ``before`` is over."""
        import submitit
        from submitit.core.utils import FailedJobError

        wishes = self.wishes
        executor = submitit.SlurmExecutor(folder, wishes.retries, python=python_command())
        gpus = {"gpus_per_node": wishes.gpus} if wishes.gpus else {}
        memory = {} if wishes.memory is None else {"mem": f"{math.ceil(wishes.memory / 2**20)}M"}
        depends = {} if before is None else {"dependency": f"afterany:{before.partition('_')[0]}"}
        more = {key: value for key, value in wishes.sbatch.items() if value is not False}
        executor.update_parameters(
            job_name=folder.name,
            partition=wishes.partition,
            time=wishes.minutes,
            cpus_per_task=wishes.cpus,
            setup=wishes.setup,
            array_parallelism=limit,
            signal_delay_s=wishes.signal_delay,
            stderr_to_stdout=True,
            additional_parameters={"requeue": True, **more},
            **gpus,
            **memory,
            **depends,
        )
        try:
            with redirect_stderr(StringIO()):  # what sbatch says is in the error
                return [job.job_id for job in executor.submit_array(tasks)]
        except FailedJobError as error:
            said = _one_line(str(error))
            hint = TOO_MANY_HINT if TOO_MANY.search(said) else ""
            raise UserError(f"executor: Slurm refuses the runs: {said}{hint}") from None

    def states(self, names: set[str]) -> dict[str, str] | None:
        answer = _ask(
            "squeue", "--me", "-h", "-r", "-t", "all", "-o", "%i|%T", f"-n{','.join(names)}"
        )
        return None if answer is None else _pairs(answer)

    def last_state(self, task: str) -> str:
        answer = _ask("sacct", "-n", "-X", "-P", "-o", "JobID,State", "-j", task)
        # "CANCELLED by 1000"
        return _pairs(answer or "").get(task, GONE).split(" by ")[0]

    def cancel(self, tasks: list[str]) -> None:
        _ask("scancel", *tasks)


def _ask(*words: str) -> str | None:
    """The output of one of Slurm's commands, or None where it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _one_line(text: str) -> str:
    return "; ".join(text.strip().splitlines())


def _pairs(listing: str) -> dict[str, str]:
    """``id|state`` a line."""
    lines = (line.partition("|") for line in listing.splitlines())
    return {task: state for task, _, state in lines}


def _array_size() -> int:
    """The most tasks that Slurm takes in one array; 1000 where it does not say."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config") or "")
    return max(1, int(found[1])) if found else 1000

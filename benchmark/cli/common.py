"""What the commands share: the application, arguments of several, how errors are reported."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.cli.terminal import PlainConsole

app = typer.Typer(
    help="Which loss should I train my detector or segmenter with, and is the difference real?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = PlainConsole(highlight=False)
DATA_VARIABLE = "LOSSBENCH_DATA"  # as in datasets.base, which takes long to import
errors = PlainConsole(stderr=True, highlight=False, soft_wrap=True)


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Config = Annotated[
    str, typer.Argument(help="A YAML file, or the name of a shipped experiment (see `list`).")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Overrides such as train.epochs=4 or matrix.boxes.repetitions=2."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Runs at a time; default: the number of cores.")
]
GpuShare = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-run", help="Share of a GPU that each run takes: 0.25 lets four share one."
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        help="Main memory that each run takes, such as 2GB: a run waits while less is free. "
        "Default: as measured of the runs before it."
    ),
]
Timeout = Annotated[
    str | None, typer.Option(help="End a run that takes longer, such as 45m or 2h, as failed.")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to train.")]
ExecutorName = Annotated[
    str | None,
    typer.Option(help="What trains the runs: local (default), ray or slurm; see the README."),
]
Nice = Annotated[int | None, typer.Option(help="Added to the niceness of local runs, 0 to 19.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads of each run.")]
Loaders = Annotated[int, typer.Option(min=0, help="Processes that load the samples of each run.")]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Forget what earlier runs of these cells left.")
]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="Submit the runs to Slurm and return; see `status --watch`."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the cells and their steps; train nothing.")
]
Cache = Annotated[
    Path | None,
    typer.Option(
        envvar="LOSSBENCH_CACHE",
        help="Folder of the decoded images; run and inspect keep them in results/.cache.",
    ),
]

Data = Annotated[
    Path | None,
    typer.Option(
        envvar=DATA_VARIABLE,
        help="Folder of the data sets; default: lossbench/datasets in the user's cache folder.",
    ),
]


def use_data(folder: Path | None) -> None:
    """Make a folder the data folder of this process and those that it starts."""
    if folder is not None:
        if folder.exists() and not folder.is_dir():
            from benchmark.options import UserError

            raise UserError(f"--data (or {DATA_VARIABLE}): {folder} is a file; name a folder")
        os.environ[DATA_VARIABLE] = str(folder.absolute())


def reports_user_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """A user's mistake ends with its message and exit code 2; Ctrl-C with 130."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        # Late: this module pulls in pydantic, which `--help` has no use for.
        from benchmark.options import UserError

        try:
            return command(*args, **kwargs)
        except UserError as error:
            errors.print(f"[red]error:[/] {_plain(error)}")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            errors.print("stopped")
            raise typer.Exit(130) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise  # who read the output has gone; Typer ends quietly
            reason = error.strerror or str(error) or type(error).__name__
            where = "" if error.filename is None else f"{error.filename}: "
            errors.print(f"[red]error:[/] {_plain(where + reason)}")
            raise typer.Exit(2) from None

    return guarded


def _plain(error: object) -> str:
    from rich.markup import escape

    return escape(str(error))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))

"""The command line: arguments in, calls out.

torch and all that needs it are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

app = typer.Typer(
    help="Which loss should I train my detector or segmenter with, and is the difference real?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Kind(StrEnum):
    losses = "losses"
    datasets = "datasets"
    models = "models"
    experiments = "experiments"


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
DeviceOption = Annotated[Device, typer.Option(help="Where to train.")]
Results = Annotated[Path, typer.Option(help="Folder that gets one folder an experiment.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        envvar="LOSSBENCH_CACHE",
        help="Folder of the decoded images; run and inspect keep them in results/.cache.",
    ),
]
StoreFolder = Annotated[Path, typer.Argument(help="Results folder of an experiment.")]


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
            errors.print("stopped; `run` continues where it was")
            raise typer.Exit(130) from None
        except OSError as error:
            if error.filename is None:
                raise
            errors.print(f"[red]error:[/] {_plain(error.filename)}: {_plain(error.strerror)}")
            raise typer.Exit(2) from None

    return guarded


def _plain(error: object) -> str:
    from rich.markup import escape

    return escape(str(error))


@app.command()
@reports_user_errors
def run(
    config: Config,
    overrides: Overrides = None,
    workers: Workers = None,
    device: DeviceOption = Device.auto,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each run.")] = 1,
    loaders: Annotated[
        int, typer.Option(min=0, help="Processes that load the samples of each run.")
    ] = 0,
    results: Results = Path("results"),
    cache: Cache = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what earlier runs of these cells left.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the cells and their steps; train nothing.")
    ] = False,
) -> None:
    """Train an experiment's grid and report it; running it again continues."""
    with console.status("reading the experiment"):
        from benchmark import commands, runner
        from benchmark.config import load_experiment

        grid = runner.plan_grid(load_experiment(config, overrides), results)
    if dry_run:
        commands.print_plan(console, grid)
        return
    failed = commands.run_grid(
        console,
        grid,
        workers=workers or len(os.sched_getaffinity(0)),
        device=runner.pick_device(device),
        threads=threads,
        loaders=loaders,
        cache=cache or results / ".cache",
        fresh=fresh,
    )
    if failed:
        raise typer.Exit(1)


@app.command()
@reports_user_errors
def report(
    folder: StoreFolder,
    baseline: Annotated[
        str | None, typer.Option(help="Loss that the others are compared with.")
    ] = None,
) -> None:
    """Collect the runs in FOLDER and write its tables and charts again."""
    from benchmark.reporting import write_report
    from benchmark.store import Store

    write_report(console, Store.existing(folder), baseline)


@app.command()
@reports_user_errors
def status(folder: StoreFolder) -> None:
    """Show what is done, running, or failed and why."""
    from benchmark.status import print_status
    from benchmark.store import Store

    if print_status(console, Store.existing(folder)):
        raise typer.Exit(1)


@app.command("list")
@reports_user_errors
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """List losses, data sets, models or experiments, with options and one line each."""
    from benchmark.listing import LISTINGS

    console.print(LISTINGS[kind]())


@app.command()
@reports_user_errors
def inspect(
    config: Config,
    overrides: Overrides = None,
    dataset: Annotated[
        str | None, typer.Option(help="Label of the data set; default: the first.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, val or test.")] = "train",
    out: Annotated[Path, typer.Option(help="Folder for the sheet and the tables.")] = Path(
        "results/inspect"
    ),
    cache: Cache = None,
) -> None:
    """Draw a data set as the model sees it, print its statistics, and list all bad files."""
    from benchmark import commands
    from benchmark.config import load_experiment

    sound = commands.inspect(
        console,
        load_experiment(config, overrides),
        dataset,
        split,
        out,
        cache or Path("results") / ".cache",
    )
    if not sound:
        raise typer.Exit(1)


@app.command()
@reports_user_errors
def reproduce(
    run_dir: Annotated[Path, typer.Argument(help="Folder of one run, with its config.yaml.")],
    device: Annotated[
        Device, typer.Option(help="Where to train; auto: on the kind of device it ran on then.")
    ] = Device.auto,
    cache: Cache = None,
) -> None:
    """Train one run again from its stored configuration and compare the metrics."""
    from benchmark.reproduction import reproduce as again

    if not again(console, run_dir, device, cache):
        raise typer.Exit(1)


@app.command()
@reports_user_errors
def bench(
    config: Config = "quickstart",
    overrides: Overrides = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each timed run; default: the experiment's.")
    ] = None,
    cache: Cache = None,
) -> None:
    """Measure throughput, scaling, process start and memory; print them as ratios."""
    from benchmark.bench import bench as measure
    from benchmark.config import load_experiment

    measure(console, load_experiment(config, overrides), epochs, cache)

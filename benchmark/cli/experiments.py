"""Commands on experiments: run them, report them, look at them, reproduce them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import (
    Cache,
    Config,
    Data,
    Detach,
    Device,
    DeviceOption,
    DryRun,
    ExecutorName,
    Fresh,
    GpuShare,
    Loaders,
    Memory,
    Nice,
    Overrides,
    Threads,
    Timeout,
    Workers,
    app,
    console,
    errors,
    reports_user_errors,
    use_data,
)


class Kind(StrEnum):
    losses = "losses"
    datasets = "datasets"
    models = "models"
    experiments = "experiments"
    peers = "peers"


class Part(StrEnum):
    """Parts of a report; those of :data:`benchmark.report.PARTS`."""

    tables = "tables"
    page = "page"
    json = "json"
    charts = "charts"


Parts = Annotated[
    list[Part] | None,
    typer.Option(
        "--report", help="A part of the report to write at the end; repeatable. Default: all."
    ),
]
Results = Annotated[Path, typer.Option(help="Folder that gets one folder an experiment.")]
StoreFolder = Annotated[Path, typer.Argument(help="Results folder of an experiment.")]


@app.command()
@reports_user_errors
def run(
    config: Config,
    overrides: Overrides = None,
    executor: ExecutorName = None,
    workers: Workers = None,
    device: DeviceOption = Device.auto,
    gpus_per_run: GpuShare = None,
    memory: Memory = None,
    timeout: Timeout = None,
    nice: Nice = None,
    threads: Threads = 1,
    loaders: Loaders = 0,
    results: Results = Path("results"),
    cache: Cache = None,
    data: Data = None,
    fresh: Fresh = False,
    detach: Detach = False,
    parts: Parts = None,
    dry_run: DryRun = False,
) -> None:
    """Train an experiment's grid and report it; running it again continues."""
    use_data(data)
    with console.status("reading the experiment"):
        from benchmark.experiment.config import load_experiment

        # Before torch loads: a mistake in the file is told at once.
        experiment = load_experiment(config, overrides, executor)

        from benchmark import commands, runner
        from benchmark.executors.choice import make_executor
        from benchmark.reporting import Choices

        given = {
            "workers": workers,
            "timeout": timeout,
            "nice": nice,
            "detach": detach or None,
            "resources.gpu": gpus_per_run,
            "resources.memory": memory,
        }
        trains = make_executor(experiment.executor, given, threads + loaders)
        grid = runner.plan_grid(experiment, results)
    if dry_run:
        commands.print_plan(console, grid)
        return
    try:
        on = commands.pick_device(trains, device)
        folder = cache or results / ".cache"
        machine = commands.Machine(trains, on, threads, loaders, folder, fresh)
        wanted = Choices(only=[part.value for part in parts or Part])
        failed = commands.run_grid(console, grid, machine, wanted)
    except KeyboardInterrupt as stop:
        for note in [*getattr(stop, "__notes__", []), "`run` continues where it was"]:
            errors.print(note)
        raise
    if failed:
        raise typer.Exit(1)


@app.command()
@reports_user_errors
def report(
    folders: Annotated[
        list[Path], typer.Argument(help="Results folders; several are merged into one report.")
    ],
    baseline: Annotated[
        str | None, typer.Option(help="Loss that the others are compared with.")
    ] = None,
    only: Annotated[
        list[Part] | None, typer.Option(help="A part to write; repeatable. Default: all.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write into; default: FOLDER, or results/A+B for several."),
    ] = None,
    bootstrap: Annotated[
        bool, typer.Option("--bootstrap", help="Show bootstrap intervals beside the t-intervals.")
    ] = False,
) -> None:
    """Collect the runs in FOLDERS and write their tables, page and charts again."""
    from benchmark.reporting import Choices, write_merged_report, write_report
    from benchmark.store import Store

    stores = [Store.existing(folder) for folder in folders]
    choices = Choices(baseline, [part.value for part in only or Part], out, bootstrap)
    if len(stores) == 1:
        write_report(console, stores[0], choices)
    else:
        write_merged_report(console, stores, choices)


@app.command()
@reports_user_errors
def index(
    folder: Annotated[Path, typer.Argument(help="Folder that holds folders with reports.")],
) -> None:
    """Write one page that lists every report in FOLDER, with what it found."""
    from benchmark.report.page.index import write_index

    console.print(f"index: {write_index(folder)}", soft_wrap=True)


@app.command()
@reports_user_errors
def power(
    folder: Annotated[
        Path | None, typer.Argument(help="Results folder whose spread is used; or give --sd.")
    ] = None,
    difference: Annotated[
        list[float] | None,
        typer.Option(help="Percentage points to find; repeatable. Default: 0.2, 0.5, 1 and 2."),
    ] = None,
    power: Annotated[float, typer.Option(help="Probability to find it.")] = 0.8,
    baseline: Annotated[
        str | None, typer.Option(help="Loss that the others are compared with.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Column of the runs; default: the task's primary metric.")
    ] = None,
    sd: Annotated[
        float | None,
        typer.Option(help="Standard deviation of the paired differences, in percentage points."),
    ] = None,
    repetitions: Annotated[
        int | None, typer.Option(min=2, help="Repetitions that --sd comes from.")
    ] = None,
) -> None:
    """Tell which differences the repetitions could detect, and how many a difference needs."""
    from benchmark.options import UserError

    if (folder is None) == (sd is None):
        raise UserError("power: give a results folder or --sd, and not both")
    from benchmark.power import DIFFERENCES, Question, power_of_folder, power_of_spread

    question = Question(tuple(difference or DIFFERENCES), power)
    if folder is not None:
        if repetitions is not None:
            raise UserError("power: --repetitions goes with --sd; a folder's are counted")
        power_of_folder(console, folder, question, baseline, metric)
        return
    if baseline is not None or metric is not None:
        raise UserError("power: --baseline and --metric choose among runs; they need a folder")
    assert sd is not None
    power_of_spread(console, sd, repetitions, question)


@app.command()
@reports_user_errors
def status(
    folder: StoreFolder,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep showing what is at work until nothing is.")
    ] = False,
) -> None:
    """Show what is done, running, or failed and why."""
    from benchmark.store import Store

    if watch:
        from benchmark.console.watching import watch_status

        watch_status(console, Store.existing(folder))
        return
    from benchmark.console.status import print_status

    if print_status(console, Store.existing(folder)):
        raise typer.Exit(1)


@app.command("list")
@reports_user_errors
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """List losses, data sets, models, experiments, or the public losses (peers) and ours."""
    from benchmark.console.listing import LISTINGS

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
    data: Data = None,
) -> None:
    """Draw a data set as the model sees it, print its statistics, and list all bad files."""
    use_data(data)
    from benchmark.experiment.config import load_experiment

    experiment = load_experiment(config, overrides)

    from benchmark import commands

    folder = cache or Path("results") / ".cache"
    sound = commands.inspect(console, experiment, dataset, split, out, folder)
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
    data: Data = None,
) -> None:
    """Train one run again from its stored configuration and compare the metrics."""
    use_data(data)
    from benchmark.reproduction.again import reproduce as again

    if not again(console, run_dir, device, cache):
        raise typer.Exit(1)

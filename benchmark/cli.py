"""The command line: arguments in, calls out.

torch and all that needs it are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import shlex
import sys
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
bench_app = typer.Typer(
    help="Measure the harness or the losses.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(bench_app, name="bench")
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
    peers = "peers"


class Part(StrEnum):
    """Parts of a report; those of :data:`benchmark.report.PARTS`."""

    tables = "tables"
    page = "page"
    json = "json"
    charts = "charts"


class LossKind(StrEnum):
    box = "box"
    mask = "mask"


class Gradient(StrEnum):
    exact = "exact"
    published = "published"


class Along(StrEnum):
    cxcywh = "cxcywh"
    xyxy = "xyxy"


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
            errors.print("stopped")
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
    try:
        machine = commands.Machine(
            workers=workers or len(os.sched_getaffinity(0)),
            device=runner.pick_device(device),
            threads=threads,
            loaders=loaders,
            cache=cache or results / ".cache",
            fresh=fresh,
        )
        failed = commands.run_grid(console, grid, machine)
    except KeyboardInterrupt:
        errors.print("`run` continues where it was")
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
def status(folder: StoreFolder) -> None:
    """Show what is done, running, or failed and why."""
    from benchmark.status import print_status
    from benchmark.store import Store

    if print_status(console, Store.existing(folder)):
        raise typer.Exit(1)


@app.command("list")
@reports_user_errors
def list_(kind: Annotated[Kind, typer.Argument(help="What to list.")]) -> None:
    """List losses, data sets, models, experiments, or the public losses (peers) and ours."""
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


@bench_app.command("harness")
@reports_user_errors
def bench_harness(
    config: Config = "quickstart",
    overrides: Overrides = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each timed run; default: the experiment's.")
    ] = None,
    cache: Cache = None,
) -> None:
    """Measure throughput, scaling, process start and memory; print them as ratios."""
    from benchmark.bench.harness import bench
    from benchmark.config import load_experiment

    bench(console, load_experiment(config, overrides), epochs, cache)


@bench_app.command("losses")
@reports_user_errors
def bench_losses(
    losses: Annotated[
        str | None, typer.Option(help="Registered names, as in giou,dice; default: all.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Boxes and mask shapes, as in 1000,8x1x256x256.")
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="Numbers of CPU threads, as in 1,4; default: 1 and all.")
    ] = None,
    device: DeviceOption = Device.auto,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Measure under torch.compile as well.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small sizes, few rounds, 1 thread: seconds a loss.")
    ] = False,
    page_only: Annotated[
        bool, typer.Option("--page-only", help="Write the pages in --out again; measure nothing.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for the CSV and the pages.")] = Path(
        "results/bench_losses"
    ),
) -> None:
    """Measure time and memory of the losses beside the same ones of public projects."""
    if page_only:
        from benchmark.bench.page import write_pages

        write_pages(out)
        return
    from benchmark.bench.losses import bench_losses as measure
    from benchmark.bench.losses import make_plan

    plan = make_plan(losses, sizes, threads, device, compiled=compiled, quick=quick)
    measure(console, plan, out, shlex.join(["python3", *sys.argv]))


@bench_app.command("report")
@reports_user_errors
def bench_report(
    quick: Annotated[bool, typer.Option("--quick", help="The 100 runs only.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the CSV and the page.")] = Path(
        "results/bench_report"
    ),
) -> None:
    """Measure time and memory of the reports of 100 and of 1,000 invented runs."""
    from benchmark.bench.report import SIZES, bench

    bench(console, SIZES[:1] if quick else SIZES, out, shlex.join(["python3", *sys.argv]))


@bench_app.command("coverage")
@reports_user_errors
def bench_coverage(
    experiments: Annotated[
        int, typer.Option(min=100, help="Of each kind; a tenth as many for the bootstrap.")
    ] = 40_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the experiments drawn.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the CSV, the charts and the page.")] = Path(
        "results/coverage"
    ),
) -> None:
    """Check by simulation that the intervals hold the truth as often as they say."""
    from benchmark.coverage.command import bench
    from benchmark.coverage.simulation import Settings

    settings = Settings(experiments=experiments, resampled=max(100, experiments // 10), seed=seed)
    bench(console, settings, out, shlex.join(["python3", *sys.argv]))


@app.command()
@reports_user_errors
def curves(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(help="Pictures to draw; default: all of the kind, or of the given losses."),
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(help="A loss to draw beside ours, such as 'my_loss.py:MyLoss'; repeatable."),
    ] = None,
    kind: Annotated[
        LossKind | None, typer.Option(help="Draw this kind only, and take --loss to be of it.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("results/curves"),
) -> None:
    """Draw value and gradient of the losses: PNG, SVG, CSV, and a page that explains them."""
    with console.status("drawing"):
        from benchmark.curves.write import draw

        draw(console, pictures or [], loss or [], kind.value if kind else None, out)


@app.command()
@reports_user_errors
def simulate(
    losses: Annotated[
        list[str] | None,
        typer.Argument(help="Box losses, also 'my_loss.py:MyLoss'; default: iou giou diou ciou."),
    ] = None,
    gradient: Annotated[
        Gradient, typer.Option(help="Of the loss itself, or as in the DIoU authors' script.")
    ] = Gradient.exact,
    steps: Annotated[
        Along, typer.Option(help="What is descended: centre and size, or corners.")
    ] = Along.cxcywh,
    points: Annotated[
        int, typer.Option(min=1, help="Anchor centres, 343 cases each; the paper has 5000.")
    ] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="Of the anchor centres.")] = 0,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.auto,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, on a CPU; default: the number of cores.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the tables, charts and page.")] = Path(
        "results/simulation"
    ),
    film: Annotated[bool, typer.Option("--film", help="Draw one case as a GIF too.")] = False,
    compare_plain: Annotated[
        bool, typer.Option("--compare-plain", help="Time the loop beside a plain autograd loop.")
    ] = False,
) -> None:
    """Move boxes to targets by descent on a loss alone: the DIoU paper's experiment."""
    with console.status("starting"):
        from benchmark.runner import pick_device
        from benchmark.simulation import command
        from benchmark.simulation.experiment import Settings

        settings = Settings(gradient.value, steps.value, points, seed, pick_device(device))
    command.run(
        console,
        losses or ["iou", "giou", "diou", "ciou"],
        settings,
        workers=workers or len(os.sched_getaffinity(0)),
        out=out,
        film=film,
        compare=compare_plain,
    )


@app.command("check-loss")
@reports_user_errors
def check_loss(
    spec: Annotated[
        str | None,
        typer.Argument(
            help="A loss: ciou, '{name: focal, gamma: 5}', my_loss.py:MyLoss, or "
            "torchvision.ops:complete_box_iou_loss."
        ),
    ] = None,
    kind: Annotated[
        LossKind | None, typer.Option(help="What it is a loss of; default: found out by calling.")
    ] = None,
    speed: Annotated[bool, typer.Option(help="Time it beside torchvision's losses.")] = True,
    csv: Annotated[Path | None, typer.Option(help="File that gets the table as well.")] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Instead of one loss, compare ours and the public ones in this folder."),
    ] = None,
) -> None:
    """Check a loss, ours or anybody's: values, gradients, edge cases, types, batches, speed."""
    from benchmark.options import UserError

    if (spec is None) == (page is None):
        raise UserError("check-loss: give a loss to check, or --page FOLDER, and not both")
    if page is not None:
        if kind is not None or csv is not None:
            raise UserError("check-loss: --page compares all losses; it goes with no other option")
        from benchmark.conformance_page import write_page

        write_page(console, page)
        return
    from benchmark.check_loss import check_loss as report

    assert spec is not None
    if not report(console, spec, kind.value if kind else None, speed=speed, csv=csv):
        raise typer.Exit(1)

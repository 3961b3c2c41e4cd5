"""Commands that measure: the harness, the losses, the report, the statistics."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import (
    Cache,
    Config,
    Device,
    DeviceOption,
    Overrides,
    console,
    cores,
    reports_user_errors,
)

app = typer.Typer(
    help="Measure the harness, the losses, the report or the statistics.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command("harness")
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
    from benchmark.experiment.config import load_experiment

    bench(console, load_experiment(config, overrides), epochs, cache)


@app.command("losses")
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


@app.command("report")
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


@app.command("training")
@reports_user_errors
def bench_training(
    root: Annotated[
        str, typer.Option(help="Data set in Pascal VOC layout; relative: as in experiment files.")
    ] = "bccd/BCCD",
    images: Annotated[int, typer.Option(min=0, help="Training images an epoch; 0 for all.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each run.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side.")] = 3,
    size: Annotated[
        str, typer.Option(help="Height x width of the images, at least 32.")
    ] = "240x320",
    batch: Annotated[int, typer.Option(min=1, help="Images of a step.")] = 8,
    channels: Annotated[int, typer.Option(help="Of the detector's pyramid and head.")] = 256,
    convolutions: Annotated[int, typer.Option(help="In each branch of the head.")] = 4,
    stride: Annotated[int, typer.Option(help="Of the pyramid's first level: 8, 16 or 32.")] = 16,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    loaders: Annotated[
        int, typer.Option(min=0, help="Processes that load samples, ours and the other's.")
    ] = 0,
    evaluator: Annotated[
        str, typer.Option(help="Of our side, as in experiment files: pycocotools or faster.")
    ] = "pycocotools",
    device: DeviceOption = Device.auto,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the CSV and the page; default: none.")
    ] = None,
) -> None:
    """Measure the training of a real detector beside a plain loop and beside its bare steps."""
    from benchmark.bench.training import Plan, parse_size
    from benchmark.bench.training import bench as measure
    from benchmark.runner import pick_device

    plan = Plan(
        root=root,
        images=images,
        epochs=epochs,
        rounds=rounds,
        threads=threads or cores(),
        loaders=loaders,
        device=pick_device(device),
        evaluator=evaluator,
        image_size=parse_size(size),
        batch_size=batch,
        model={"channels": channels, "convolutions": convolutions, "finest_stride": stride},
    )
    measure(console, plan, out, shlex.join(["python3", *sys.argv]))


@app.command("evaluator")
@reports_user_errors
def bench_evaluator(
    quick: Annotated[bool, typer.Option("--quick", help="The smallest set only.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the CSV and the page.")] = Path(
        "results/bench_evaluator"
    ),
) -> None:
    """Measure how long the engines of average precision take over the same detections."""
    from benchmark.bench.evaluator import QUICK, SIZES, bench

    bench(console, QUICK if quick else SIZES, out, shlex.join(["python3", *sys.argv]))


@app.command("reproduction")
@reports_user_errors
def bench_reproduction(
    base: Annotated[Path, typer.Argument(help="Results folder of an experiment.")],
    others: Annotated[
        list[Path], typer.Argument(help="Results folders of the same runs in other environments.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the tolerances and the page.")] = Path(
        "results/bench_reproduction"
    ),
) -> None:
    """Measure how far results lie apart between environments: the tolerance of `reproduce`."""
    from benchmark.bench.reproduction import bench

    bench(console, base, others, out, shlex.join(["python3", *sys.argv]))


@app.command("coverage")
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


@app.command("scale")
@reports_user_errors
def bench_scale(
    cells: Annotated[
        int, typer.Option(help="Runs of the largest folder: 100, 1000 or 10000.")
    ] = 10_000,
    out: Annotated[Path, typer.Option(help="Folder for the CSV files and the page.")] = Path(
        "results/bench_scale"
    ),
) -> None:
    """Measure plan, status and report on folders of up to 10,000 invented runs."""
    from benchmark.bench.scale import bench, sizes_up_to

    bench(console, sizes_up_to(cells), out, shlex.join(["python3", *sys.argv]))


@app.command("faults")
@reports_user_errors
def bench_faults(
    kills: Annotated[int, typer.Option(min=1, help="How often something is killed.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of victims and moments.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Of each run.")] = 6,
    repetitions: Annotated[int, typer.Option(min=1, help="Of each of the four losses.")] = 4,
    workers: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 2,
    out: Annotated[Path, typer.Option(help="Folder for the CSV files and the page.")] = Path(
        "results/bench_faults"
    ),
) -> None:
    """Kill a small grid at random moments, again and again; its numbers must not change."""
    from benchmark.bench.faults import bench
    from benchmark.bench.faults_rows import Plan

    plan = Plan(kills, seed, epochs, repetitions, workers)
    if not bench(console, plan, out, shlex.join(["python3", *sys.argv])):
        raise typer.Exit(1)


@app.command("ray")
@reports_user_errors
def bench_ray(
    config: Config = "quickstart",
    overrides: Overrides = None,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes that train.")] = 3,
    kills: Annotated[int, typer.Option(min=0, help="Nodes killed in mid-run.")] = 1,
    shared: Annotated[
        bool, typer.Option(help="Whether the nodes are to see the results folder.")
    ] = True,
    against: Annotated[
        Path, typer.Option(help="Results of the same experiment to compare with.")
    ] = Path("results/reference/quickstart"),
    out: Annotated[Path, typer.Option(help="Folder that gets the experiment's folder.")] = Path(
        "results/bench_ray"
    ),
) -> None:
    """Run an experiment on a Ray cluster on this machine, kill a node, compare the numbers."""
    from benchmark.bench.ray.page import Plan
    from benchmark.bench.ray.run import bench

    plan = Plan(nodes, kills, shared)
    command = shlex.join(["python3", *sys.argv])
    if not bench(console, config, overrides or [], plan, against, out, command):
        raise typer.Exit(1)

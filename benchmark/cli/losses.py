"""Commands on losses: check one, watch it move boxes, draw it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import Device, app, console, cores, reports_user_errors


class LossKind(StrEnum):
    box = "box"
    mask = "mask"


class Gradient(StrEnum):
    exact = "exact"
    published = "published"


class Along(StrEnum):
    cxcywh = "cxcywh"
    xyxy = "xyxy"


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
        workers=workers or cores(),
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

"""The command line: arguments in, calls out.

torch and all that needs it are imported inside the commands, so that ``--help`` answers at once.
"""

from benchmark.cli import bench, data, experiments, losses
from benchmark.cli.common import app

app.add_typer(bench.app, name="bench")

__all__ = ["app", "bench", "data", "experiments", "losses"]

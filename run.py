"""The command line's door: `python3 run.py --help`."""

from benchmark.cli import app

if __name__ == "__main__":
    app(prog_name="run.py")

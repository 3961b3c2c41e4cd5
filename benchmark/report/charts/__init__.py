"""Charts as PNG, SVG and PDF, sized for the columns of a journal."""

from benchmark.report.charts.base import LeftOut
from benchmark.report.charts.write import CHARTS, FORMATS, write_charts

__all__ = ["CHARTS", "FORMATS", "LeftOut", "write_charts"]

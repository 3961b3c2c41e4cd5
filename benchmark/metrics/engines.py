"""The programs that compute average precision, by name; they give the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmark.options import UserError

PYCOCOTOOLS = "pycocotools"
EXTRA = "faster"
"""The extra of this project that installs faster-coco-eval."""


@dataclass(frozen=True)
class Engine:
    """Two classes that are used as pycocotools' own are.

    Attributes:
        package: that they come from.
        coco: an index of annotations, ``pycocotools.coco.COCO``.
        evaluation: ``pycocotools.cocoeval.COCOeval``.
    """

    package: str
    coco: type[Any]
    evaluation: type[Any]


def _pycocotools() -> Engine:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return Engine("pycocotools", COCO, COCOeval)


def _faster() -> Engine:
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        raise UserError(
            "evaluator: 'faster' needs the package faster-coco-eval, which is not installed; "
            "an extra of this project: "
            f'python3 -m pip install -e ".[{EXTRA}]" -c constraints.txt; or leave the key out for '
            f"{PYCOCOTOOLS}"
        ) from None
    return Engine("faster-coco-eval", COCO, COCOeval_faster)


ENGINES: dict[str, Callable[[], Engine]] = {PYCOCOTOOLS: _pycocotools, "faster": _faster}
"""Name in experiment files -> what imports the program.

Raises :class:`benchmark.options.UserError` where it is not installed.
"""

"""What a loss must satisfy, checked on any loss, ours or a stranger's.

::

    from losses.conformance import check

    for finding in check(MyLoss(beta=2.0)):
        print(finding.check, finding.level, finding.status, finding.detail)

Losses of other projects are wrapped by :func:`losses.adapters.adapt` first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..base import BoxLoss, MaskLoss
from . import costs, gradients, usage
from .findings import CHECKS, AnyLoss, Check, Finding, Level, Status

__all__ = ["CHECKS", "Check", "Finding", "Level", "Status", "check", "costs", "gradients", "usage"]


def check(loss: AnyLoss, *, skip: Collection[str] = ()) -> Iterator[Finding]:
    """Run every check that has a meaning for ``loss`` and yield its finding.

    An exception that the loss raises is a finding, not an error. What the loss remembers between
    calls is left as it was.

    Args:
        skip: names of checks (keys of :data:`CHECKS`) to leave out.

    Raises:
        TypeError: ``loss`` is neither a box loss nor a mask loss.
        ValueError: there is no check of a name in ``skip``.
    """
    if not isinstance(loss, BoxLoss | MaskLoss):
        raise TypeError(f"expected an instance of BoxLoss or MaskLoss, got {loss!r}")
    unknown = set(skip) - set(CHECKS)
    if unknown:
        raise ValueError(f"no check {', '.join(sorted(unknown))}; there are: {', '.join(CHECKS)}")
    for name, one in CHECKS.items():
        if name not in skip and one.applies(loss):
            yield one(loss)

"""When a loss that remembers earlier calls may learn from one."""

from __future__ import annotations

import torch
from torch import Tensor


def is_training_step(pred: Tensor) -> bool:
    """Whether a gradient of ``pred`` is wanted, by a call that may leave something behind.

    A function that ``torch.func`` transforms may not: False there, and for empty input.
    """
    wanted = torch.is_grad_enabled() and pred.requires_grad and pred.numel() > 0
    # torch has no public name for this question, and torch.compile cannot record it.
    return wanted and (
        torch.compiler.is_compiling() or not torch._C._are_functorch_transforms_active()
    )

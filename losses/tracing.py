"""Whether somebody looks into a loss, so that the short cut past autograd must not be taken."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_plain(pred: Tensor, target: Tensor) -> bool:
    """Whether the loss of ``pred`` must consist of ordinary operations of torch.

    That is so under ``torch.compile`` and ``torch.func``, in forward-mode differentiation, for
    subclasses of tensors, and where the target wants a gradient.
    """
    return (
        torch.compiler.is_compiling()
        # What torch.autograd.Function.apply itself asks; torch has no public name for it.
        or torch._C._are_functorch_transforms_active()
        or target.requires_grad
        or type(pred) not in (Tensor, torch.nn.Parameter)
        or forward_ad.unpack_dual(pred).tangent is not None
    )

"""The inputs that losses are checked on; the same numbers in every run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """One call of a loss.

    Attributes:
        name: what is special about it, as tables show it.
        pred: boxes ``[N, 4]`` or logits ``[N, C, H, W]``.
        target: the same shape.
        valid: bool ``[N, 1, H, W]`` for mask losses.
    """

    name: str
    pred: Tensor
    target: Tensor
    valid: Tensor | None = None

    @property
    def rest(self) -> tuple[Tensor, ...]:
        """What the loss takes after the prediction."""
        return (self.target,) if self.valid is None else (self.target, self.valid)

    def to(self, dtype: torch.dtype) -> Case:
        return replace(self, pred=self.pred.to(dtype), target=self.target.to(dtype))

    def at(self, pred: Tensor) -> Case:
        """The same case with another prediction."""
        return replace(self, pred=pred)

    def items(self) -> Iterator[Case]:
        """Each pair or image as a case of its own."""
        for i in range(len(self.pred)):
            valid = None if self.valid is None else self.valid[i : i + 1]
            yield Case(self.name, self.pred[i : i + 1], self.target[i : i + 1], valid)


class Cases(ABC):
    """The inputs for one kind of loss. Random ones are drawn from a fixed seed."""

    unit: float
    """A change of the prediction that is small, yet well above rounding in float64."""

    @abstractmethod
    def ordinary(self) -> Case:
        """Random predictions from good to bad, off the kinks that losses have."""

    @abstractmethod
    def perfect(self) -> list[Case]:
        """Predictions that could not be better."""

    @abstractmethod
    def worsening(self) -> list[Case]:
        """Predictions that are clearly better than the next."""

    @abstractmethod
    def best(self, case: Case) -> Tensor:
        """Where the prediction of an ordinary case should end."""

    @abstractmethod
    def degenerate(self) -> list[Case]:
        """Inputs at the edge of what is defined; the loss must be finite on them."""

    @abstractmethod
    def stuck(self) -> list[Case]:
        """Bad predictions that need a gradient to improve."""

    @abstractmethod
    def large(self) -> Case:
        """An input of common size on which half precision overflows if squared or summed."""

    def empty(self) -> Case:
        """No pairs or images at all."""
        case = self.ordinary()
        valid = None if case.valid is None else case.valid[:0]
        return Case("empty input", case.pred[:0], case.target[:0], valid)


TARGET = (10.0, 20.0, 50.0, 60.0)

ODD_BOXES = {
    "zero size": (30.0, 30.0, 30.0, 30.0),
    "zero size on a corner": (10.0, 20.0, 10.0, 20.0),
    "zero size outside": (90.0, 90.0, 90.0, 90.0),
    "zero width": (30.0, 25.0, 30.0, 55.0),
    "zero height": (15.0, 40.0, 45.0, 40.0),
    "inverted": (50.0, 60.0, 10.0, 20.0),
    "inverted in x": (50.0, 20.0, 10.0, 60.0),
    "inverted outside": (140.0, 140.0, 100.0, 100.0),
    "touching": (50.0, 20.0, 90.0, 60.0),
    "disjoint": (100.0, 100.0, 140.0, 140.0),
    "a millionth of a pixel": (30.0, 30.0, 30.000002, 30.000002),
    "thin": (-5000.0, 40.0, 5000.0, 40.01),
    "huge": (-1e8, -1e8, 1e8, 1e8),
    "far away": (1e8, 1e8, 2e8, 2e8),
    "far away and inverted": (2e8, 2e8, 1e8, 1e8),
}
"""Boxes that are degenerate, or far from the target."""

STUCK_BOXES = {
    "disjoint": (100.0, 100.0, 140.0, 140.0),
    "far": (10000.0, 10000.0, 10040.0, 10040.0),
    "enclosed": (20.0, 30.0, 30.0, 40.0),
    "enclosing": (0.0, 0.0, 100.0, 100.0),
    "zero size": (30.0, 35.0, 30.0, 35.0),
    "zero height": (15.0, 35.0, 45.0, 35.0),
    "inverted": (52.0, 61.0, 12.0, 23.0),
}
"""Predictions for the target that have to find their way."""


class BoxCases(Cases):
    """Boxes x1, y1, x2, y2 in pixels; most of them against one target of 40 × 40 px."""

    unit = 1e-3

    def ordinary(self) -> Case:
        random = torch.Generator().manual_seed(0)
        target = self._random(24, random)
        size = (target[:, 2:] - target[:, :2]).repeat(1, 2)
        near = target + 0.2 * size * (torch.rand(24, 4, generator=random) - 0.5)
        pred = torch.cat([near[:16], self._random(8, random)])
        return Case("random boxes", pred, target)

    def perfect(self) -> list[Case]:
        target = torch.tensor([TARGET])
        sizes = {"40 px": target, "0.06 px": target / 640, "40 px, far from 0": target + 1000}
        return [Case(f"match of {name}", box, box) for name, box in sizes.items()]

    def worsening(self) -> list[Case]:
        target = torch.tensor([TARGET])
        return [Case(f"shift of {by} px", target + by, target) for by in (0, 2, 8, 20)]

    def best(self, case: Case) -> Tensor:
        return case.target

    def degenerate(self) -> list[Case]:
        plain = torch.tensor([TARGET])
        cases = [Case("identical", plain, plain)]
        for name, numbers in ODD_BOXES.items():
            box = torch.tensor([numbers])
            cases.append(Case(f"prediction {name}", box, plain))
        for name, numbers in ODD_BOXES.items():
            box = torch.tensor([numbers])
            cases += [Case(f"target {name}", plain, box), Case(f"both {name}", box, box)]
        return cases

    def stuck(self) -> list[Case]:
        target = torch.tensor([TARGET])
        return [Case(name, torch.tensor([box]), target) for name, box in STUCK_BOXES.items()]

    def large(self) -> Case:
        whole = [0.0, 0.0, 640.0, 640.0]
        target = torch.tensor([whole, whole, [8.0, 8.0, 616.0, 632.0]])
        pred = torch.tensor([whole, [320.0, 160.0, 640.0, 480.0], [4.0, 4.0, 600.0, 640.0]])
        return Case("boxes of 640 px", pred, target)

    @staticmethod
    def _random(n: int, random: torch.Generator) -> Tensor:
        centre = 640 * torch.rand(n, 2, generator=random)
        size = 8 + 248 * torch.rand(n, 2, generator=random)
        return torch.cat([centre - size / 2, centre + size / 2], 1)


class DeltaCases(Cases):
    """Encoded boxes: four numbers around 0, of which only the difference counts."""

    unit = 1e-5

    def ordinary(self) -> Case:
        random = torch.Generator().manual_seed(0)
        target = torch.randn(24, 4, generator=random)
        return Case("random deltas", target + torch.randn(24, 4, generator=random), target)

    def perfect(self) -> list[Case]:
        target = torch.tensor([[0.5, -1.0, 0.25, 2.0], [0.0, 0.0, 0.0, 0.0]])
        return [Case("match", target, target)]

    def worsening(self) -> list[Case]:
        target = torch.tensor([[0.5, -1.0, 0.25, 2.0]])
        return [Case(f"off by {by}", target + by, target) for by in (0, 0.1, 0.5, 3)]

    def best(self, case: Case) -> Tensor:
        return case.target

    def degenerate(self) -> list[Case]:
        target = torch.tensor([[0.5, -1.0, 0.25, 2.0]])
        zero = torch.zeros(1, 4)
        return [
            Case("identical", target, target),
            Case("both 0", zero, zero),
            Case("off by 1e-10", zero + 1e-10, zero),
            Case("off by 1e-30", zero + 1e-30, zero),
            Case("off by 1e4", target + 1e4, target),
            Case("off by -1e8", target - 1e8, target),
        ]

    def stuck(self) -> list[Case]:
        zero = torch.zeros(1, 4)
        return [Case("near", zero + 1e-3, zero), Case("far", zero + 1e4, zero)]

    def large(self) -> Case:
        target = torch.zeros(2, 4)
        pred = torch.tensor([[100.0, 100.0, 100.0, 100.0], [0.5, -1.0, 0.25, 2.0]])
        return Case("deltas of 100", pred, target)


@dataclass(frozen=True)
class MaskCases(Cases):
    """Logits and exclusive masks of 12 × 12 pixels.

    Attributes:
        classes: number of classes besides the background.
    """

    classes: int

    unit = 1e-4

    def targets(self, n: int = 4, size: int = 12) -> Tensor:
        """``[n, C, size, size]``: a rectangle for each class, another size in every image."""
        target = torch.zeros(n, self.classes, size, size)
        half = size // 2
        for i in range(n):
            target[i, 0, : half - i % 3, : half - i % 2] = 1
            for c in range(1, self.classes):
                target[i, c, half + i % 2 :, half + c - 1 :] = 1
        return target

    def case(self, name: str, pred: Tensor, target: Tensor) -> Case:
        return Case(name, pred, target, torch.ones_like(target[:, :1], dtype=torch.bool))

    def ordinary(self) -> Case:
        random = torch.Generator().manual_seed(0)
        target = self.targets()
        noise = torch.randn(target.shape, generator=random)
        # Images of unlike difficulty: the loss of their union is then not the mean of their losses.
        spread = torch.tensor([0.5, 1.5, 2.5, 4.0]).reshape(-1, 1, 1, 1)
        return self.case("random masks", spread * noise + 2 * target - 1, target)

    def perfect(self) -> list[Case]:
        target = self.targets()
        return [self.case("certain and right", target * 80 - 40, target)]

    def worsening(self) -> list[Case]:
        target = self.targets()
        return [
            self.case(f"logits of {level} times the truth", (2 * target - 1) * level, target)
            for level in (6, 2, 0.5, -2)
        ]

    def best(self, case: Case) -> Tensor:
        return 12 * case.target - 6

    def degenerate(self) -> list[Case]:
        some = self.targets(1)
        targets = {"some": some, "empty": torch.zeros_like(some), "full": self._full(some)}
        cases = []
        for name, target in targets.items():
            right = 2 * target - 1
            scores = {
                "right, 40": 40 * right,
                "right, 65504": 65504 * right,
                "all 0": torch.zeros_like(target),
                "all +65504": torch.full_like(target, 65504),
                "all -65504": torch.full_like(target, -65504),
                "wrong, 1e4": -1e4 * right,
            }
            cases += [
                self.case(f"{name} target; logits {how}", pred, target)
                for how, pred in scores.items()
            ]
        one = torch.ones(1, self.classes, 1, 1) * (torch.arange(self.classes) == 0)[:, None, None]
        cases.append(self.case("image of one pixel; logits right, 4", 8 * one - 4, one))
        return cases

    def stuck(self) -> list[Case]:
        some = self.targets(1)
        empty, full = torch.zeros_like(some), self._full(some)
        speck = torch.zeros_like(some)
        speck[:, 0, 5, 5] = 1
        return [
            self.case("all wrong", -4 * (2 * some - 1), some),
            self.case("certain and wrong", -50 * (2 * some - 1), some),
            self.case("small object missed", speck - 5, speck),
            self.case("empty target", empty + 2, empty),
            self.case("full target", full - 2, full),
        ]

    def large(self) -> Case:
        target = torch.zeros(1, 1, 272, 272)
        target[:, :, :, 8:] = 1  # 71808 pixels, more than float16 can count
        return self.case("272 × 272 px, mostly foreground", 6 * target - 3, target)

    @staticmethod
    def _full(target: Tensor) -> Tensor:
        full = torch.zeros_like(target)
        full[:, 0] = 1
        return full

"""Pictures of what each loss does. A new one is a new function that registers itself."""

from benchmark._discover import import_modules
from benchmark.curves.base import PICTURES, Drawing, Picture, register

import_modules(__name__)

__all__ = ["PICTURES", "Drawing", "Picture", "register"]

"""Import the modules of a package, so that what they register is known."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, MutableMapping
from typing import Generic, TypeVar

T = TypeVar("T")


def import_modules(*packages: str, those: Callable[[str], bool] = lambda name: True) -> None:
    """Import each module directly inside each of the packages.

    Args:
        those: whether a module is wanted, by its name inside the package.
    """
    for package in packages:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if those(module.name):
                importlib.import_module(f"{package}.{module.name}")


class LazyRegister(MutableMapping[str, T], Generic[T]):
    """Things by name, whose modules are imported when somebody asks for them.

    A name is looked for in the modules that it begins with (``ssd300`` in ``ssd.py``), then in
    all; so a file named like what it registers spares everybody else its import.

    Args:
        kind: what they are called, in the plural.
        packages: those whose modules register something.
    """

    def __init__(self, kind: str, *packages: str) -> None:
        self._kind, self._packages = kind, packages
        self._known: dict[str, T] = {}

    def add(self, name: str, thing: T) -> None:
        """Register a thing; imports nothing, as the modules themselves call it.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._known:
            raise ValueError(f"two {self._kind} are registered as '{name}'")
        self._known[name] = thing

    def __getitem__(self, name: str) -> T:
        if name not in self._known:
            import_modules(*self._packages, those=name.startswith)
        return self._known[name] if name in self._known else self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __setitem__(self, name: str, thing: T) -> None:
        self._known[name] = thing

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def _all(self) -> dict[str, T]:
        import_modules(*self._packages)
        return self._known

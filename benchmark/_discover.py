"""Import every module of a package, so that what they register is known."""

import importlib
import pkgutil


def import_modules(*packages: str) -> None:
    """Import each module directly inside each of the packages."""
    for package in packages:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")

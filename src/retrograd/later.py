"""Names of a package that are loaded on first use (SPEC 1 of scientific Python)."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def load_later(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's `__getattr__` for the names in each of its modules, or its own.

    `dir` of the package tells them too.
    """
    names = vars(sys.modules[package])
    home = {name: module for module, found in modules.items() for name in found.split()}

    def __getattr__(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{home[name]}")
        names[name] = module if name == home[name] else getattr(module, name)
        return names[name]

    names["__dir__"] = lambda: sorted({*names, *home})
    return __getattr__

"""Names of a package that are loaded on first use (SPEC 1 of scientific Python)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def load_later(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module `__getattr__`: `modules` has the names that each module of it defines.

    A module's own name stands for the module itself.
    """
    home = {name: module for module, names in modules.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: Any = importlib.import_module(f"{package}.{home[name]}")
        if name != home[name]:
            found = getattr(found, name)
        setattr(sys.modules[package], name, found)
        return found

    return __getattr__

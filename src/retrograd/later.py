"""Names of a package that are loaded on first use (SPEC 1 of scientific Python)."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def load_later(package: str, modules: Mapping[str, str], needs: str = "") -> Callable[[str], Any]:
    """Return a package's `__getattr__` for the names in each of its modules, or its own.

    `dir` of the package tells them too, with what its `__all__` names.

    Args:
        package: its full name.
        modules: by the name of each module the names that are loaded from it, in one text; that
            of the module itself stands for the module.
        needs: what else must be installed for them, and how, for the error where it is missing.
    """
    names = vars(sys.modules[package])
    home = {name: module for module, found in modules.items() for name in found.split()}

    def __getattr__(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(f"{package}.{home[name]}")
        except ModuleNotFoundError as error:
            if needs:
                error.add_note(f"{package}.{name} needs {needs}")
            raise
        names[name] = module if name == home[name] else getattr(module, name)
        return names[name]

    names["__dir__"] = lambda: sorted({*names.get("__all__", names), *home})
    return __getattr__

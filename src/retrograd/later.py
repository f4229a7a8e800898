"""What a module shows: its public names, also those that are loaded on first use (SPEC 1)."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def public_names(module: str) -> Callable[[], list[str]]:
    """Return a module's `__dir__`: `dir` and completion show what is in `__all__`, not imports.

    Args:
        module: the module's `__name__`. Its `__all__` is read when `dir` is called.
    """
    names = vars(sys.modules[module])
    return lambda: sorted(names["__all__"])


def load_later(package: str, modules: Mapping[str, str], needs: str = "") -> Callable[[str], Any]:
    """Return a package's `__getattr__`, for names that are loaded on first use.

    It gives the package a `__dir__` too, which shows what is in its `__all__`: the names that are
    loaded later as well, since those who call `dir` do not know when a name is loaded.

    Args:
        package: the package's `__name__`.
        modules: for each module the names that it has, parted by spaces. A module is named by its
            place in the package, or, if it is elsewhere, in full. Its own name stands for itself.
        needs: what else must be installed for them, and how, for the error where it is missing.
    """
    names = vars(sys.modules[package])
    home = {name: module for module, found in modules.items() for name in found.split()}

    def __getattr__(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place = home[name] if "." in home[name] else f"{package}.{home[name]}"
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if needs:
                error.add_note(f"{package}.{name} needs {needs}")
            raise
        names[name] = module if name == home[name] else getattr(module, name)
        return names[name]

    names["__dir__"] = public_names(package)
    return __getattr__

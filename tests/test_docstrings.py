"""What `help()` shows of every public name is enough to use it.

Docstrings are Google style: a first line, then sections (`Args:`, `Returns:`, `Raises:`, for nets
`Shape:`), the formula or its source, an example. As a program this file lists what is missing,
one gap a line, for all or for the names that begin with a prefix:

    python tests/test_docstrings.py retrograd.nn
"""

import functools
import importlib
import inspect
import pydoc
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg

# the faces that users import from; what lies in other modules is found through these
MODULES = [
    "retrograd", "retrograd.anomaly", "retrograd.autograd", "retrograd.compiler",
    "retrograd.data", "retrograd.func", "retrograd.inventory", "retrograd.io", "retrograd.linalg",
    "retrograd.nn", "retrograd.nn.functional", "retrograd.nn.init", "retrograd.nn.utils",
    "retrograd.optim", "retrograd.optim.lr_scheduler", "retrograd.parallel", "retrograd.random",
    "retrograd.rules", "retrograd.seeing", "retrograd.special", "retrograd.stats",
    "retrograd.testing",
    "retrograd.testing.strategies", "retrograd.training", "retrograd.tree",
]  # fmt: skip

# loaded on first use, which must not hide them from `import *`, `dir` and `help`
LATER = [
    "AnomalyError", "TraceError", "compile", "coverage", "data", "detect_anomaly", "evaluate",
    "fit", "func", "linalg", "load", "parallel", "profile", "save", "special", "stats", "testing",
    "tree",
]  # fmt: skip

# An example would show nothing that the first line does not say.
NO_EXAMPLE = {
    "retrograd.nn.Module.forward": "it is for others to write; the class shows one written",
    "retrograd.nn.Module.extra_repr": "likewise",
    "retrograd.optim.Optimizer": "the base of those that have examples",
    "retrograd.optim.lr_scheduler.LRScheduler": "the base of those that have examples",
}

# They take any input that is an array, and no options that are refused.
RAISE_NOTHING = {
    "retrograd.nn.ELU", "retrograd.nn.Hardshrink", "retrograd.nn.Hardsigmoid",
    "retrograd.nn.Hardswish", "retrograd.nn.Identity", "retrograd.nn.LeakyReLU",
    "retrograd.nn.LogSigmoid", "retrograd.nn.Mish", "retrograd.nn.ReLU", "retrograd.nn.ReLU6",
    "retrograd.nn.SELU", "retrograd.nn.SiLU", "retrograd.nn.Sigmoid", "retrograd.nn.Softplus",
    "retrograd.nn.Softsign", "retrograd.nn.Tanh", "retrograd.nn.Tanhshrink",
    "retrograd.nn.Threshold",
}  # fmt: skip

# what losses take, where it is not an input and a target
TAKEN = {
    "CosineEmbeddingLoss": ("input1", "input2", "target"),
    "GaussianNLLLoss": ("input", "target", "var"),
    "MarginRankingLoss": ("input1", "input2", "target"),
    "TripletMarginLoss": ("anchor", "positive", "negative"),
}

SECTION = re.compile(r"^([A-Z][A-Za-z ]+):$", re.MULTILINE)
ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \(.*?\))?:", re.MULTILINE)
HEAD = 8  # lines that are on the screen when help opens


@dataclass(frozen=True)
class Item:
    """A public name: where it is found, what it is, and what its docstring says."""

    name: str  # in full, as a user writes it
    value: object
    doc: str
    owner: type | None = None  # of a method

    @property
    def is_class(self) -> bool:
        return isinstance(self.value, type)

    @property
    def is_property(self) -> bool:
        return not callable(self.value)

    @property
    def home(self) -> str:
        """Where it is written, as `module:line`."""
        value = inspect.unwrap(self.value.fget if isinstance(self.value, property) else self.value)
        try:
            line = inspect.getsourcelines(value)[1]
        except (OSError, TypeError):
            return getattr(value, "__module__", "?")
        return f"{value.__module__}:{line}"

    @property
    def speaks_for_numpy(self) -> bool:
        """Whether it is a method that does what NumPy's function of its name does and says so."""
        name = self.name.rpartition(".")[2]
        return self.owner is rg.Tensor and f"numpy.{name}`" in self.doc.partition("\n")[0]

    @property
    def sections(self) -> dict[str, str]:
        """The text under each heading."""
        return sections(self.doc)


def sections(doc: str) -> dict[str, str]:
    """Return the indented text under each heading of a docstring."""
    found = {}
    for heading in SECTION.finditer(doc):
        lines = []
        for line in doc[heading.end() + 1 :].splitlines():
            if line and not line.startswith(" "):
                break
            lines.append(line)
        found[heading[1]] = textwrap.dedent("\n".join(lines)).strip()
    return found


def described(text: str) -> set[str]:
    """Return the names that a section of parameters lists, with or without their stars."""
    names = (name for entry in ENTRY.findall(text) for name in entry.split(","))
    return {name.strip().lstrip("*") for name in names}


# what there is


def is_ours(value: object) -> bool:
    return str(getattr(value, "__module__", "")).split(".")[0] == "retrograd"


def public_names(module: types.ModuleType) -> list[str]:
    """Return what a module says is public, or, where it does not say, what is written in it."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    names = [name for name in vars(module) if not name.startswith("_")]
    return [n for n in names if getattr(getattr(module, n), "__module__", "") == module.__name__]


def is_described(value: object) -> bool:
    """Whether a docstring of its own can be asked of a value: not of modules and type aliases."""
    if isinstance(value, types.ModuleType) or not is_ours(value):
        return False
    return isinstance(value, type) or callable(value)


@functools.cache
def items() -> tuple[Item, ...]:
    """Return every public class, function, method and property, each once."""
    found: dict[int, Item] = {}
    # the longest path last, so that what `nn` and `nn.utils` both name is called as in `nn`
    for module_name in sorted(MODULES, key=lambda name: name.count(".")):
        module = importlib.import_module(module_name)
        for name in public_names(module):
            value = getattr(module, name)
            if is_described(value) and id(value) not in found:
                doc = vars(value).get("__doc__") if isinstance(value, type) else value.__doc__
                full = f"{module_name}.{name}"
                found[id(value)] = Item(full, value, inspect.cleandoc(doc or ""))
    classes = [item for item in found.values() if item.is_class]
    public = {item.value for item in classes}
    methods = [m for item in classes for m in methods_of(item, public)]
    return tuple(sorted([*found.values(), *methods], key=lambda item: item.name))


def methods_of(item: Item, public: set[type]) -> Iterator[Item]:
    """Yield public methods and properties that a class has of itself or of a base not public.

    Those of a public base are described there. One written anew without a docstring, as `forward`
    is, means what the base's means: the base's docstring is its own.
    """
    seen: set[str] = set()
    for kind in item.value.__mro__:
        if not is_ours(kind) or (kind is not item.value and kind in public):
            continue
        for name, value in vars(kind).items():
            if isinstance(value, (staticmethod, classmethod)):
                value = value.__func__
            fits = isinstance(value, (types.FunctionType, property))
            if name.startswith("_") or name in seen or not fits or is_elsewhere(item, name):
                continue
            seen.add(name)
            if value.__doc__ or not inherited_doc(item.value, name):
                doc = inspect.cleandoc(value.__doc__ or "")
                yield Item(f"{item.name}.{name}", value, doc, item.value)


def is_elsewhere(item: Item, name: str) -> bool:
    """Whether a method is another's under a second name, as `flatten` is `ravel`."""
    value = vars(item.value).get(name)
    return isinstance(value, types.FunctionType) and value.__name__ != name


def inherited_doc(kind: type, name: str) -> str | None:
    docs = (getattr(vars(base).get(name), "__doc__", None) for base in kind.__mro__[1:])
    return next((doc for doc in docs if doc), None)


def parameters(item: Item) -> list[str]:
    """Return the names of the arguments that a user writes."""
    if item.is_property:
        return []
    if item.is_class:
        makers = (vars(k).get(n) for k in item.value.__mro__ for n in ("__init__", "__new__"))
        first = next((m for m in makers if isinstance(m, types.FunctionType)), None)
        if first is None or not (is_ours(first) or hasattr(item.value, "_fields")):
            return []
    try:
        names = list(inspect.signature(item.value).parameters)
    except ValueError:
        return []
    if item.owner and names[:1] in (["self"], ["cls"]):
        names = names[1:]
    return [name for name in names if not name.startswith("_")]


def returns_something(item: Item) -> bool:
    if item.is_class or item.is_property:
        return False
    answer = inspect.signature(item.value).return_annotation
    return answer not in (None, "None", "NoReturn", "Never") and "NoReturn" not in str(answer)


def public_classes(module: str) -> list[Item]:
    return [item for item in items() if item.is_class and item.name.startswith(f"{module}.")]


def forward_of(item: Item) -> Callable[..., object] | None:
    """Return the `forward` of a Module that has written one."""
    if item.is_class and issubclass(item.value, rg.nn.Module) and item.value is not rg.nn.Module:
        forward = item.value.forward
        return None if forward is rg.nn.Module.forward else forward
    return None


# what is asked of it: each of these returns the gaps in one docstring


def gaps_of_words(item: Item) -> list[str]:
    """A docstring begins with a line that says something."""
    first = item.doc.partition("\n")[0]
    if not first:
        return ["has no docstring"]
    if first.startswith("See "):
        return [f'begins "{first}": say it here, since this is where a reader is']
    return []


def gaps_of_arguments(item: Item) -> list[str]:
    """Every parameter is told in `Args:`, a class's in the docstring of the class."""
    if item.speaks_for_numpy:
        return []
    wanted, told = parameters(item), item.sections
    listed = described(told.get("Args", "")) | described(told.get("Attributes", ""))
    gaps = []
    if missing := [name for name in wanted if name not in listed]:
        gaps.append(f"Args: does not tell {', '.join(missing)}")
    if surplus := sorted(described(told.get("Args", "")) - {*wanted}):
        gaps.append(f"Args: tells {', '.join(surplus)}, which it does not take")
    return gaps


def gaps_of_answers(item: Item) -> list[str]:
    """What is returned is told in `Returns:`, what is yielded in `Yields:`."""
    if not returns_something(item) or item.speaks_for_numpy:
        return []
    told = item.sections
    return [] if told.get("Returns") or told.get("Yields") else ["has no Returns: section"]


def gaps_of_examples(item: Item) -> list[str]:
    """Functions and classes show an example.

    For a method the example of its class serves, if it calls the method; so does another method's
    of the same class. Methods that are NumPy's, and properties, are as their first line says.
    """
    if item.is_property or item.speaks_for_numpy or item.name in NO_EXAMPLE:
        return []
    if ">>> " in item.doc:
        return []
    if item.owner:
        name = item.name.rpartition(".")[2]
        family = [i.doc for i in items() if item.owner in (i.value, i.owner)]
        lines = [line for doc in family for line in doc.splitlines()]
        used = re.compile(rf"^\s*(>>>|\.\.\.) .*\.{name}\(")
        if any(used.search(line) for line in lines):
            return []
        return [f"has no example, nor does one of its class call .{name}(...)"]
    return ["has no example"]


def gaps_of_errors(item: Item) -> list[str]:
    """Classes of `nn` name their errors, or are known to raise none."""
    if not (item.is_class and item.name.startswith("retrograd.nn.")):
        return []
    if item.name in RAISE_NOTHING or described(item.sections.get("Raises", "")):
        return []
    return ["has no Raises: section that names its errors"]


def gaps_of_shapes(item: Item) -> list[str]:
    """Classes with a `forward` tell the shapes of its input and output in `Shape:`."""
    if forward_of(item) is None or item.sections.get("Shape"):
        return []
    return ["has no Shape: section for the input and output of forward"]


def gaps_of_losses(item: Item) -> list[str]:
    """The first lines of a loss's help name what it takes, with shapes."""
    if not (item.name.startswith("retrograd.nn.") and item.name.endswith("Loss")):
        return []
    head = "\n".join(item.doc.splitlines()[:HEAD])
    taken = TAKEN.get(item.name.rpartition(".")[2], ("input", "target"))
    gaps = [f"`{n}` is not in its first {HEAD} lines" for n in taken if f"`{n}`" not in head]
    if not re.search(r"`\([^`]*\)`", head) and "shape" not in head:
        gaps.append(f"no shape, such as `(N, C)`, is in its first {HEAD} lines")
    return gaps


CHECKS = [
    gaps_of_words, gaps_of_arguments, gaps_of_answers, gaps_of_examples, gaps_of_errors,
    gaps_of_shapes, gaps_of_losses,
]  # fmt: skip


def gaps(item: Item) -> list[str]:
    """Return all that is missing; nothing more is said of what has no docstring."""
    if not item.doc:
        return gaps_of_words(item)
    return [gap for check in CHECKS for gap in check(item)]


def strangers(module: types.ModuleType) -> list[str]:
    """Return the names without underscore that `dir` shows though they are not public."""
    return sorted({n for n in dir(module) if not n.startswith("_")} - {*public_names(module)})


def gaps_of_module(module: types.ModuleType) -> list[str]:
    """A module says what is public, and `dir` shows that and no imports."""
    found = []
    if not module.__doc__:
        found.append("has no docstring")
    if not hasattr(module, "__all__"):
        found.append("has no __all__")
    if strange := strangers(module):
        found.append(f"dir() shows {', '.join(strange)}: give it a __dir__ that returns __all__")
    if hidden := sorted({*public_names(module)} - {*dir(module)}):
        found.append(f"dir() hides {', '.join(hidden)}")
    return found


def names_that_raise(value: object) -> list[str]:
    """Return the names that `dir` shows and that cannot be had."""
    found = []
    for name in dir(value):
        try:
            getattr(value, name)
        except Exception:
            found.append(name)
    return [name for name in found if not name.startswith("_")]


def of_each(which: Callable[[Item], bool] = lambda item: True) -> pytest.MarkDecorator:
    """Parametrize a test with the items that `which` chooses."""
    chosen = [item for item in items() if which(item)]
    return pytest.mark.parametrize("item", chosen, ids=[item.name for item in chosen])


def report(item: Item, found: list[str]) -> None:
    """Fail with where to write what is missing."""
    if found:
        pytest.fail("\n".join(f"{item.home}: {item.name} {gap}" for gap in found), pytrace=False)


@of_each()
def test_it_says_itself_what_it_is(item):
    report(item, gaps_of_words(item))


@of_each(lambda item: bool(parameters(item)))
def test_it_tells_every_argument_and_no_other(item):
    report(item, gaps_of_arguments(item))


@of_each(returns_something)
def test_it_tells_what_it_returns(item):
    report(item, gaps_of_answers(item))


@of_each(lambda item: not item.is_property)
def test_it_shows_an_example(item):
    report(item, gaps_of_examples(item))


@of_each(lambda item: item.is_class and item.name.startswith("retrograd.nn."))
def test_a_class_of_nn_names_its_errors(item):
    report(item, gaps_of_errors(item))


@of_each(lambda item: forward_of(item) is not None)
def test_a_layer_tells_the_shapes_of_input_and_output(item):
    report(item, gaps_of_shapes(item))


@of_each(lambda item: forward_of(item) is not None and item.name.endswith("Loss"))
def test_a_loss_tells_shapes_in_its_first_lines(item):
    report(item, gaps_of_losses(item))


@pytest.mark.parametrize("name", MODULES)
def test_dir_of_a_module_shows_what_is_public_and_nothing_else(name):
    found = gaps_of_module(importlib.import_module(name))
    if found:
        pytest.fail("\n".join(f"{name}: {gap}" for gap in found), pytrace=False)


@pytest.mark.parametrize("name", LATER)
def test_what_is_loaded_on_first_use_is_public_too(name):
    assert name in rg.__all__
    assert name in dir(rg)


@pytest.mark.parametrize("name", sorted({*rg.__all__, *LATER}))
def test_help_lists_every_public_name(name):
    text = pydoc.render_doc(rg, renderer=pydoc.plaintext)
    assert re.search(rf"^ {{4}}(class )?{name}\b", text, re.MULTILINE)


def test_a_tensor_shows_no_name_that_it_does_not_have():
    leaf = rg.Tensor([1.0, 2.0], requires_grad=True)
    for value in (rg.Tensor, leaf, leaf * 2, rg.Tensor(1.0), rg.nn.Parameter([1.0])):
        array = np.zeros(value.shape) if value is not rg.Tensor else np.ndarray
        assert set(names_that_raise(value)) <= set(names_that_raise(array))  # mT of a vector


def test_every_exception_that_is_made_here_is_of_a_name_that_exists():
    names = {item.name for item in items()}
    assert not {*NO_EXAMPLE} - names
    assert not RAISE_NOTHING - names


# the checks are checked


def good(x, *more, axis=0):
    """Return something.

    Args:
        x: A number.
        *more: Numbers, several
            lines of them.
        axis (int): Which; default 0.

    Returns:
        A number.

    The formula is: none.
    """
    return x, more, axis


def bad(x, axis=0):
    """See `good`.

    Args:
        axe: Misspelt.
    """
    return x, axis


def item_of(value, name="retrograd.sample"):
    return Item(name, value, inspect.getdoc(value))


def test_a_docstring_with_all_sections_has_no_gap_but_its_example():
    assert gaps(item_of(good)) == ["has no example"]


def test_each_gap_is_told():
    assert gaps(item_of(bad)) == [
        'begins "See `good`.": say it here, since this is where a reader is',
        "Args: does not tell x, axis",
        "Args: tells axe, which it does not take",
        "has no Returns: section",
        "has no example",
    ]


def test_sections_end_where_the_indentation_ends():
    found = sections(inspect.getdoc(good))
    assert [*found] == ["Args", "Returns"]
    assert found["Returns"] == "A number."
    assert described(found["Args"]) == {"x", "more", "axis"}


def main(prefixes: list[str]) -> int:
    """Print every gap of the names that begin with one of the prefixes, and how many there are."""
    count = 0

    def wanted(*names: str) -> bool:
        return not prefixes or any(n.startswith(p) for n in names for p in prefixes)

    for name in MODULES:
        for gap in gaps_of_module(importlib.import_module(name)) if wanted(name) else ():
            print(f"{name} {gap}")
            count += 1
    if wanted("retrograd.Tensor") and (raising := names_that_raise(rg.Tensor(1.0))):
        print(f"retrograd.Tensor dir() shows names that raise: {', '.join(raising)}")
        count += 1
    if wanted("retrograd") and (absent := sorted({*LATER} - {*rg.__all__})):
        print(f"retrograd.__all__ has no {', '.join(absent)}")
        count += 1
    for item in items():
        for gap in gaps(item) if wanted(item.name, item.home) else ():
            print(f"{item.home}: {item.name} {gap}")
            count += 1
    print(f"{count} gaps in {Path(rg.__file__).parent.name}")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

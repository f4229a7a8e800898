"""Read the golden numbers that `make_golden.py` wrote, and hand them to tests case by case.

`pending.txt` lists the cases of parts that are yet to be built, a pattern a line. They are expected
to fail, strictly: a part that lands must leave the list.
"""

import functools
import json
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg

HERE = Path(__file__).parent
MODULES = (
    "nn", "activations", "losses", "layers", "recurrent", "attention", "functions", "further",
)  # fmt: skip
CLIPPING = ("clipping",)
OPTIMIZERS = ("optim", "optimizers")
SCHEDULES = ("schedules",)


@functools.cache
def table(name):
    return json.loads((HERE / f"{name}.json").read_text())


@functools.cache
def pending():
    lines = (HERE / "pending.txt").read_text().splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def covers(pattern, title):
    return fnmatchcase(title, pattern) or title.startswith(f"{pattern}: ")


def cases(tables, key="name"):
    """Return the cases that have a `key`, as parameters titled `Conv2d: stride 2` or `conv2d: ...`.

    Args:
        tables: names of the tables.
        key: "name" for classes, "function" for functions.
    """
    parameters = []
    for case in (case for name in tables for case in table(name)["cases"] if case[key]):
        title = ": ".join(filter(None, [case[key], case["id"].partition(": ")[2]]))
        late = any(covers(pattern, title) for pattern in pending())
        reason = "listed in tests/golden/pending.txt; if it passes, take it off the list"
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if late else []
        parameters.append(pytest.param(case, id=title, marks=marks))
    return parameters


def decode(value):
    """Turn stored JSON back into arrays, tuples and modules."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.array(value["array"])
    if "tuple" in value:
        return tuple(decode(value["tuple"]))
    if "module" in value:
        return build(rg.nn, value["module"], value)
    return {key: decode(item) for key, item in value.items()}


def build(namespace, name, case):
    return getattr(namespace, name)(*decode(case["args"]), **decode(case["kwargs"]))


def flat(tree):
    if isinstance(tree, tuple | list):
        return [leaf for item in tree for leaf in flat(item)]
    return [] if tree is None else [tree]


def array(value):
    return value.data if isinstance(value, rg.Tensor) else np.asarray(value)


def assert_same(actual, expected, what):
    """Compare to 1e-10, shape and kind of dtype included."""
    actual, expected = array(actual), np.asarray(decode(expected))
    assert actual.shape == expected.shape, what
    assert actual.dtype.kind == expected.dtype.kind, what
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10, err_msg=what)


def assert_all_same(actual, expected, what):
    assert list(actual) == list(expected), what
    for key, value in expected.items():
        assert_same(actual[key], value, f"{what} {key}")


def prepare_inputs(case):
    """Return inputs as they are passed and as a flat list; Tensors where a gradient is stored."""
    # a missing gradient list is a function of integers
    wanted = iter(case.get("input_grads") or [])

    def prepare(value):
        if isinstance(value, tuple | list):
            return type(value)(prepare(item) for item in value)
        return value if next(wanted, None) is None else rg.Tensor(value, requires_grad=True)

    inputs = prepare(decode(case["inputs"]))
    return inputs, flat(inputs)


def check_outputs_and_input_gradients(case, leaves, result):
    outputs = flat(result)
    for i, (output, expected) in enumerate(zip(outputs, case["outputs"], strict=True)):
        assert_same(output, expected, f"output {i}")
    if "upstream" not in case:
        return
    upstream = decode(case["upstream"])
    sum((o * u).sum() for o, u in zip(outputs, upstream, strict=True)).backward()
    for i, (leaf, expected) in enumerate(zip(leaves, case["input_grads"], strict=True)):
        if expected is not None:
            assert_same(leaf.grad, expected, f"gradient of input {i}")

"""What the tests of readable programs share: running one from where a step stands."""

from __future__ import annotations

import ast
import builtins
import copy

import numpy as np

import retrograd as rg


def given(step):
    """Return what a step's readable program is to be passed by keyword, as it is now, copied."""
    return copy.deepcopy(step.readable().arrays())


def run(step, args, keywords, source=None):
    """Run a step's readable program, in a namespace that has NumPy alone."""
    space = {"np": np}
    exec(compile(source or step.source, "<readable>", "exec"), space)
    return space[step.readable().name](*args, **keywords)


def arrays(value):
    """Return all numbers and arrays in dicts, lists and tuples."""
    return [np.asarray(v) for v in rg.tree.leaves(value) if v is not None]


def worst_difference(step, batches):
    """Return how far, relatively, the readable program is off over some calls of a step."""
    worst = 0.0
    for batch in batches:
        keywords = given(step)
        here = arrays(run(step, batch, keywords))
        program = step._ran()
        result = step(*batch)
        if step._ran() is not program:
            continue  # it was another program that ran
        expected = [t.data for t in rg.tree.leaves(result) if isinstance(t, rg.Tensor)]
        names = [p for p in step.readable().parameters if p.role in ("array", "state")]
        names = [p for p in names if p.var.kind == "captured"]
        here = here[: len(expected)] + [keywords[p.name] for p in names]
        for a, b in zip(here, expected + [p.value for p in names], strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            off = np.abs(a - b).max(initial=0.0) if a.dtype.kind == "f" else (a != b).sum()
            worst = max(worst, float(off / (np.abs(b).max(initial=0.0) + 1e-3)))
    return worst


def names_never_assigned(source):
    """Return the names that a program reads and never assigns."""
    tree = ast.parse(source)
    assigned = {"np", *dir(builtins)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            assigned.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.arg)):
            assigned.add(node.name if isinstance(node, ast.FunctionDef) else node.arg)
        elif isinstance(node, ast.alias):
            assigned.add(node.asname or node.name)
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return read - assigned


def double_transposes(source):
    """Return the places where a transpose is transposed."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr == "T"
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "T"
    ]


def statements(step):
    """Return the lines of a readable program without comments and indentation."""
    return [row.text for row in step.readable().rows]

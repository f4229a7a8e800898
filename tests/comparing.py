"""A compiled function beside itself as it is: one helper for all tests that the two agree."""

import numpy as np

import retrograd as rg

CALLS = 5  # more than the library checks itself


def assert_compiled_agrees(make, calls, *, rtol=1e-12, atol=1e-14, before=None):
    """Call a function and its compiled twin side by side: they give, write and leave the same.

    Args:
        make: Builds the function, the same each time. It returns the function and whatever that
            may write or give gradients to: Tensors, Modules and optimizers, which are compared
            after each call.
        calls: The arguments of each call, in tuples; or a function that draws those of a call from
            a Generator.
        rtol: The relative tolerance.
        atol: The absolute tolerance.
        before: Is called before each call of either twin, to change something: with the number of
            the call and with what else `make` returned.

    Returns:
        The compiled function.
    """
    (eager, *own), (fn, *others) = make(), make()
    compiled = rg.compile(fn)
    draws = rg.random.generator().bit_generator
    if callable(calls):
        rng = np.random.default_rng(3)
        calls = [calls(rng) for _ in range(CALLS)]
    for number, args in enumerate(calls):
        if before is not None:
            before(number, *own)
            before(number, *others)
        start = draws.state
        expected = eager(*map(as_tensor, args))
        draws.state, end = start, draws.state
        found = compiled(*args)
        assert draws.state == end, f"call {number} drew other numbers"
        left = {"result": expected, "watched": list(map(contents, own))}
        right = {"result": found, "watched": list(map(contents, others))}
        assert_same(right, left, rtol, atol, f"after call {number}")
    return compiled


def as_tensor(value):
    """Return an array as a Tensor of its own, as a compiled function takes it."""
    return rg.Tensor(value.copy()) if isinstance(value, np.ndarray) else value


def contents(thing):
    """Return all numbers of a Tensor, a Module or an optimizer as a tree."""
    if isinstance(thing, rg.optim.Optimizer):
        return thing.state_dict()["state"]
    if isinstance(thing, rg.Tensor):
        return {"data": thing.data} | ({} if thing.grad is None else {"grad": thing.grad})
    parameters = {name: contents(p) for name, p in thing.named_parameters()}
    return parameters, dict(thing.named_buffers())


def assert_same(found, expected, rtol, atol, where):
    """Assert that two trees of Tensors, arrays and numbers are the same, dtypes too."""
    leaves, structure = rg.tree.flatten(expected)
    pairs = zip(structure.match(found, where), leaves, strict=True)
    for i, (x, y) in enumerate(pairs):
        x, y = (t.data if isinstance(t, rg.Tensor) else t for t in (x, y))
        try:
            assert getattr(x, "dtype", None) == getattr(y, "dtype", None)
            np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)
        except AssertionError as error:
            error.add_note(f"in {structure.paths()[i]} {where}")
            raise

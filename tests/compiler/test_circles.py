"""Nothing that the compiler makes refers to itself: what is dropped is gone at once.

A circle stays until Python looks for garbage, with the parameters and the buffers that it has.
"""

import gc
import pathlib
import tempfile
import weakref

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler import CompilerNotFoundError
from retrograd.compiler.c.build import find_compiler

X = np.ones((2, 3))
OFTEN = 20  # calls: then the program and its conditions are one function


def train(target):
    w = rg.Tensor(np.ones(3), requires_grad=True)
    optimizer = rg.optim.Adam([w], lr=0.01)

    def step(x):
        optimizer.zero_grad()
        loss = np.sum(x[1:] * w)
        loss.backward()
        optimizer.step()
        return loss

    step = rg.compile(step, target=target)
    for _ in range(OFTEN):
        step(X)
    return w, step


def in_a_loss(target):
    net = rg.nn.Sequential(rg.nn.Linear(3, 2, rng=0), rg.nn.Dropout(0.5, rng=1))
    fast = rg.compile(net, target=target)
    for _ in range(OFTEN):
        np.sum(fast(X)).backward()
    return net[0].weight, fast


def in_a_formula_for_two_calls(target):
    w = rg.Tensor(np.ones(3), requires_grad=True)
    fast = rg.compile(lambda x: rg.nn.functional.softmax(x * w), target=target)
    for _ in range(OFTEN):
        rg.nn.functional.nll_loss(np.log(fast(X)), np.array([0, 1])).backward()
    return w, fast


def differentiated_twice(target):
    w = rg.Tensor(np.ones(3), requires_grad=True)
    fast = rg.compile(lambda x: np.sum(np.tanh(x * w)), target=target)
    for _ in range(OFTEN):
        x = rg.Tensor(X, requires_grad=True)
        (g,) = rg.autograd.grad(fast(x), x, create_graph=True)
        np.sum(g * g).backward()
    return w, fast


def without_gradients(target):
    net = rg.nn.Linear(3, 2, rng=0)
    fast = rg.compile(net, target=target)
    with rg.no_grad():
        for _ in range(OFTEN):
            fast(X)
    return net.weight, fast


def recorded_anew(target):
    w, step = train(target)
    for n in range(3, 6):
        step(np.ones((n, 3)))
    return w, step


def read(target):
    w, step = train(target)
    assert step.source
    assert step.fast_source
    return w, step


def profiled(target):
    w, step = train(target)
    step.profile(X)
    return w, step


def searched(target):
    w, step = train(target)
    step.find_nan(X)
    return w, step


def exported(target):
    w, step = train(target)
    with tempfile.TemporaryDirectory() as folder:
        step.export(pathlib.Path(folder, "fast.py"))
        step.export(pathlib.Path(folder, "readable.py"), readable=True)
    return w, step


def failed(target):
    w = rg.Tensor(np.ones(3), requires_grad=True)
    step = rg.compile(lambda i: np.sum(w[i]), target=target)
    with rg.no_grad():
        for _ in range(OFTEN):
            step(np.array([0, 1]))
        with pytest.raises(IndexError):
            step(np.array([0, 9]))
    return w, step


def refused(target):
    w = rg.Tensor(np.ones(3), requires_grad=True)
    step = rg.compile(lambda x: np.sum(x * w) * (w.data[0] if w.sum().item() else 1), target=target)
    with pytest.raises(rg.compiler.TraceError):
        step(X)
    return w, step


USES = [
    train, in_a_loss, in_a_formula_for_two_calls, differentiated_twice, without_gradients,
    recorded_anew, read, profiled, searched, exported, failed, refused,
]  # fmt: skip


@pytest.fixture
def target(request, tmp_path, monkeypatch):
    """Return a target that is there, with a folder of its own for what is compiled."""
    if request.param == "c":
        try:
            find_compiler()
        except CompilerNotFoundError:
            pytest.skip("there is no C compiler")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return request.param


@pytest.mark.parametrize("target", ["numpy", "c"], indirect=True)
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_what_is_dropped_is_gone_at_once(use, target):
    use(target)  # what is imported and remembered at the first time
    gc.collect()
    gc.disable()
    try:
        w, step = use(target)
        held = step.programs if hasattr(step, "programs") else []
        arrays = [v for p in held for v in p.namespace.values() if isinstance(v, np.ndarray)]
        gone = [weakref.ref(thing) for thing in (w, w.data, step, *held)]
        gone += [weakref.ref(array) for array in arrays if array.base is None]
        del w, step, held, arrays
        assert not [kept for kept in gone if kept() is not None]
        # and of all else that was made nothing waits for Python to look
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = {type(thing) for thing in gc.garbage}
        assert not {kind.__name__ for kind in kinds if kind.__module__.startswith("retrograd")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

"""A compiled function is a good Python object: methods, copies, pickles, forks, and its end."""

from __future__ import annotations

import copy
import functools
import gc
import linecache
import os
import pickle
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest

import retrograd as rg


class Trainer:
    """A class with compiled methods of all kinds."""

    def __init__(self, start=2.0):
        self.w = rg.Tensor([start], requires_grad=True)

    @rg.compile
    def step(self, x):
        """Return a loss."""
        loss = np.sum(self.w * x)
        self.w.grad = None
        loss.backward()
        return loss

    @classmethod
    @rg.compile
    def of_class(cls, x):
        return x * cls.factor

    @rg.compile
    @classmethod
    def of_class_outside(cls, x):
        return x * cls.factor

    @staticmethod
    @rg.compile
    def static(x):
        return x * 2

    @rg.compile
    @staticmethod
    def static_outside(x):
        return x * 3

    factor = 5.0


class Held:
    """An object that holds a compiled function of its own."""

    def __init__(self):
        self.model = rg.nn.Linear(1, 1, bias=False)
        self.fast = rg.compile(self.forward)

    def forward(self, x):
        return rg.nn.functional.relu(self.model(x)).detach()


@rg.compile
def module_level(x):
    return x + 1


ONE = np.ones(1)


def test_a_method_is_compiled_for_each_instance():
    first, second = Trainer(2.0), Trainer(3.0)
    assert [t.step(ONE).item() for t in (first, second) * 4] == [2.0, 3.0] * 4
    assert first.step is first.step
    assert first.step is not second.step
    assert [len(t.step.programs) for t in (first, second)] == [1, 1]
    assert Trainer.step.__doc__ == first.step.__doc__ == "Return a loss."
    assert not Trainer.step.programs


def test_a_compiled_forward_is_that_of_its_module():
    class Scale(rg.nn.Module):
        def __init__(self, factor):
            self.factor = rg.nn.Parameter([factor])

        @rg.compile
        def forward(self, x):
            return (self.factor * x).detach()

    scales = Scale(2.0), Scale(3.0)
    assert [s(ONE).item() for s in scales * 4] == [2.0, 3.0] * 4
    whole = rg.compile(rg.nn.Sequential(*scales))
    assert [whole(ONE).item() for _ in range(4)] == [6.0] * 4
    assert list(scales[0].state_dict()) == ["factor"]


def test_methods_of_classes_and_static_ones_are_compiled_either_way():
    class Derived(Trainer):
        factor = 7.0

    for _ in range(4):
        assert Trainer.of_class(ONE).item() == Trainer().of_class_outside(ONE).item() == 5.0
        assert Derived.of_class(ONE).item() == Derived().of_class_outside(ONE).item() == 7.0
        assert Trainer.static(ONE).item() == Trainer().static(ONE).item() == 2.0
        assert Trainer.static_outside(ONE).item() == Trainer().static_outside(ONE).item() == 3.0


def test_partials_and_objects_that_can_be_called_are_compiled():
    class Adder:
        def __call__(self, x):
            return x + 1

    class Holder:
        partial = rg.compile(functools.partial(np.multiply, 2.0))
        adder = rg.compile(Adder())
        method = functools.partialmethod(Trainer.step, 4 * ONE)
        w = rg.Tensor([2.0], requires_grad=True)

    for _ in range(4):
        assert Holder().partial(rg.Tensor(ONE)).item() == 2.0
        assert Holder().adder(ONE).item() == 2.0
        assert Holder().method().item() == 8.0


def test_an_instance_goes_with_its_programs():
    trainer = Trainer()
    for _ in range(4):
        trainer.step(ONE)
    gone = weakref.ref(trainer)
    del trainer
    gc.collect()
    assert gone() is None


def test_an_instance_without_a_dict_says_so():
    class Slotted:
        __slots__ = ("w",)

        @rg.compile
        def step(self, x):
            return x

    with pytest.raises(TypeError, match="__slots__"):
        Slotted().step(ONE)


def generator(x):
    yield x


async def coroutine(x):
    return x


async def async_generator(x):
    yield x


class GeneratorModule(rg.nn.Module):
    def forward(self, x):
        yield x


class CallsLater:
    async def __call__(self, x):
        return x


@pytest.mark.parametrize(
    "fn",
    [
        generator,
        coroutine,
        async_generator,
        functools.partial(generator, 1),
        GeneratorModule(),
        CallsLater(),
    ],
)
def test_what_runs_later_is_refused(fn):
    with pytest.raises(TypeError, match="whose body runs later"):
        rg.compile(fn)


def test_a_class_is_refused():
    with pytest.raises(TypeError, match="not the class Trainer: compile an instance"):
        rg.compile(Trainer)


def ways_to_copy():
    yield copy.deepcopy
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        yield lambda thing, protocol=protocol: pickle.loads(pickle.dumps(thing, protocol))


@pytest.mark.parametrize("copied", [*ways_to_copy()])
@pytest.mark.parametrize("called", [0, 4])
def test_a_copy_of_what_holds_a_compiled_function_records_anew(copied, called):
    held, trainer = Held(), Trainer()
    for _ in range(called):
        held.fast(ONE)
        trainer.step(ONE)
    other, second = copied(held), copied(trainer)
    assert other.fast is not held.fast
    assert not other.fast.programs
    assert other.fast.fn.__self__ is other
    other.model.weight.data = np.array([[5.0]])
    second.w.data = np.array([7.0])
    for _ in range(4):
        assert other.fast(ONE).item() == 5.0
        assert held.fast(ONE).item() == max(held.model.weight.item(), 0.0)
        assert (second.step(ONE).item(), trainer.step(ONE).item()) == (7.0, 2.0)


@pytest.mark.parametrize("copied", [*ways_to_copy(), copy.copy])
def test_a_copy_of_a_function_in_a_module_is_the_function_itself(copied):
    assert copied(module_level) is module_level
    assert copied(Trainer.step) is Trainer.step


def test_a_shallow_copy_has_its_own_methods():
    trainer = Trainer()
    trainer.step(ONE)
    other = copy.copy(trainer)
    other.w = rg.Tensor([9.0], requires_grad=True)
    assert [t.step(ONE).item() for t in (trainer, other) * 4] == [2.0, 9.0] * 4


def test_a_bound_method_is_copied_with_its_instance():
    trainer = Trainer()
    trainer.step(ONE)
    other = pickle.loads(pickle.dumps(trainer.step))
    assert other.fn.__self__ is not trainer
    assert other(ONE).item() == 2.0
    assert copy.copy(trainer.step) is trainer.step


def test_a_function_that_no_module_has_is_copied_but_not_pickled():
    f = rg.compile(lambda x: x * 2)
    f(ONE)
    for other in (copy.copy(f), copy.deepcopy(f)):
        assert other is not f
        assert not other.programs
        assert other(ONE).item() == 2.0
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(f)


def test_dropped_programs_leave_nothing_behind():
    before = {name for name in linecache.cache if "retrograd program" in name}
    w = rg.Tensor(np.ones(3), requires_grad=True)

    def train(x):
        loss = np.sum(w * x)
        w.grad = None
        loss.backward()
        return loss

    compiled = rg.compile(train)
    gc.collect()
    gc.disable()
    try:
        for n in range(1, 4):
            for _ in range(4):
                compiled(np.ones((n, 3)))
        programs = compiled.programs
        values = [v for p in programs for v in p.namespace.values()]
        arrays = [v for v in values if isinstance(v, np.ndarray) and v is not w.data]
        assert arrays
        gone = [weakref.ref(thing) for thing in (compiled, *programs, *arrays)]
        w.grad = None
        del compiled, programs, values, arrays
        assert not [kept for kept in gone if kept() is not None]
    finally:
        gc.enable()
    assert {name for name in linecache.cache if "retrograd program" in name} <= before


FORKED = """
import os, sys, threading, time
import numpy as np
import retrograd as rg

inside, go_on = threading.Event(), threading.Event()

@rg.compile
def step(x):
    if threading.current_thread() is not threading.main_thread() and sys.argv[1] == "recording":
        inside.set()
        go_on.wait(30)
    return np.sin(x).sum()

if sys.argv[1] == "locked":
    for _ in range(4):
        step(np.zeros(3))

def busy():
    if sys.argv[1] == "locked":
        with step._lock:
            inside.set()
            go_on.wait(30)
    else:
        step(np.zeros(3))

thread = threading.Thread(target=busy)
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    os._exit(0 if [step(np.zeros(3)).item() for _ in range(4)] == [0.0] * 4 else 3)
for _ in range(100):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
    status = -1
go_on.set()
thread.join()
assert status == 0, status
assert step(np.zeros(3)).item() == 0.0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on Windows")
@pytest.mark.parametrize("at", ["recording", "locked"])
def test_a_process_forked_while_another_thread_is_inside_can_call_it(at):
    code = textwrap.dedent(FORKED)
    command = [sys.executable, "-W", "ignore", "-c", code, at]
    subprocess.run(command, check=True, timeout=60)

"""What cannot be recorded is refused at the user's line; an error leaves nothing half done."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.statements import NumPy

X = np.arange(1.0, 4.0)
HERE = __file__.rsplit("/", 1)[-1]


def reads_item(x):
    return x * np.sum(x).item()


def reads_float(x):
    return x * float(np.sum(x))


def branches(x):
    return x if np.sum(x) > 0 else -x


def reads_data(x):
    return x + x.data


def reads_numpy(x):
    return x + x.numpy()


def lists(x):
    return x.tolist()


def formats(x):
    return f"{np.sum(x):.3f}"


def compares(x):
    return x if np.allclose(x, 1.0) else x * 2


@pytest.mark.parametrize(
    "fn", [reads_item, reads_float, branches, reads_data, reads_numpy, lists, formats, compares]
)
def test_reading_a_value_names_the_line_and_the_remedy(fn):
    with pytest.raises(rg.TraceError, match="Return the Tensor and read it after the step") as e:
        rg.compile(fn)(X)
    assert HERE in str(e.value)
    assert fn.__code__.co_filename in str(e.value)


def test_a_write_into_a_tensor_is_refused():
    w = rg.Tensor(np.zeros(3))

    @rg.compile
    def f(x):
        with rg.no_grad():
            w[0] = 3.0
        return w + x

    with pytest.raises(rg.TraceError, match=r"t\[\.\.\.\] = value"):
        f(X)


def test_changing_what_is_outside_is_refused():
    seen = []
    count = 0

    @rg.compile
    def appends(x):
        seen.append(1)
        return x * 2

    @rg.compile
    def counts(x):
        nonlocal count
        count += 1
        return x * 2

    with pytest.raises(rg.TraceError, match="'seen'"):
        appends(X)
    with pytest.raises(rg.TraceError, match="'count'"):
        counts(X)


def test_a_number_outside_that_changes_is_found_at_the_next_call():
    class Config:
        scale = 1.0

    @rg.compile
    def f(x):
        return x * Config.scale

    f(X)
    Config.scale = 2.0
    with pytest.raises(rg.TraceError, match=r"second run called np.multiply"):
        f(X)


def test_a_branch_outside_that_changes_is_found_at_the_next_call():
    class Config:
        deep = False

    @rg.compile
    def f(x):
        y = x * 2
        if Config.deep:
            y = np.exp(y)
        return y

    f(X)
    Config.deep = True
    with pytest.raises(rg.TraceError, match=r"np\.exp"):
        f(X)


def test_numpy_arrays_drawn_without_the_tape_are_found():
    rng = np.random.default_rng(0)
    f = rg.compile(lambda x: x + rng.normal(size=3))
    f(X)
    with pytest.raises(rg.TraceError, match="differs between two runs"):
        f(X)


def test_a_write_into_an_array_outside_is_found():
    running = np.zeros(3)

    @rg.compile
    def f(x):
        y = x + running
        running[...] = running + 1
        return y

    f(X)
    with pytest.raises(rg.TraceError, match="writes into an array outside"):
        f(X)


def test_a_seed_inside_is_refused():
    f = rg.compile(lambda x: rg.nn.functional.dropout(x, 0.5, rng=3))
    with pytest.raises(rg.TraceError, match="Generator"):
        f(X)


def test_a_tensor_with_a_graph_is_refused():
    w = rg.Tensor(X, requires_grad=True)
    with pytest.raises(TypeError, match="detach"):
        rg.compile(lambda x: x * 2)(w * 2)


def test_a_value_that_has_no_hash_is_refused():
    with pytest.raises(TypeError, match="bytearray"):
        rg.compile(lambda x, s: x)(X, bytearray(b"s"))


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="function or a Module"):
        rg.compile(3)
    with pytest.raises(RuntimeError, match="call the compiled function first"):
        _ = rg.compile(lambda x: x).source


def test_an_array_returned_as_it_is_would_freeze():
    with pytest.raises(rg.TraceError, match="returns Tensors"):
        rg.compile(lambda x: np.ones(3))(X)


def test_many_programs_warn_and_stay_bounded():
    f = rg.compile(lambda x, k: x * k)
    for k in range(32):
        f(X, k)
    with pytest.warns(RuntimeWarning, match="more than 32 programs"):
        f(X, 100)
    assert len(f.programs) == 32


def trained(lr=0.1):
    w = rg.Tensor([1.0, 2.0], requires_grad=True)
    v = rg.Tensor(np.ones(20000), requires_grad=True)
    optimizer = rg.optim.Adam([w, v], lr=lr)

    @rg.compile
    def step(x):
        loss = np.sum((w * x) ** 2) + np.mean(v**2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step, w, v, optimizer


@pytest.mark.parametrize("at", range(1, 40, 3))
def test_an_interrupt_anywhere_leaves_the_state_before_or_after_a_step(at):
    step, w, v, optimizer = trained()
    for _ in range(5):
        step(np.ones(2))
    program = step.programs[-1]
    before = w.data.copy(), v.data.copy(), repr(optimizer.state_dict())
    calls = 0

    def interrupting(fn):
        def call(*args, **kwargs):
            nonlocal calls
            out = fn(*args, **kwargs)
            calls += 1
            if calls == at:
                raise KeyboardInterrupt
            return out

        return call

    names = [n for n in program.namespace if n.startswith("_np_")]
    kept = {n: program.namespace[n] for n in names}
    program.namespace.update({n: interrupting(f) for n, f in kept.items()})
    try:
        step(np.ones(2))
    except KeyboardInterrupt:
        pass
    else:
        assert calls < at
    finally:
        program.namespace.update(kept)
    done = not np.array_equal(w.data, before[0])
    other = trained()
    for _ in range(5 + done):
        other[0](np.ones(2))
    assert repr(optimizer.state_dict()) == repr(other[3].state_dict())
    np.testing.assert_array_equal(w.data, other[1].data)
    np.testing.assert_array_equal(v.data, other[2].data)
    step(np.ones(2))
    other[0](np.ones(2))
    np.testing.assert_array_equal(w.data, other[1].data)


def test_an_error_while_recording_names_the_call_and_can_be_mended():
    w = rg.Tensor(np.ones(3), requires_grad=True)

    @rg.compile
    def f(x):
        return np.sum(w * x)

    with pytest.raises(ValueError, match="broadcast"):
        f(np.ones(2))
    for _ in range(4):
        assert f(X).item() == 6.0


def test_a_program_that_computes_something_else_is_caught():
    f = rg.compile(lambda x: np.exp(x) * 2 + 1)
    f(X)
    program = f.programs[0]
    step = next(s for s in program.code.body if s.call.fn is np.exp)
    call = dataclasses.replace(step.statement.call, function=NumPy("log"))
    step.statement = dataclasses.replace(step.statement, call=call)
    program.make()
    with pytest.raises(RuntimeError, match=r"first in `np.log\(x"):
        f(X)


def test_an_error_after_a_write_puts_back_what_was_written():
    first, second = rg.Tensor(np.zeros(2)), rg.Tensor(np.zeros((2, 2)))

    @rg.compile
    def f(x):
        with rg.no_grad():
            first.__iadd__(x[0])
            second.__iadd__(np.linalg.inv(x))
        return first * 1

    for _ in range(5):
        f(np.eye(2))
    with pytest.raises(np.linalg.LinAlgError):
        f(np.ones((2, 2)))
    np.testing.assert_array_equal(first.data, [5, 0])
    np.testing.assert_array_equal(second.data, 5 * np.eye(2))

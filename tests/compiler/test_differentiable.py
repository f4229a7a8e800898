"""A compiled function in the graph: gradients flow through it as through the function."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_same, contents

F = rg.nn.functional
RNG = np.random.default_rng(5)
CALLS = 7
X = RNG.normal(size=(8, 3))
Y = RNG.normal(size=(8, 1))


def net(*more):
    layers = rg.nn.Linear(3, 4, rng=0), *more, rg.nn.Tanh(), rg.nn.Linear(4, 2, rng=1)
    return rg.nn.Sequential(*layers)


def train(model, head, wrap):
    """Train with a loss that is not compiled; return all that is left and the losses."""
    optimizer = rg.optim.Adam([*model.parameters(), *head.parameters()], lr=0.05)
    model = wrap(model)
    losses = []
    rg.manual_seed(3)
    for i in range(CALLS):
        optimizer.zero_grad()
        loss = F.mse_loss(head(model(X + i % 3)), Y)
        for p in model.parameters():
            loss = loss + 0.01 * np.sum(p**2)
        loss.backward()
        optimizer.step()
        losses.append(loss)
    return losses, contents(optimizer), contents(model), rg.random.generator().random()


@pytest.mark.parametrize(
    "more",
    [(), (rg.nn.Dropout(0.5),), (rg.nn.BatchNorm1d(4),), (rg.nn.BatchNorm1d(4), rg.nn.Dropout())],
    ids=["plain", "draws", "writes", "both"],
)
def test_a_compiled_module_trains_in_an_eager_loss_as_it_is(more):
    runs = [
        train(net(*copy.deepcopy(more)), rg.nn.Linear(2, 1, rng=2), wrap)
        for wrap in (lambda model: model, rg.compile)
    ]
    assert_same(runs[1], runs[0], 1e-9, 1e-12, "after training")


def same_gradients(make, calls=CALLS):
    """Compare gradients of leaves through a function and through its compiled twin."""
    (fn, *leaves), (other, *twins) = make(), make()
    compiled = rg.compile(other)
    for i in range(calls):
        for f, own in ((fn, leaves), (compiled, twins)):
            for t in own:
                t.grad = None
            outs = [t for t in rg.tree.leaves(f(own[0])) if t.requires_grad]
            sum(np.sum(np.sin(t * (i + 1))) for t in outs).backward()
        for t, twin in zip(leaves, twins, strict=True):
            assert (t.grad is None) == (twin.grad is None)
            if t.grad is not None:
                np.testing.assert_allclose(twin.grad, t.grad, rtol=1e-9)
    return compiled


def leaf(*shape, seed=0):
    return rg.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def test_gradients_flow_to_arguments_and_to_what_is_outside():
    def make():
        w = leaf(3, seed=1)
        return lambda x: np.exp(w * x) + np.sum(x), leaf(3), w

    compiled = same_gradients(make)
    assert len(compiled.programs) == 1


def test_several_results_in_a_tree_have_their_gradients():
    def make():
        w = leaf(3, seed=1)

        def f(x):
            return {"a": w * x, "b": [np.sum(x**2), np.sign(x)], "n": np.argmax(x)}

        return f, leaf(3), w

    same_gradients(make)
    f = rg.compile(make()[0])
    for _ in range(4):
        out = f(rg.Tensor(np.ones(3)))
        assert [t.requires_grad for t in rg.tree.leaves(out)] == [True, False, False, False]


def test_a_result_that_nobody_uses_needs_no_gradient():
    w, v = leaf(3), leaf(3, seed=1)
    f = rg.compile(lambda x: (w * x, v * x))
    for _ in range(5):
        w.grad = v.grad = None
        np.sum(f(X[0])[0]).backward()
        np.testing.assert_array_equal(w.grad, X[0])
        assert v.grad is None


def test_an_argument_with_a_graph_hands_its_gradient_on():
    w = leaf(3)
    f = rg.compile(lambda x, y: x * y * y)
    for i in range(5):
        w.grad = None
        h = np.exp(w)
        np.sum(f(h, h) * i).backward()
        np.testing.assert_allclose(w.grad, 3 * i * np.exp(3 * w.data))


def test_calls_before_one_backward_are_apart():
    w = leaf(3)
    f = rg.compile(lambda x: np.tanh(w * x))
    for _ in range(5):
        w.grad = None
        (np.sum(f(X[0]) * f(X[1])) + np.sum(f(X[2]))).backward()
        found, w.grad = w.grad, None
        (np.sum(np.tanh(w * X[0]) * np.tanh(w * X[1])) + np.sum(np.tanh(w * X[2]))).backward()
        np.testing.assert_allclose(found, w.grad)


def test_a_second_derivative_runs_the_function_as_it_is():
    w = leaf(3)
    f = rg.compile(lambda x: np.sum(w * x**3))
    for _ in range(5):
        x = rg.Tensor(np.arange(1.0, 4.0), requires_grad=True)
        (g,) = rg.autograd.grad(f(x), x, create_graph=True)
        (h,) = rg.autograd.grad(np.sum(g), x, create_graph=True)
        np.testing.assert_allclose(h.data, 6 * w.data * x.data)
        (dw,) = rg.autograd.grad(np.sum(h), w)
        np.testing.assert_allclose(dw.data, 6 * x.data)


def test_transforms_go_through_it():
    f = rg.compile(lambda x: np.sum(x**3))
    for _ in range(4):
        np.testing.assert_allclose(rg.func.grad(f)(np.arange(3.0)).data, 3 * np.arange(3.0) ** 2)
        np.testing.assert_allclose(
            rg.func.hessian(f)(np.arange(3.0)).data, np.diag(6 * np.arange(3.0))
        )


def test_a_parameter_written_between_the_call_and_backward_is_refused():
    w = leaf(3)
    f = rg.compile(lambda x: w * w * x)
    for _ in range(5):
        loss = np.sum(f(X[0]))
        with rg.no_grad():
            w += 1.0
        with pytest.raises(RuntimeError, match="written in place"):
            loss.backward()


def test_a_graph_is_freed_by_backward_and_kept_if_asked():
    w = leaf(3)
    f = rg.compile(lambda x: F.dropout(w * x, 0.5, rng=rng))
    rng = np.random.default_rng(0)
    for _ in range(5):
        loss = np.sum(f(np.ones(3)))
        w.grad = None
        loss.backward(retain_graph=True)
        first = w.grad.copy()
        loss.backward()
        np.testing.assert_array_equal(w.grad, 2 * first)
        with pytest.raises(RuntimeError, match="freed"):
            loss.backward()


def test_without_gradients_results_are_values():
    w = leaf(3)
    f = rg.compile(lambda x: w * x)
    for _ in range(4):
        with rg.no_grad():
            assert not f(X[0]).requires_grad
        assert f(X[0]).requires_grad
        assert not rg.compile(lambda x: x * 2)(X[0]).requires_grad
    assert len(f.programs) == 2


def test_a_step_that_calls_backward_returns_values():
    w = leaf(3)

    @rg.compile
    def step(x):
        loss = np.sum(w * x)
        w.grad = None
        loss.backward()
        return loss, w * x

    for _ in range(4):
        assert not any(t.requires_grad for t in step(X[0]))
        np.testing.assert_array_equal(w.grad, X[0])


def test_a_step_that_updates_by_hand_returns_values():
    w = leaf(3)

    @rg.compile
    def step(x):
        loss = np.sum(w * x)
        (g,) = rg.autograd.grad(loss, w, retain_graph=True)
        with rg.no_grad():
            w.__isub__(0.1 * g)
        return loss

    for _ in range(4):
        assert not step(X[0]).requires_grad


def test_a_tensor_outside_that_has_a_graph_is_used_as_it_is():
    w = leaf(3)
    held = {}
    f = rg.compile(lambda x: held["h"] * x)
    for i in range(5):
        held["h"] = np.exp(w) * i
        w.grad = None
        np.sum(f(X[0])).backward()
        np.testing.assert_allclose(w.grad, i * np.exp(w.data) * X[0])


def test_parameters_frozen_between_calls_get_no_gradient():
    model = net()
    fast = rg.compile(model)
    for i in range(8):
        model[0].weight.requires_grad_(i % 4 < 2)
        model.zero_grad()
        np.sum(fast(X)).backward()
        assert (model[0].weight.grad is None) == (i % 4 >= 2)
        assert model[0].bias.grad is not None


def test_plain_values_and_keywords_choose_what_is_run():
    w = leaf(3)
    f = rg.compile(lambda x, power=1, *, y: (w * x) ** power + y["shift"])
    for power in (1, 2, 3) * 3:
        w.grad = None
        np.sum(f(X[0], power, y={"shift": X[1]})).backward()
        np.testing.assert_allclose(w.grad, power * (w.data * X[0]) ** (power - 1) * X[0])


def test_no_memory_is_kept_of_calls_that_are_over():
    w = leaf(3)
    f = rg.compile(lambda x: w * x)
    for _ in range(5):
        np.sum(f(X[0])).backward()
    gc.collect()
    gc.disable()
    try:
        x = rg.Tensor(np.ones(3))
        out = f(x)
        gone = weakref.ref(x), weakref.ref(out)
        del x, out
        assert [r() for r in gone] == [None, None]
    finally:
        gc.enable()


def test_arguments_in_trees_and_those_that_require_grad_run_in_halves_too():
    w = leaf(3)

    def f(x, *, state):
        return np.exp(w * x) * state["h"]

    compiled = rg.compile(f)
    for i in range(1, 10):
        x, h = (rg.Tensor(X[j] * i / 9, requires_grad=True) for j in (0, 1))
        w.grad = None
        np.sum(compiled(x, state={"h": h})).backward()
        np.testing.assert_allclose(h.grad, np.exp(w.data * x.data))
        np.testing.assert_allclose(x.grad, w.data * np.exp(w.data * x.data) * h.data)
        np.testing.assert_allclose(w.grad, x.data * np.exp(w.data * x.data) * h.data)
    (program,) = compiled.programs
    assert program.graph._halves is not None


def sigmoid_alone(x, w, state):
    return F.sigmoid(x @ w)


def sigmoid_and_logits(x, w, state):
    return x @ w, F.sigmoid(x @ w)


def sigmoid_in_a_dict(x, w, state):
    z = x @ w
    return {"p": F.sigmoid(z), "z": z}


def sigmoid_after_a_write(x, w, state):
    with rg.no_grad():
        state += 1
    return F.sigmoid(x @ w / state)


def sigmoid_after_a_draw(x, w, state):
    return F.sigmoid(F.dropout(x, 0.5) @ w)


@pytest.mark.parametrize(
    "fn",
    [
        sigmoid_alone, sigmoid_and_logits, sigmoid_in_a_dict, sigmoid_after_a_write,
        sigmoid_after_a_draw,
    ],
)  # fmt: skip
def test_a_loss_that_has_one_formula_with_the_last_call_of_a_function_uses_it(fn):
    """Where a sigmoid is 1 to the last bit, its own slope is 0, and that formula's is not."""
    x, y = np.array([[1.0, 2.0], [-1.0, 3.0], [0.1, 1.0]]), np.array([[0.0], [1.0], [1.0]])

    def loss_of(out):
        if isinstance(out, tuple):
            return F.binary_cross_entropy(out[1], y) + np.sum(out[0]) / 7
        if isinstance(out, dict):
            return F.binary_cross_entropy(out["p"], y) + np.sum(out["z"] * out["p"])
        return F.binary_cross_entropy(out, y)

    found = []
    for make in (lambda net: net, rg.compile):
        rg.manual_seed(0)
        w, state = rg.Parameter(np.array([[50.0], [0.1]])), rg.Tensor(np.ones(()))
        net, gradients = make(lambda x, w=w, state=state: fn(x, w, state)), []
        for i in range(12):
            w.grad = None
            loss_of(net(rg.Tensor(x + i))).backward()
            gradients.append(w.grad)
        found.append((gradients, state.item()))
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-13)
    assert found[1][1] == found[0][1]


def test_gradients_that_are_kept_are_never_written_by_later_calls():
    rg.manual_seed(0)
    net = rg.nn.Sequential(rg.nn.Linear(80, 70), rg.nn.Tanh(), rg.nn.Linear(70, 1))
    twin, fast = copy.deepcopy(net), rg.compile(net)
    rng, kept = np.random.default_rng(0), []
    for _ in range(14):
        x = rng.normal(size=(5, 80))
        for model in (fast, twin):
            for p in model.parameters():
                p.grad = None
            np.sum(model(rg.Tensor(x)) ** 2).backward()
        pairs = zip(net.parameters(), twin.parameters(), strict=True)
        kept.append([(p.grad, p.grad.copy(), q.grad) for p, q in pairs])
    assert net[0].weight.grad.nbytes > 16_384
    for call in kept:
        for grad, then, expected in call:
            np.testing.assert_array_equal(grad, then)
            np.testing.assert_allclose(grad, expected, rtol=1e-12)
    arrays = [grad for call in kept for grad, _, _ in call]
    for i, one in enumerate(arrays):
        assert one.flags.writeable
        assert one.base is None
        assert not any(np.may_share_memory(one, other) for other in arrays[:i])


class TwoHeads(rg.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = rg.nn.Linear(3, 4, rng=0)
        self.first, self.second = rg.nn.Linear(4, 2, rng=1), rg.nn.Linear(4, 2, rng=2)

    def forward(self, x):
        h = np.tanh(self.body(x))
        return {"first": F.sigmoid(self.first(h)), "second": (self.second(h), 3)}


def gradients_of_both(net, loss_of, calls=12, change=lambda i, net: None):
    """Return the gradients of each call of a net, run as it is and compiled."""
    found = []
    for make in (lambda net: net, rg.compile):
        inner = copy.deepcopy(net)
        fn, rng, gradients = make(inner), np.random.default_rng(0), []
        for i in range(calls):
            change(i, inner)
            x = rg.Tensor(rng.normal(size=(5, 3)), requires_grad=True)
            for p in inner.parameters():
                p.grad = None
            loss_of(i, fn(x), x).backward()
            grads = [x.grad, *[p.grad for p in inner.parameters()]]
            gradients.append([None if g is None else g.copy() for g in grads])
        found.append(gradients)
    return found


def assert_alike(found):
    for eager, compiled in zip(*found, strict=True):
        for g, h in zip(eager, compiled, strict=True):
            assert (g is None) == (h is None)
            if g is not None:
                np.testing.assert_allclose(h, g, rtol=1e-12, atol=1e-15)


def test_what_is_behind_an_unused_result_alone_has_no_gradient_rather_than_zeros():
    def loss_of(i, out, x):
        loss = F.binary_cross_entropy(out["first"], np.full((5, 2), 0.3)) if i % 3 else 0.0
        return loss + np.sum(out["second"][0]) * out["second"][1] if i % 3 < 2 else loss

    found = gradients_of_both(TwoHeads(), loss_of)
    assert any(g is None for call in found[0] for g in call)
    assert_alike(found)


def test_a_penalty_on_gradients_of_the_input_goes_through_a_last_call_with_one_formula():
    net = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.Sigmoid())

    def loss_of(i, out, x):
        loss = F.binary_cross_entropy(out, np.full((5, 4), 0.3))
        (slope,) = rg.autograd.grad(loss, x, create_graph=True)
        return loss + np.sum(slope**2) + np.sum(out) / 9

    assert_alike(gradients_of_both(net, loss_of))


def test_hooks_of_parameters_and_results_are_called_once_as_they_are():
    handles = []

    def change(i, net):
        if i == 3:
            handles.append(net[0].weight.register_hook(lambda g: g * 2))
        if i == 9:
            handles.pop().remove()

    def loss_of(i, out, x):
        if i % 2:
            out.register_hook(lambda g: g * 3)
        return F.binary_cross_entropy(out, np.full((5, 4), 0.3))

    net = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.Sigmoid())
    assert_alike(gradients_of_both(net, loss_of, 20, change))


def test_layers_frozen_and_replaced_between_calls():
    def change(i, net):
        if i == 5:
            net[0].requires_grad_(False)
        if i == 9:
            net[0].requires_grad_(True)
            net[2] = rg.nn.Linear(4, 1, rng=7)
        if i == 13:
            net[1] = rg.nn.Sigmoid()

    net = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.Tanh(), rg.nn.Linear(4, 1, rng=1))
    assert_alike(gradients_of_both(net, lambda i, out, x: np.sum(out**2), 18, change))

import copy
import pickle

import numpy as np
import pytest

import retrograd as rg
from golden import array, assert_all_same, assert_same, decode, table
from retrograd import nn
from retrograd.nn.utils import (
    remove_spectral_norm,
    remove_weight_norm,
    spectral_norm,
    weight_norm,
)

CASES = table("weight_norms")["cases"]


def prepared(case):
    module = getattr(nn, case["name"])(*case["args"])
    assert getattr(nn.utils, case["function"])(module, **case["kwargs"]) is module
    assert list(module.state_dict()) == list(case["state"])
    module.load_state_dict(decode(case["state"]))
    return module


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_outputs_gradients_and_state_are_pytorchs(case):
    module, (x,) = prepared(case), decode(case["inputs"])
    outputs = [module.train(training)(x) for training in (True, True, False)]
    for output, expected in zip(outputs, case["outputs"], strict=True):
        assert_same(output, expected, "output")
    sum((out * decode(case["upstream"])).sum() for out in outputs).backward()
    gradients = {name: p.grad for name, p in module.named_parameters()}
    assert_all_same(gradients, case["parameter_grads"], "gradient of")
    assert_all_same(module.state_dict(), case["state_after"], "state")


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_compiled_steps_do_the_same(case):
    eager, compiled = prepared(case), prepared(case)
    (x,) = decode(case["inputs"])
    x = rg.Tensor(x)

    def step(module, optimizer):
        optimizer.zero_grad()
        loss = (module(x) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    optimizers = [rg.optim.SGD(m.parameters(), lr=0.01) for m in (eager, compiled)]
    program = rg.compile(lambda: step(compiled, optimizers[1]))
    for _ in range(4):
        np.testing.assert_allclose(array(program()), array(step(eager, optimizers[0])))
    for name, value in eager.state_dict().items():
        np.testing.assert_allclose(compiled.state_dict()[name], value, err_msg=name)


@pytest.mark.parametrize(("put", "remove"), [(weight_norm, remove_weight_norm),
                                             (spectral_norm, remove_spectral_norm)])  # fmt: skip
def test_what_is_removed_leaves_the_weight_that_it_had(put, remove):
    layer = nn.Linear(3, 2)
    put(layer).eval()
    weight = layer.weight.data.copy()
    assert remove(layer) is layer
    assert type(layer) is nn.Linear
    assert isinstance(layer.weight, nn.Parameter)
    np.testing.assert_array_equal(layer.weight.data, weight)
    assert list(layer.state_dict()) == ["bias", "weight"]
    assert list(layer.named_buffers()) == []
    with pytest.raises(ValueError, match=r"Linear\.weight has no (weight|spectral)_norm"):
        remove(layer)


def test_the_weight_is_the_same_at_first_and_two_may_be_computed():
    cell = nn.GRUCell(3, 2)
    before = {name: p.data.copy() for name, p in cell.named_parameters()}
    weight_norm(weight_norm(cell, "weight_ih"), "weight_hh")
    np.testing.assert_allclose(cell.weight_ih.data, before["weight_ih"])
    np.testing.assert_allclose(cell.weight_hh.data, before["weight_hh"])
    remove_weight_norm(cell, "weight_ih")
    np.testing.assert_allclose(cell.weight_hh.data, before["weight_hh"])
    assert isinstance(cell.weight_ih, nn.Parameter)
    assert repr(cell) == repr(nn.GRUCell(3, 2))


def test_such_modules_are_copied_and_pickled():
    layer, x = weight_norm(nn.Linear(3, 2)), np.ones(3)
    for made in (copy.deepcopy(layer), copy.copy(layer), pickle.loads(pickle.dumps(layer))):
        assert isinstance(made, nn.Linear)
        np.testing.assert_array_equal(made(x).data, layer(x).data)
    made = copy.deepcopy(layer)
    made.weight_g.data *= 2
    assert not np.array_equal(made(x).data, layer(x).data)


def test_misuse_is_told():
    for put in (weight_norm, spectral_norm):
        with pytest.raises(ValueError, match="ReLU has no Parameter 'weight'"):
            put(nn.ReLU())
        with pytest.raises(TypeError, match="axis="):
            put(nn.Linear(3, 2), dim=0)
        with pytest.raises(AttributeError, match=r"Linear\.weight is computed of"):
            put(nn.Linear(3, 2)).weight = nn.Parameter(np.ones((2, 3)))
    with pytest.raises(ValueError, match="n_power_iterations"):
        spectral_norm(nn.Linear(3, 2), n_power_iterations=0)

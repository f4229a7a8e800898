"""A compiled Module is the Module: parameters, modes, state, what is inside."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import retrograd as rg

X = np.linspace(-1.0, 1.0, 6).reshape(2, 3)


def make():
    inner = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.Dropout(0.5), rg.nn.Linear(4, 1))
    return inner, rg.compile(inner)


def test_what_a_module_has_its_compiled_twin_has():
    inner, model = make()
    assert isinstance(model, rg.nn.Module)
    assert list(map(id, model.parameters())) == list(map(id, inner.parameters()))
    assert list(model.state_dict()) == list(inner.state_dict())
    assert [name for name, _ in model.named_modules()] == ["", "0", "1", "2"]
    assert model[0] is inner[0]
    assert (len(model), [*model]) == (3, [*inner])
    assert repr(model) == repr(inner)
    assert model.summary(X) == inner.summary(X)
    assert "register_buffer" in dir(model)
    with pytest.raises(AttributeError, match="nothing"):
        _ = model.nothing


def test_modes_attributes_and_hooks_are_those_of_the_module():
    inner, model = make()
    assert model.eval() is not None
    assert not inner.training
    assert not model[1].training
    model.training = True
    assert inner.training
    model.train()
    assert inner[1].training
    model.scale = 3.0
    assert inner.scale == 3.0
    del model.scale
    assert not hasattr(inner, "scale")
    model.zero_grad()
    model.requires_grad_(False)
    assert not inner[0].weight.requires_grad
    model.float()
    assert inner[0].weight.dtype == np.float32


def test_a_module_whose_class_knows_no_length_is_true():
    model = rg.compile(rg.nn.Linear(3, 1))
    assert model
    with pytest.raises(TypeError):
        len(model)


def test_it_stands_inside_other_modules(tmp_path):
    inner, model = make()
    outer = rg.nn.Sequential(model, rg.nn.Tanh()).eval()
    assert next(iter(outer.state_dict())) == "0.0.weight"
    for _ in range(4):
        np.testing.assert_allclose(outer(X).data, np.tanh(inner(X).data))
        np.testing.assert_allclose(rg.compile(outer)(X).data, np.tanh(inner(X).data))
    rg.save(outer.state_dict(), tmp_path / "state.npz")
    outer.load_state_dict(rg.load(tmp_path / "state.npz"))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_parameters_of_its_own(copied):
    _, model = make()
    model.eval()
    model(X)
    other = copied(model)
    assert not other.programs
    assert other[0].weight is not model[0].weight
    other[2].bias.data = other[2].bias.data + 1.0
    for _ in range(4):
        np.testing.assert_allclose(other(X).data, model(X).data + 1.0)


def test_what_is_compiled_already_stays_as_it_is():
    _, model = make()
    assert rg.compile(model) is model

import numpy as np
import pytest

import retrograd as rg


def models(count):
    """A model, and the weights of its next `count` moments."""
    rng = np.random.default_rng(0)
    model = rg.nn.Sequential(rg.nn.Linear(3, 2), rg.nn.ReLU(), rg.nn.Linear(2, 1))
    moments = [
        {name: rng.standard_normal(value.shape) for name, value in model.state_dict().items()}
        for _ in range(count)
    ]
    return model, moments


@pytest.mark.parametrize("decay", [None, 0.9])
def test_the_average_is_that_of_the_formula(decay):
    model, moments = models(4)
    average = rg.optim.AveragedModel(model, decay)
    expected = None
    for n, moment in enumerate(moments):
        model.load_state_dict(moment)
        average.update_parameters(model)
        keep = (n / (n + 1)) if decay is None else decay
        expected = moment if n == 0 else {
            name: keep * expected[name] + (1 - keep) * value for name, value in moment.items()
        }  # fmt: skip
    for name, value in average.module.state_dict().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-14)
    assert average.n_averaged == 4
    x = np.ones((5, 3))
    model.load_state_dict(expected)
    np.testing.assert_allclose(average(x).data, model(x).data, rtol=1e-13)


def test_the_average_has_pytorchs_keys_and_continues_from_them():
    model, moments = models(3)
    average = rg.optim.AveragedModel(model)
    average.update_parameters(model)
    saved = average.state_dict()
    assert set(saved) == {"n_averaged", *(f"module.{name}" for name in model.state_dict())}
    again = rg.optim.AveragedModel(models(0)[0])
    again.load_state_dict(saved)
    model.load_state_dict(moments[0])
    for each in (average, again):
        each.update_parameters(model)
    for name, value in average.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], value)


def test_the_average_leaves_the_model_alone():
    model, moments = models(1)
    average = rg.optim.AveragedModel(model)
    model.load_state_dict(moments[0])
    average.update_parameters(model)
    average.module[0].weight.data[...] = 0.0
    np.testing.assert_array_equal(model[0].weight.data, moments[0]["0.weight"])


def test_buffers_are_copied():
    class Counting(rg.nn.Module):
        def __init__(self):
            self.weight = rg.nn.Parameter([1.0])
            self.register_buffer("count", np.array(0))

    model = Counting()
    average = rg.optim.AveragedModel(model)
    for _ in range(3):
        model.count += 1
        average.update_parameters(model)
    assert average.module.count == 3


def test_another_model_and_a_wrong_decay_are_refused():
    average = rg.optim.AveragedModel(rg.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="the names differ: bias"):
        average.update_parameters(rg.nn.Linear(1, 1, bias=False))
    with pytest.raises(ValueError, match="decay must be"):
        rg.optim.AveragedModel(rg.nn.Linear(1, 1), decay=1.0)


def test_an_update_says_that_it_cannot_be_compiled():
    model = rg.nn.Linear(1, 1)
    average = rg.optim.AveragedModel(model)
    with pytest.raises(rg.TraceError, match=r"AveragedModel\.update_parameters"):
        rg.compile(lambda: average.update_parameters(model))()

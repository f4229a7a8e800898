import numpy as np
import pytest

import retrograd as rg


def test_the_rates_are_found_and_the_costs_told(check):
    first, *_, found, cost = check("fit_an_ode")
    assert first == "step 0: misfit 1.5e-01"
    assert found == "found growth 1.09, dying 0.41, eaten 0.40, feeding 0.10"
    assert cost.count(" ms and ") == 3


def test_gradients_are_those_of_differences_with_checkpoint_too(load):
    example = load("fit_an_ode")
    measured = example.make_data(np.random.default_rng(1))

    def misfit(rates, call):
        params = {"rates": rates, "start": np.log(example.START)}
        return np.mean((example.solution(params, call) - measured) ** 2)

    rates = np.log(np.abs(example.RATES)) + 0.1
    assert rg.testing.gradcheck(lambda r: misfit(r, lambda f, *args: f(*args)), rates)
    plain, again = (
        rg.func.grad(misfit)(rates, call)
        for call in (lambda f, *args: f(*args), rg.func.checkpoint)
    )
    np.testing.assert_allclose(plain.data, again.data, rtol=1e-12)


def test_a_run_that_finds_nothing_fails(load, monkeypatch, capsys):
    example = load("fit_an_ode")
    monkeypatch.setattr(example, "train", lambda *_: None)
    monkeypatch.setattr(example, "cost_of", lambda step: "")
    assert example.main([]) == 1
    assert "expected the rates" in capsys.readouterr().err


def test_bad_input_is_refused(load):
    with pytest.raises(SystemExit):
        load("fit_an_ode").main(["--steps", "0"])

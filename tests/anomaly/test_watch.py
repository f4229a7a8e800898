"""`rg.detect_anomaly` finds the first nan at the user's line, and tells what usually helps."""

import linecache
import warnings

import numpy as np
import pytest

import retrograd as rg
import retrograd.engine
from anomaly.planted import PLANTED

F = rg.nn.functional


def leaf(value):
    return rg.Tensor(np.array(value, float), requires_grad=True)


def line_of(function):
    return linecache.getline(function.__code__.co_filename, function.__code__.co_firstlineno)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_at_its_line_with_its_cure(name):
    planted = PLANTED[name]
    with pytest.raises(rg.AnomalyError) as caught, rg.detect_anomaly():
        np.sum(planted.compute(leaf(planted.value))).backward()
    fault, text = caught.value.fault, str(caught.value)
    assert (fault.function, fault.of, fault.index) == (
        planted.function, planted.of, planted.index,
    )  # fmt: skip
    assert planted.cure in fault.cure
    assert fault.line.text == line_of(planted.compute).strip()
    assert fault.line.text in text
    assert fault.cure in text
    assert planted.function in text


def test_what_is_finite_passes_and_is_the_same():
    def run():
        net = rg.nn.Sequential(
            rg.nn.Conv2d(1, 2, 3, rng=0), rg.nn.BatchNorm2d(2), rg.nn.ReLU(), rg.nn.MaxPool2d(2),
            rg.nn.Flatten(), rg.nn.Dropout(0.3, rng=1), rg.nn.Linear(8, 3, rng=2),
        )  # fmt: skip
        optimizer = rg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        x = np.random.default_rng(0).normal(size=(4, 1, 6, 6))
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), np.array([0, 1, 2, 0]))
            loss.backward()
            rg.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        return net.state_dict()

    with rg.detect_anomaly():
        watched = run()
    for name, right in run().items():
        np.testing.assert_array_equal(watched[name], right)


def test_inf_that_is_meant_passes():
    scores, hidden = leaf([[1.0, 2.0], [3.0, 4.0]]), np.array([[False, True], [False, False]])
    with rg.detect_anomaly():
        masked = np.where(hidden, -np.inf, scores)
        by_hand = np.exp(masked - np.max(masked, axis=1, keepdims=True))
        (np.sum(F.softmax(masked, 1) ** 2) + np.sum(by_hand)).backward()
        np.sum(np.nan_to_num(scores * 1.0)).backward()
        assert np.isnan(np.where(hidden, np.nan, scores).data).any()
        assert np.nanmean(rg.Tensor([1.0, np.nan])).item() == 1.0
        np.linspace(leaf(1.0), 2.0, 1)
    assert np.isfinite(scores.grad).all()


def test_the_first_bad_place_is_told_with_the_inputs_there():
    x, y = leaf([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]]), leaf([1.0, 0.0])
    with pytest.raises(rg.AnomalyError) as caught, rg.detect_anomaly():
        x / y
    fault = caught.value.fault
    assert (fault.count, fault.places) == (3, [(0, 1), (1, 1), (2, 1)])
    assert fault.numbers == {"x": 2.0, "y": 0.0, "out": np.inf}
    text = str(caught.value)
    assert "3 of 6 elements, shape (3, 2), are not finite: 1 nan and 2 inf" in text
    assert "from x = 2, y = 0" in text


def test_where_elements_do_not_belong_together_the_ranges_are_told():
    x = leaf([[1e200, 1.0], [2.0, 3.0]])
    message = r"x has the shape \(2, 2\), from 1 to 1e\+200"
    with pytest.raises(rg.AnomalyError, match=message), rg.detect_anomaly():
        x @ x


def test_nan_in_a_parameter_is_told_from_nan_in_the_data():
    weight = leaf([1.0, np.nan])
    with pytest.raises(rg.AnomalyError, match="spoiled by an earlier update"), rg.detect_anomaly():
        weight * 2
    weight = leaf([1.0, np.inf])
    with pytest.raises(rg.AnomalyError, match="spoiled by an earlier update"), rg.detect_anomaly():
        weight * 2
    with pytest.raises(rg.AnomalyError, match="it is in the data"), rg.detect_anomaly():
        leaf([1.0, 2.0]) * rg.Tensor([1.0, np.nan])


def test_a_gradient_that_is_nan_from_the_start_is_told():
    with pytest.raises(rg.AnomalyError, match="`gradient=`"), rg.detect_anomaly():
        np.exp(leaf([1.0])).backward(np.array([np.nan]))


def test_gradients_that_overflow_where_they_meet_are_told():
    x = leaf(1.0)
    with rg.detect_anomaly():
        y = x * 1.0
        with pytest.raises(rg.AnomalyError, match="the sum of the gradients that meet"):
            (y + y).backward(np.array(1.7e308))


def test_second_derivatives_are_watched_too():
    def square_root(x):
        return np.sum(np.sqrt(x))

    x = leaf([1.0, 0.0])
    with pytest.raises(rg.AnomalyError) as caught, rg.detect_anomaly():
        rg.autograd.grad(square_root(x), x, create_graph=True)
    assert caught.value.fault.function == "np.sqrt"
    assert "np.sqrt(x)" in caught.value.fault.line.text
    with pytest.raises(rg.AnomalyError, match="second derivative at a kink"), rg.detect_anomaly():
        rg.func.hessian(lambda x: np.sum(np.abs(x) ** 3 * x))(np.array([1.0, 0.0]))
    with rg.detect_anomaly():
        np.testing.assert_allclose(
            rg.func.hessian(square_root)(np.array([1.0, 4.0])).data, np.diag([-0.25, -1 / 32])
        )


def test_functions_of_the_users_are_named():
    @rg.primitive
    def fourth_root(x):
        return np.sqrt(np.sqrt(x))

    rg.defvjp(fourth_root, lambda g, out, x: g / (4 * out**3))

    class Reciprocal(rg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 1.0 / (x + 1.0)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g / x

    message = r"gradient of fourth_root for x(.|\n)*gradcheck"
    with pytest.raises(rg.AnomalyError, match=message), rg.detect_anomaly():
        np.sum(fourth_root(leaf([1.0, 0.0]))).backward()
    message = "gradient of Reciprocal"
    with pytest.raises(rg.AnomalyError, match=message) as caught, rg.detect_anomaly():
        np.sum(Reciprocal.apply(leaf([1.0, 0.0]))).backward()
    assert "Reciprocal.apply" in caught.value.fault.line.text


def test_inside_a_module_the_users_line_is_that_of_its_forward():
    class Layer(rg.nn.Module):
        def forward(self, x):
            return np.log(x)

    net = rg.nn.Sequential(rg.nn.Linear(2, 2, bias=False), rg.nn.ReLU(), Layer())
    with pytest.raises(rg.AnomalyError) as caught, rg.detect_anomaly():
        net(np.zeros((1, 2)))
    assert caught.value.fault.line.text == "return np.log(x)"


def test_a_compiled_function_runs_as_it_is_written():
    step = rg.compile(lambda x: np.mean(np.log(x)))
    step(np.ones(2))
    with pytest.raises(rg.AnomalyError, match=r"np\.log"), rg.detect_anomaly():
        step(rg.Tensor([1.0, 0.0]))


@pytest.mark.parametrize("which", ["argument", "result", "memory it shares"])
def test_a_write_that_the_library_does_not_see_is_an_error_at_backward(which):
    x, shared = leaf([1.0, 2.0]), np.ones(2)

    def run():
        y = np.exp(x * shared)
        written = {"argument": x.data, "result": y.data, "memory it shares": shared}[which]
        written[0] = 5.0
        np.sum(y).backward()

    message = r"was written into(.|\n)*y = np.exp"
    with pytest.raises(RuntimeError, match=message) as caught, rg.detect_anomaly():
        run()
    assert not isinstance(caught.value, rg.AnomalyError)
    assert x.grad is None


def test_it_nests_ends_after_an_error_and_minds_no_grad():
    watch = rg.detect_anomaly()
    x = leaf([0.0])
    for _ in range(2):
        with pytest.raises(rg.AnomalyError), watch, watch, rg.no_grad():
            np.log(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.log(x).item() == -np.inf


def test_nothing_is_kept_of_graphs_that_are_gone():
    watch = rg.detect_anomaly()
    with watch:
        watcher = rg.engine.current_mode().tell.__self__
        for _ in range(3):
            np.sum(np.exp(leaf([1.0, 2.0]))).backward()
    assert not watcher._notes


def test_numpy_itself_names_the_rule():
    x = leaf([1.0, 0.0])
    with pytest.raises(FloatingPointError) as caught, np.errstate(all="raise"):
        np.sum(np.sqrt(x)).backward()
    assert any("in the gradient of np.sqrt" in note for note in caught.value.__notes__)


def test_nan_that_is_looked_for_in_the_data_is_no_fault():
    data = rg.Tensor(np.array([[1.0, np.nan], [3.0, 4.0]]))
    w = leaf([1.0, 2.0])
    with rg.detect_anomaly():
        assert np.nanmedian(data).item() == 3.0
        assert np.nanmax(data, axis=0).tolist() == [3.0, 4.0]
        known = np.where(np.isnan(data.T), 0.0, data.T)
        np.sum(known @ w).backward()
    np.testing.assert_array_equal(w.grad, [1.0, 7.0])

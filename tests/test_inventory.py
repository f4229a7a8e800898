import inspect

import numpy as np
import pytest

import retrograd as rg
from retrograd.engine import spelled
from retrograd.engine.rule import ADAPTED, COMPOSED, REFUSED
from retrograd.rules.writing import WRITERS
from rules import cases  # noqa: F401, fills CASES
from rules.drawing import CASES, newer
from rules.test_elementwise import UFUNCS


def test_the_list_is_complete_for_the_installed_numpy():
    assert rg.coverage().unknown == ()


def test_no_function_is_in_two_lists():
    found = rg.coverage()
    names = [*found.differentiable, *found.without_gradient, *found.metadata, *found.refused]
    assert len(names) == len(set(names))


def test_what_differentiates_is_checked_by_the_properties():
    checked = {spelled(fn) for fn in (*CASES, *UFUNCS, *WRITERS, np.add.at, np.subtract.at)}
    found = rg.coverage()
    assert set(found.differentiable) <= checked
    assert {name for name in found.methods if name.startswith("np.")} <= checked


def test_there_are_at_least_250_callables_that_differentiate():
    found = rg.coverage()
    assert len(found.differentiable) + len(found.methods) >= 250


def test_the_counts_are_printed():
    assert f"{len(rg.coverage().differentiable):4} functions differentiate" in str(rg.coverage())


WITHOUT = [np.sign, np.floor, np.round, np.argmax, np.argsort, np.isnan, np.any, np.zeros_like]


@pytest.mark.parametrize("fn", WITHOUT, ids=spelled)
def test_a_function_without_gradient_gives_a_tensor_without(fn):
    out = fn(rg.Tensor([1.5, -2.5], requires_grad=True))
    assert isinstance(out, rg.Tensor)
    assert not out.requires_grad
    np.testing.assert_array_equal(out.data, fn(np.array([1.5, -2.5])))


@pytest.mark.parametrize("fn", [np.nonzero, np.flatnonzero, np.argwhere, np.unravel_index, np.ix_])
def test_positions_come_as_from_numpy(fn):
    x = np.array([[1, 0], [2, 3]]) if fn is not np.ix_ else np.array([0, 1])
    args = ((4, 4),) if fn is np.unravel_index else ()
    found, expected = fn(rg.Tensor(x), *args), fn(x, *args)
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_array_equal(f.data, e)


@pytest.mark.parametrize("fn", [np.shape, np.ndim, np.size, np.iscomplexobj, np.result_type])
def test_a_question_about_an_array_is_answered_plainly(fn):
    x = np.ones((2, 3), np.float32)
    assert fn(rg.Tensor(x)) == fn(x)


CALLS = {
    np.ones: lambda t: np.ones(2, like=t),
    np.save: lambda t: np.save("x.npy", t),
    np.histogram2d: lambda t: np.histogram2d(t, t),
    np.polydiv: lambda t: np.polydiv(t, t),
    np.isnat: lambda t: np.isnat(t),
}


@pytest.mark.parametrize("fn", CALLS, ids=spelled)
def test_a_refused_function_says_what_to_write(fn):
    with pytest.raises(TypeError) as error:
        CALLS[fn](rg.Tensor([1.0, 2.0], requires_grad=True))
    assert spelled(fn) in str(error.value)
    assert REFUSED[fn] in str(error.value)


ANSWERS = {**ADAPTED, **COMPOSED}


def has_named_arguments(fn):
    """Tell whether NumPy and we name all arguments: not of a ufunc, not for `*args`."""
    try:
        both = inspect.signature(fn), inspect.signature(ANSWERS[fn])
    except ValueError:  # made in C: NumPy before 2.4 does not tell
        return False
    kinds = {p.kind for signature in both for p in signature.parameters.values()}
    return not isinstance(fn, np.ufunc) and inspect.Parameter.VAR_POSITIONAL not in kinds


@pytest.mark.parametrize("fn", [*filter(has_named_arguments, ANSWERS)], ids=spelled)
def test_an_answer_takes_numpys_arguments_in_numpys_order(fn):
    theirs = inspect.signature(fn).parameters
    ours = inspect.signature(ANSWERS[fn]).parameters
    by_position = [p.name for p in ours.values() if p.kind is not p.KEYWORD_ONLY]
    by_position = [name for name in by_position if ours[name].kind is not ours[name].VAR_KEYWORD]
    expected = [p.name for p in theirs.values() if p.kind is not p.KEYWORD_ONLY]
    expected = ["shape" if name == "newshape" else name for name in expected]  # NumPy 2.0
    assert by_position[: len(expected)] == expected[: len(by_position)]
    renamed = {"x1", "x2", "x"}
    for name, parameter in ours.items():
        theirs_too = theirs.get(name)
        if theirs_too is not None and name not in renamed and isinstance(
            theirs_too.default, (int, float, str, bool)
        ):  # fmt: skip
            assert parameter.default == theirs_too.default, name


def test_newer_functions_are_looked_up_by_name():
    assert newer("linalg.norm") is np.linalg.norm
    assert newer("no_such_function") is None


def test_a_notebook_shows_the_coverage_as_a_table_with_all_names():
    found = rg.coverage()
    html = found._repr_html_()
    assert f">{len(found.differentiable)}</td>" in html
    assert ", np.cumsum, " in html

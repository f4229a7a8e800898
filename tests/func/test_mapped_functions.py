"""Every function of NumPy that has a rule gives in a batch what it gives in a loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrograd as rg
from retrograd.engine import spelled
from retrograd.func import vmap
from rules import cases  # noqa: F401, fills CASES
from rules.checking import ASKED, floats, gradients, make, replace_floats, tensors
from rules.drawing import CASES, STAND_INS, Draw
from rules.test_elementwise import UFUNCS, arguments

SIZE = 3


def compare_with_loop(fn, args, kwargs, seed, order):
    """Compare values and gradients, through the batch and inside it, with a loop over entries.

    Args:
        fn: the function.
        args: its arguments, with placeholders.
        kwargs: its keywords.
        seed: for the values.
        order: whether gradients are taken around the batch (1), or inside it (2).
    """
    rng = np.random.default_rng(seed)
    trees = [make((tuple(args), kwargs or {}), rng) for _ in range(SIZE)]
    entries = [floats(tree)[: ASKED.get(fn)] for tree in trees]
    if not entries[0]:
        return
    # every second argument is shared by all entries, though never the first
    shared = [i % 2 == 1 and seed % 2 == 1 for i in range(len(entries[0]))]
    for entry in entries:
        entry[:] = [entries[0][i] if shared[i] else x for i, x in enumerate(entry)]
    rest = floats(trees[0])[len(entries[0]) :]
    columns = [
        entries[0][i] if shared[i] else np.stack([entry[i] for entry in entries])
        for i in range(len(shared))
    ]
    axes = tuple(None if one else 0 for one in shared)

    def run(*leaves):
        given, named = replace_floats(trees[0], [*leaves, *rest])
        out = fn(*given, **named)
        outs = list(out) if isinstance(out, (tuple, list)) else [out]
        return [o if isinstance(o, rg.Tensor) else rg.Tensor(o) for o in outs]

    def slopes(*leaves):
        return rg.func.grad(lambda *xs: total(run(*xs)), tuple(range(len(leaves))))(*leaves)

    if order == 1:
        leaves = tensors(columns)
        got = vmap(run, in_axes=axes)(*leaves)
        each = [tensors(entry) for entry in entries]
        for i, leaf in enumerate(leaves):
            if shared[i]:
                for one in each:
                    one[i] = leaf
        want = [run(*one) for one in each]
    else:
        got = vmap(slopes, in_axes=axes)(*columns)
        want = [slopes(*entry) for entry in entries]
    for i, whole in enumerate(got):
        expected = np.stack([one[i].data for one in want])
        assert whole.dtype == expected.dtype
        np.testing.assert_allclose(whole.data, expected, rtol=1e-9, atol=1e-9)
    if order == 1:
        outs = [o for o in got if o.dtype.kind == "f"]
        us = [np.cos(np.arange(o.size)).reshape(o.shape).astype(o.dtype) for o in outs]
        found = gradients(outs, leaves, us, False)
        lists = [[one[i] for one in want] for i, o in enumerate(got) if o.dtype.kind == "f"]
        flat = [t for ts in lists for t in ts]
        weights = [u for us_ in us for u in us_]
        for i, leaf in enumerate(leaves):
            inputs = [leaf] if shared[i] else [one[i] for one in each]
            parts = [g.data for g in gradients(flat, inputs, weights, True)]
            expected = parts[0] if shared[i] else np.stack(parts)
            np.testing.assert_allclose(found[i].data, expected, rtol=1e-8, atol=1e-8)


def total(outs):
    return sum((np.sum(np.sin(o)) for o in outs if o.dtype.kind == "f"), np.float64(0.0))


FUNCTIONS = [fn for fn in CASES if fn is not np.trim_zeros]


@pytest.mark.parametrize("fn", FUNCTIONS, ids=spelled)
@settings(max_examples=max(3, settings.default.max_examples // 10))
@given(st.data())
def test_a_batch_gives_what_a_loop_gives(fn, data):
    draw = Draw(data)
    args, kwargs = draw.one_of(*CASES[fn])(draw)
    fn = STAND_INS.get(fn, fn)
    compare_with_loop(fn, args, kwargs, draw.integer(0, 1000), draw.one_of(1, 2))


@pytest.mark.parametrize("fn", UFUNCS, ids=lambda fn: fn.__name__)
@settings(max_examples=max(3, settings.default.max_examples // 10))
@given(st.data())
def test_a_ufunc_gives_in_a_batch_what_it_gives_in_a_loop(fn, data):
    draw = Draw(data)
    compare_with_loop(fn, arguments(fn, data), {}, draw.integer(0, 1000), draw.one_of(1, 2))


def test_modules_and_compiled_functions_run_inside():
    net = rg.nn.Sequential(rg.nn.Linear(2, 3, rng=0), rg.nn.Tanh())
    x = np.arange(8.0).reshape(4, 2) / 4
    energy = rg.compile(lambda x: np.sum(net(x) ** 2))
    np.testing.assert_allclose(rg.func.vmap(lambda x: net(x))(x).data, net(x).data)
    np.testing.assert_allclose(rg.func.vmap(energy)(x).data, np.sum(net(x) ** 2, axis=1).data)
    per_entry = rg.func.vmap(rg.func.grad(lambda x: np.sum(net(x) ** 2)))(x)
    whole = rg.func.grad(lambda x: np.sum(net(x) ** 2))(x)
    np.testing.assert_allclose(per_entry.data, whole.data)


def test_who_watches_hears_of_what_runs_inside():
    with pytest.raises(rg.AnomalyError, match=r"np\.log"), rg.detect_anomaly():
        rg.func.vmap(lambda x: np.log(x))(np.array([1.0, 0.0]))

"""Every module and function, compiled: at equal values first, then at others, it is what it is."""

import numpy as np
import pytest

import retrograd as rg
from comparing import as_tensor, assert_compiled_agrees
from golden import MODULES, build, cases, decode, flat

# one_hot without a number of classes looks at the labels for it, which no program may
ALL = [p for p in [*cases(MODULES), *cases(MODULES, key="function")] if p.id != "one_hot"]


def others(value):
    """Return other values of the same kind, in the same range."""
    if isinstance(value, tuple | list):
        return type(value)(others(item) for item in value)
    return value * value.dtype.type(0.9) if value.dtype.kind == "f" else value[::-1].copy()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ALL)
def test_what_is_compiled_follows_its_inputs(case):
    inputs = decode(case["inputs"])
    floating = [bool(g) for g in case.get("input_grads") or []]

    def make():
        rg.manual_seed(0)
        if case["name"]:
            part = build(rg.nn, case["name"], case)
            part.load_state_dict(decode(case["state"]))
            part.train(case["training"])
            args, kwargs = (), decode(case["call"])
        else:
            part = getattr(rg.nn.functional, case["function"])
            args, kwargs = decode(case["args"]), decode(case["kwargs"])

        def step(given):
            given = rg.tree.map(as_tensor, given)
            if case["name"]:
                part.zero_grad()
            leaves, wanted = [], iter(floating)

            def prepare(value):
                if isinstance(value, tuple | list):
                    return type(value)(prepare(item) for item in value)
                if not next(wanted, False):
                    return value
                leaves.append(rg.Tensor(value, requires_grad=True))
                return leaves[-1]

            outputs = flat(part(*prepare(given), *args, **kwargs))
            loss = sum(np.sum(o**2) for o in outputs)
            if loss.requires_grad:
                loss.backward()
            return [o.detach() for o in outputs], [t.grad for t in leaves]

        return (step, part) if case["name"] else (step,)

    calls = [(inputs,)] * 3 + [(others(inputs),)]
    assert_compiled_agrees(make, calls, rtol=1e-7, atol=1e-9)

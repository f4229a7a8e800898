"""Numbers that are read anew, and formulas of them as trees."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.live import Live, Reading
from retrograd.compiler.statements import Name
from retrograd.compiler.writer import PYTHON

GROUP = {"lr": 0.5, "betas": (0.9, 0.99)}


@pytest.mark.parametrize(
    ("owner", "path", "value", "text"),
    [
        (GROUP, (("lr",),), 0.5, 'owner["lr"]'),
        (GROUP, (("betas",), (0,)), 0.9, 'owner["betas"][0]'),
        (SimpleNamespace(count=3), ("count",), 3, "owner.count"),
    ],
)
def test_a_reading_has_its_value_and_how_it_is_read(owner, path, value, text):
    reading = Reading("lr", "lr", owner, path)
    assert reading.value() == value
    assert PYTHON.expression(reading.expression(Name("owner"))) == text


LR, BETA = Live(0.5, Name("lr")), Live(0.25, Name("beta"))


@pytest.mark.parametrize(
    ("live", "value", "text"),
    [
        (LR * 2, 1.0, "lr * 2"),
        (1 - BETA, 0.75, "1 - beta"),
        ((1 - BETA**2) / LR, 1.875, "(1 - (beta ** 2)) / lr"),
        (2**LR, 2**0.5, "2 ** lr"),
        (1 / LR + LR, 2.5, "(1 / lr) + lr"),
        (-LR, -0.5, "-lr"),
        (LR - -BETA, 0.75, "lr - (-beta)"),
        ((LR > BETA) * LR, 0.5, "(lr > beta) * lr"),
        (1 + (LR < BETA), 1, "1 + (lr < beta)"),
        ((1 > LR) + LR, 1.5, "(lr < 1) + lr"),
    ],
)
def test_a_formula_has_its_value_and_its_text(live, value, text):
    assert live.value == value
    assert PYTHON.expression(live.formula) == text
    assert eval(text, {"lr": 0.5, "beta": 0.25}) == value


def test_arrays_answer_for_formulas_of_arrays():
    assert LR.__mul__(np.ones(2)) is NotImplemented
    assert LR.__mul__(rg.Tensor([1.0])) is NotImplemented


def test_a_branch_on_such_a_number_is_refused_with_its_formula():
    with pytest.raises(
        rg.TraceError, match=r"(?s)a branch on lr \* 2, which changes.*bool\(LR \* 2"
    ):
        bool(LR * 2)

"""What statements tell of themselves, so that nobody reads text back."""

from __future__ import annotations

import numpy as np
import pytest

from retrograd.compiler.statements import (
    Assign,
    Copy,
    Do,
    Fill,
    Literal,
    Name,
    Operation,
    method,
    numpy,
)

X, Y, OUT = Name("x"), Name("y"), Name("out")


@pytest.mark.parametrize(
    ("statement", "single"),
    [
        (Do(numpy("add", X, Y), OUT), True),
        (Do(method(X, "dot", Y), OUT), True),
        (Do(numpy("add.reduce", X), OUT), False),
        (Do(numpy("linalg.inv", X), OUT), False),
        (Do(numpy("add", method(X, "reshape", 3), Y), OUT), False),
        (Fill(OUT, Operation("*", X, Y)), True),
        (Fill(OUT, numpy("sort", X)), False),
        (Copy(OUT, X), True),
        (Copy(OUT, X, numpy("not_equal", Y, 0)), False),
        (Assign((OUT,), X), False),
    ],
)
def test_a_statement_is_single_if_an_interrupt_finds_it_done_or_not_reached(statement, single):
    assert statement.is_single is single


@pytest.mark.parametrize(
    ("call", "last"),
    [
        (numpy("add", X, Y), True),
        (method(X, "dot", Y), True),
        (numpy("maximum", X, Y), False),
        (numpy("clip", X, 0, 1), False),
        (numpy("add", X, Y, where=OUT), False),
    ],
)
def test_an_output_goes_last_where_numpy_takes_it_so(call, last):
    assert Do(call, OUT).takes_output_last is last


def test_literals_are_equal_if_they_are_written_alike():
    assert Literal(2.0) == Literal(2.0)
    assert Literal(2.0) != Literal(2)
    assert Literal(0.0) != Literal(-0.0)
    assert Literal(np.nan) == Literal(np.nan)
    assert hash(Literal((1, 2))) == hash(Literal((1, 2)))


def test_an_expression_yields_all_its_parts():
    names = [p.text for p in numpy("add", Operation("+", X, Y), OUT).parts() if type(p) is Name]
    assert names == ["x", "y", "out"]

"""Expressions and statements as Python text, as a reader sees it and as it is run."""

from __future__ import annotations

import numpy as np
import pytest

from compiler.parts import argument, call
from retrograd.compiler.assembly import Code, Step
from retrograd.compiler.statements import (
    Assign,
    Attribute,
    Bound,
    Buffer,
    Copy,
    Do,
    Fill,
    Index,
    List,
    Literal,
    Memory,
    Name,
    Negative,
    Operation,
    Return,
    Tuple,
    method,
    numpy,
)
from retrograd.compiler.writer import PYTHON, FastWriter, literal, setup_lines, source

X, Y, OUT = Name("x"), Name("y"), Name("out")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (Operation("*", X, Operation("+", Y, Literal(1))), "x * (y + 1)"),
        (Operation("-", X, Negative(Y)), "x - (-y)"),
        (Attribute(X, "T"), "x.T"),
        (method(X, "reshape", (2, 3)), "x.reshape((2, 3))"),
        (method(Operation("+", X, Y), "sum"), "(x + y).sum()"),
        (numpy("sum", X, axis=(0, 1)), "np.sum(x, axis=(0, 1))"),
        (Tuple((X,)), "(x,)"),
        (List((X, Y)), "[x, y]"),
        (Index(X, Literal(0)), "x[0]"),
        (Index(X, Tuple((Literal(slice(1, None)), Y))), "x[1:, y]"),
        (Index(X, Tuple((Literal(slice(None, None, -1)), Literal(None)))), "x[::-1, None]"),
        (Index(X, Tuple((Literal(Ellipsis),))), "x[...,]"),
        (Index(X, Tuple(())), "x[()]"),
    ],
)
def test_an_expression_as_text(expression, text):
    assert PYTHON.expression(expression) == text


@pytest.mark.parametrize(
    ("statement", "text", "fast"),
    [
        (Do(numpy("add", X, Y), OUT), "np.add(x, y, out=out)", "_np_add(x, y, out)"),
        (Do(numpy("maximum", X, Y), OUT), "np.maximum(x, y, out=out)",
         "_np_maximum(x, y, out=out)"),
        (Do(method(X, "dot", Y), OUT), "x.dot(y, out=out)", "x.dot(y, out)"),
        (Do(numpy("add.reduce", X, axis=0), OUT), "np.add.reduce(x, axis=0, out=out)",
         "_np_add_reduce(x, axis=0, out=out)"),
        (Assign((X, Y), numpy("linalg.eigh", OUT)), "x, y = np.linalg.eigh(out)",
         "x, y = _np_linalg_eigh(out)"),
        (Fill(OUT, Operation("*", X, Y)), "out[...] = x * y", "out[...] = x * y"),
        (Copy(OUT, X, Y), "np.copyto(out, x, where=y)", "_np_copyto(out, x, where=y)"),
        (Return(Tuple((X, Literal(None)))), "return (x, None)", "return (x, None)"),
        (Copy(OUT, X, casts=True), 'np.copyto(out, x, casting="unsafe")',
         '_np_copyto(out, x, casting="unsafe")'),
    ],
)  # fmt: skip
def test_a_statement_as_a_reader_sees_it_and_as_it_is_run(statement, text, fast):
    assert PYTHON.statement(statement) == text
    assert FastWriter({}).statement(statement) == fast


def test_what_is_run_finds_functions_and_objects_in_its_namespace():
    space = {}
    writer = FastWriter(space)
    owner = {"lr": 0.5}
    read = Assign((Name("lr"),), Index(Bound("owner", owner), Literal("lr")))
    text = [writer.statement(read), writer.statement(Do(numpy("multiply", X, Name("lr")), X))]
    assert text == ['lr = _owner_0["lr"]', "_np_multiply(x, lr, x)"]
    assert writer.expression(Bound("owner", owner)) == "_owner_0"
    x = np.array([2.0])
    exec("\n".join(text), {**space, "x": x})
    assert x == 1.0


def test_a_reader_sees_no_objects_of_this_process():
    with pytest.raises(TypeError, match="a dict of this process has no text"):
        PYTHON.expression(Bound("owner", {}))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.5"),
        (np.inf, "np.inf"),
        (-np.inf, "-np.inf"),
        (np.nan, "np.nan"),
        (np.float32(-np.inf), "np.float32(-np.inf)"),
        (np.int64(3), "np.int64(3)"),
        (np.dtype("f4"), "np.float32"),
        (np.float64, "np.float64"),
        ((1, np.inf), "(1, np.inf)"),
        ([(True,), None], "[(True,), None]"),
        ({"state": np.array([1, 2], "u4")}, '{"state": np.array([1, 2], np.uint32)}'),
        ("it's", '"it\'s"'),
    ],
)
def test_a_value_as_source_is_that_value(value, text):
    assert literal(value) == text
    np.testing.assert_equal(eval(text, {"np": np}), value)


def test_a_buffer_of_one_array_has_no_name_of_its_own():
    shared, own = (Buffer(name, 6, np.dtype(float)) for name in ("shared", "own"))
    shared.users, own.users = 2, 1
    arrays = [
        Assign((Name("a"),), method(Memory(shared, 6), "reshape", (2, 3))),
        Assign((Name("b"),), Memory(shared, 4)),
        Assign((Name("c"),), Memory(own, 6)),
    ]
    assert setup_lines(Code(setup=[shared, own, *arrays])) == [
        "shared = np.empty(6, np.float64)",
        "a = shared.reshape((2, 3))",
        "b = shared[:4]",
        "c = np.empty(6, np.float64)",
    ]


def test_source_has_sections_and_beside_each_statement_the_shape_that_it_fills():
    x = argument(2, 3)
    forward, backward = call(np.exp, x), call(np.sum, x, section="backward")
    code = Code(arguments=[("x", x)], inputs=["x"], lives=["lr"], results=["out", None])
    code.body = [
        Step(Do(numpy("exp", X), OUT), forward, forward.outs[0]),
        Step(Fill(Name("lr_now"), Name("lr")), backward, None),
    ]
    assert source(code).split("\n") == [
        "def step(x, lr):",
        "    # x: (2, 3) float64",
        "",
        "    # forward",
        "    np.exp(x, out=out)  # (2, 3)",
        "",
        "    # backward",
        "    lr_now[...] = lr",
        "    return out",
    ]

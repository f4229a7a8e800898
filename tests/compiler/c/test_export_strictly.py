"""Exported C files under all compilers there are, with all warnings as errors."""

import subprocess

import numpy as np
import pytest

import retrograd as rg
from compiler.c.exported import COMPILERS, STRICT, Exported, compile_strictly, require
from compiler.c.test_functions import all_ufuncs, arguments, takes
from compiler.drawn_steps import draw

nn, F = rg.nn, rg.nn.functional
X = np.random.default_rng(0).normal(size=(3, 4))


@pytest.fixture(params=[*COMPILERS])
def toolchain(request):
    """Return the name of a compiler that is there."""
    require(request.param)
    return request.param


def check(fn, args, compiler, folder, name="step"):
    """Compare what a file fills and returns with what the program does."""
    step = rg.compile(fn)
    with np.errstate(all="ignore"):
        for _ in range(3):
            found = rg.tree.leaves(step(*args))
    expected = [t.data for t in found]
    exported = Exported.of(step, folder / f"{name}.c")
    is_number = exported.prototype[0] not in ("void", "int")
    outs = [] if is_number else [a.size for a in expected]
    (got,) = exported.run(compiler, [args], outs)
    for a, b in zip(got[exported.prototype[0] == "int" :], expected, strict=True):
        tolerance = 1e-5 if b.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(a, b.ravel().astype(float), rtol=tolerance)
    return exported


# keywords of C and C++, types, macros, functions of the headers, and what the texts use themselves
WORDS = """
int double register restrict inline new this template typename operator namespace asm typeof
int8_t uint64_t size_t bool_t NULL EOF NAN INFINITY I M_PI M_1_PI BUFSIZ SUMS PRAGMA TOGETHER B0
y0 j1 gamma log exp pow fabs fmax memcpy strlen errno stdin index linux unix
i j k i0 t00 end first packed OUT c loop_1 product_1 state random draw_bits v_int step step_run
step_state step_init x_out x_i term log_add_exp_f64 remainder_of_f64 self given
"""
NAMES = WORDS.split()


def test_arguments_may_have_any_names(toolchain, tmp_path):
    names = [f"{n}_" if n in ("int", "double") else n for n in NAMES]
    scope = {"np": np}
    total = " + ".join(f"np.exp({n})" for n in names)
    with_helpers = "np.logaddexp(index, log), np.remainder(c, first), c @ k.T"
    text = f"def f({', '.join(names)}): return {total}, np.sum(state), {with_helpers}"
    exec(text, scope)
    check(scope["f"], [X / 9 + 0.01 * i for i in range(len(names))], toolchain, tmp_path)


def test_captured_arrays_may_have_any_names(toolchain, tmp_path):
    scope = {"np": np}
    exec("".join(f"{n} = np.full((3, 4), {i}.5) + np.arange(4)\n" for i, n in enumerate(NAMES)),
         scope)  # fmt: skip
    exec(f"def f(x): return {' + '.join(f'x * {n}' for n in NAMES)}", scope)
    check(scope["f"], [X], toolchain, tmp_path)


SHORT = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
WHOLE = np.array([[3, -7, 0, 2], [1, 1, -1, 5], [9, 4, 4, 8]])

CASES = {
    "products of factors of different dtypes": (
        lambda x, y, n: (
            x @ y, y.T @ x.T, x @ y[:, 0], x[0] @ y, x[0] @ y[:, 1], np.einsum("ij,jk->ik", x, y),
            np.stack([x, x]) @ y, np.tensordot(x, y, 1), n @ y, x @ n.T, n[0] @ x[0],
        ),
        [SHORT, X[:2].T, WHOLE],
    ),
    "products of whole numbers and of answers": (
        lambda n, m: (
            n @ n.T, n @ n[0], m @ m.T, m @ m.T.astype("int64"), (n > 2) @ (n.T > 2),
            np.einsum("ij,kj->ik", n, n), np.stack([n, n])[:, None] @ n.T,
        ),
        [WHOLE, WHOLE.astype(np.int8) * 30],
    ),
    "bins in a list": (
        lambda x, f, n: (
            np.digitize(x, [-1, 0, 0.5]), np.digitize(f, [0.2, 0.5], right=True),
            np.digitize(n, [-2, 2, 4]), np.digitize(n, [-1.5, 2.0]), np.digitize(x, [-1, 0, 1]),
            np.searchsorted([-1.0, 0.5], x, side="right"), np.searchsorted([1, 3, 2**40], n),
            np.digitize(x, bins=[0.0, np.inf]),
        ),
        [X, SHORT, WHOLE],
    ),
    "statistics of whole numbers": (
        lambda n, m: (
            np.var(n), np.std(n, axis=1), np.var(n, axis=(0, 1), ddof=1), np.mean(n, axis=0),
            np.var(m, axis=0, keepdims=True), np.var(n > 2, axis=1), np.mean(n > 2),
        ),
        [WHOLE, WHOLE.astype(np.int8) * 12],
    ),
    "reciprocals of whole numbers": (
        lambda n, m: (np.reciprocal(n), np.reciprocal(m), np.reciprocal(n > 2)),
        [np.where(WHOLE == 0, 1, WHOLE), np.array([1, 2, 255], np.uint8)],
    ),
    "answers in order": (
        lambda n: (
            np.argsort(n > 2, axis=1, kind="stable"), np.sort(n > 2, kind="stable"),
            np.argsort(n[:, 0] > 2, kind="stable"),
        ),
        [WHOLE],
    ),
    "comparisons with the least and the largest number of a dtype": (
        lambda x: (
            x >= 0, x < 0, x > 255, np.maximum(x, 0), np.minimum(x, 0), np.clip(x, 0, 255),
            np.clip(x > 3, 0, 1), np.where(x >= 0, x, 1),
        ),
        [np.array([0, 1, 200, 255], np.uint8)],
    ),
    "constants without an end": (
        lambda x: x * np.array([np.inf, -np.inf, np.nan, -0.0]), [np.ones((3, 4))],
    ),
    "the least and the largest numbers": (
        lambda x: x + np.array([5e-324, 1.7976931348623157e308, -0.0, -1e-310]),
        [np.zeros((3, 4))],
    ),
    "float32": (
        lambda x: (
            x * np.array([1e-45, 3.4028235e38, -0.0, np.nan], np.float32) + np.float32(0.1)
        ),
        [np.ones((3, 4), np.float32)],
    ),
    "int64": (
        lambda n: (n + np.array([-(2**63), 2**63 - 1, 0, 1]), n * np.int64(-(2**63))),
        [np.array([1, -1, 3, 4])],
    ),
    "uint64": (lambda n: n + np.array([2**64 - 1, 0], np.uint64), [np.array([1, 2], np.uint64)]),
    "bool": (
        lambda b, x: (b & np.array([True, False, True, False]), ~b, b.sum(), np.where(b, x, -x)),
        [X > 0, X],
    ),
    "numbers by value": (lambda x, a, n: x * a + n, [X, np.array(2.5), np.array(3)]),
    "numbers alone": (lambda a, b: a * b, [np.array(2.0), np.array(3.0)]),
    "a number that comes back": (lambda a: a, [np.array(2.0)]),
    "an argument that comes back": (lambda x: (x, x.T, x[1:, ::-2]), [X]),
    "an argument that is not used": (lambda x, exp: x * 2, [X, X]),
    "constants that are made": (
        lambda x: (np.concatenate([x, np.zeros((1, 4))]), x @ np.full((4, 2), 2.0)), [X],
    ),
    "no elements": (
        lambda x, e: (np.concatenate([x, e, np.zeros((0, 4))]), x[:0] * 2), [X, np.zeros((0, 4))],
    ),
    "products of vectors, rows and columns": (
        lambda x, v: (
            v @ x, x @ x[0], x[:1] @ x.T, x @ x[:1].T, x[:, :1] @ v.reshape(1, 3), np.outer(v, v),
            x[:1] @ x[:1].T, x[:, 0] @ x, x.T[1:2] @ x, v @ x[:, 1:2],
        ),
        [X, X[:, 1] * 1],
    ),
    "a whole number": (lambda x: np.sum(x > 0), [X]),
    "class numbers, beside a whole number": (
        lambda x, y: (F.cross_entropy(x, y), np.sum(x > 0)), [X, np.array([0, 1, 3])],
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", [*CASES])
@pytest.mark.parametrize("compiler", ["gcc with sanitizers", "clang", "gcc for 32 bits"])
def test_arguments_constants_and_results_of_all_kinds(case, compiler, tmp_path):
    require(compiler)
    check(*CASES[case], compiler, tmp_path)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8", "uint8", "bool"])
@pytest.mark.parametrize("compiler", ["gcc", "clang for 32 bits", "clang with sanitizers"])
def test_all_functions_of_elements(dtype, compiler, tmp_path):
    require(compiler)
    functions = [f for f in all_ufuncs() if takes(f, np.dtype(dtype))]
    x, y = (a[::7] for a in arguments(np.dtype(dtype)))
    n = np.arange(len(x)) % 5

    def apply(x, y, n):
        return [f(*((x, n) if f is np.ldexp else (x, y)[: f.nin])) for f in functions]

    step = rg.compile(apply)
    for _ in range(3):
        expected = step(x, y, n)
    exported = Exported.of(step, tmp_path / "step.c")
    (found,) = exported.run(compiler, [(x, y, n)], [t.size for t in expected])
    # libm for 32 bits is another one, and works with longer numbers
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    for f, a, b in zip(functions, found, expected, strict=True):
        np.testing.assert_allclose(
            a, b.data.astype(float), tolerance, tolerance / 10, err_msg=f.__name__
        )


def test_arrays_of_any_layout(toolchain, tmp_path):
    rng = np.random.default_rng(1)
    memory = bytearray(rng.normal(size=60).tobytes())
    arrays = [
        np.ndarray((3, 4), float, memory, 8, (64, 16)),  # with gaps, and no array beneath
        np.ndarray((3, 4), float, memory, 8 * 59, (-64, -8)),
        np.asfortranarray(rng.normal(size=(3, 4))),
        np.broadcast_to(rng.normal(size=4), (3, 4)),
        rng.normal(size=(6, 8))[::2, ::2],
        np.frombuffer(rng.normal(size=12).tobytes(), np.uint8).view(float).reshape(3, 4),
    ]
    a, b, c, d, e, f = arrays
    check(lambda x: (x * a + b * c - d, x @ e.T + f @ a.T), [X], toolchain, tmp_path)


def test_memory_of_two_dtypes_that_is_written_is_refused(tmp_path):
    raw = rg.Tensor(np.zeros(32, np.uint8))
    w = rg.Tensor(raw.data.view(np.float64))

    def fn(x):
        with rg.no_grad():
            w.__iadd__(x)
        return raw * 1, np.sum(x)

    step = rg.compile(fn)
    for _ in range(3):
        step(np.ones(4))
    with pytest.raises(TypeError, match="memory that an array of another dtype shares"):
        step.export(tmp_path / "step.c")


SEEDS = range(8)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_drawn_steps_train_alike(toolchain, tmp_path):
    """Nets, losses and optimizers of all kinds, of those that have a form in C."""
    count = 0
    for seed in SEEDS:
        drawn = draw(seed)
        step, batch = rg.compile(drawn.make()[0]), drawn.batches[0]
        for _ in range(3):
            step(*batch)
        try:
            exported = Exported.of(step, tmp_path / f"step_{seed}.c")
        except TypeError:  # it has no form in C, or adds to gradients from before
            continue
        if "_seed(" in exported.header:
            continue
        count += 1
        is_number = exported.prototype[0] != "void"
        outs = [] if is_number else [1] * exported.prototype[2].count("_out")
        found = np.ravel(exported.run(toolchain, [batch] * 3, outs))
        expected = [t.item() for _ in range(3) for t in rg.tree.leaves(step(*batch))]
        expected = np.ravel(expected).reshape(3, -1)[:, : len(found) // 3].ravel()
        tolerance = 1e-3 if drawn.dtype is np.float32 else 1e-9
        np.testing.assert_allclose(found, expected, rtol=tolerance, err_msg=drawn.text)
    assert count >= 2


def test_many_files_in_one_program_of_c_plus_plus(toolchain, tmp_path):
    command = require(toolchain)
    model = rg.compile(nn.Sequential(nn.Linear(4, 5, rng=0), nn.Tanh(), nn.Linear(5, 2, rng=1)))
    optimizer = rg.optim.Adam(model.parameters(), lr=0.01)

    @rg.compile
    def train(x, new):
        optimizer.zero_grad()
        loss = np.mean((model.fn(F.dropout(x, 0.5, training=True)) - new) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    y = np.zeros((3, 2))
    for _ in range(3):
        model(X)
        train(X, y)
    names = ["step.c", "other.c", "predict.c", "2nd net.c", "größe.c", "int.c"]
    for i, name in enumerate(names):
        (model if i in (2, 3) else train).export(tmp_path / name)
    (tmp_path / "main.cpp").write_text("""
#include "step.h"
#include "other.h"
#include "predict.h"
#include "2nd net.h"
#include "step.h"
static step_state a;
static other_state b;
static predict_state c;
static n2nd_net_state d;
int main() {
    const double x[12] = {0.5}, y[6] = {0.1};
    double out[6], same[6];
    step_init(&a);
    other_init(&b);
    other_seed(&b, 7);
    predict(&c, x, out);
    n2nd_net_predict(&d, x, same);
    return !(step_run(&a, x, y) > 0 && other_run(&b, x, y) > 0 && out[0] == same[0]);
}
""")
    for name in names:
        compile_strictly([*command, *STRICT, "-c", name], tmp_path)
    plus = {"gcc": "g++", "clang": "clang++"}[command[0]]
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c++11"]
    (tmp_path / "probe.cpp").write_text("int main() { return 0; }")
    try:
        compile_strictly([plus, *command[1:], *strict, "probe.cpp", "-o", "probe"], tmp_path)
    except (FileNotFoundError, AssertionError):
        pytest.skip(f"{plus} {' '.join(command[1:])} makes no programs here")
    objects = [name.replace(".c", ".o") for name in names]
    line = [plus, *command[1:], *strict, "main.cpp", *objects, "-o", "main", "-lm"]
    compile_strictly(line, tmp_path)
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0

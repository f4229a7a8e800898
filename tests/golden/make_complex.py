"""Write the gradients, to second order, that PyTorch gives for functions of complex numbers.

Run:    python tests/golden/make_complex.py     (needs torch; the tests do not)
Writes: complex.json and complex_optimizers.json beside it, the same bytes each time.

The loss is `real(sum(conj(c) * out))` with drawn weights `c`. First come its gradients `g`, then
those of `real(sum(conj(d) * g))`.
"""

import json
from pathlib import Path

import torch
from complex_draws import draw, inputs

eye = torch.eye


def adjoint(x):
    return x.mH


def positive(x):
    """A positive definite matrix, of which all elements matter."""
    return x @ adjoint(x) + eye(x.shape[-1])


def projected(x):
    values, vectors = torch.linalg.eigh(x + adjoint(x))
    return (vectors * torch.exp(values)) @ adjoint(vectors)


def polar(x):
    u, _, vh = torch.linalg.svd(x, full_matrices=False)
    return u @ vh


def exponential(x):
    values, vectors = torch.linalg.eig(x)
    return (vectors * torch.exp(values)) @ torch.linalg.inv(vectors)


UNARY = {
    "exp": torch.exp, "expm1": torch.expm1, "log": torch.log, "log1p": torch.log1p,
    "log2": torch.log2, "log10": torch.log10, "sin": torch.sin, "cos": torch.cos,
    "tan": torch.tan, "sinh": torch.sinh, "cosh": torch.cosh, "tanh": torch.tanh,
    "arcsin": torch.asin, "arccos": torch.acos, "arctan": torch.atan, "arcsinh": torch.asinh,
    "arccosh": torch.acosh, "arctanh": torch.atanh, "sqrt": torch.sqrt, "square": torch.square,
    "reciprocal": torch.reciprocal, "negative": torch.neg, "cube": lambda x: x**3,
    "abs": torch.abs, "conj": torch.conj, "angle": torch.angle, "sign": torch.sgn,
    "composed": lambda x: torch.abs(torch.exp(x * x)) ** 2,
}  # fmt: skip
PARTS = {"real": lambda x: torch.real(x), "imag": lambda x: torch.imag(x)}  # of complex ones alone
BINARY = {
    "add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "divide": torch.div,
    "power": torch.pow,
}  # fmt: skip
REDUCTIONS = {
    "sum": lambda x: x.sum(0), "mean": torch.mean, "prod": lambda x: x.prod(1),
    "cumsum": lambda x: x.cumsum(1), "cumprod": lambda x: x.cumprod(1),
    "var": lambda x: x.var(0, correction=0), "std": lambda x: x.std(correction=1),
    "index": lambda x: x[[1, 0, 1], 1:], "flip": lambda x: x.flip(0), "roll": lambda x: x.roll(2),
    "trace": lambda x: torch.trace(x), "transpose": lambda x: x.T, "triangle": torch.tril,
    "norm": torch.linalg.norm, "norm 1": lambda x: torch.linalg.vector_norm(x, 1),
    "norm 3": lambda x: torch.linalg.vector_norm(x, 3, 1),
    "norm inf": lambda x: torch.linalg.vector_norm(x, torch.inf),
    "norm nuc": lambda x: torch.linalg.matrix_norm(x, "nuc"),
    "norm 2": lambda x: torch.linalg.matrix_norm(x, 2),
    "pinv": torch.linalg.pinv, "svd values": torch.linalg.svdvals, "polar": polar,
    "qr": lambda x: torch.linalg.qr(x.T),
}  # fmt: skip
SQUARE = {
    "inv": torch.linalg.inv, "det": torch.linalg.det, "slogdet": torch.linalg.slogdet,
    "matrix power": lambda x: torch.linalg.matrix_power(x, 3),
    "cholesky": lambda x: torch.linalg.cholesky(positive(x)),
    "eigh values": lambda x: torch.linalg.eigvalsh(x + adjoint(x)), "eigh": projected,
    "eigvals": lambda x: torch.linalg.eigvals(x).sum(), "eig": exponential,
}  # fmt: skip
PAIRS = {
    "matmul": (torch.matmul, (2, 3), (3, 2)), "matvec": (torch.matmul, (2, 3), (3,)),
    "einsum": (lambda x, y: torch.einsum("ij,kj->ik", x, y), (2, 3), (4, 3)),
    "kron": (torch.kron, (2, 2), (2, 1)), "outer": (torch.outer, (2,), (3,)),
    "vdot": (torch.vdot, (3,), (3,)), "tensordot": (lambda x, y: torch.tensordot(x, y, 1), (2, 3),
                                                    (3, 2)),
    "vecdot": (torch.linalg.vecdot, (2, 3), (2, 3)),
    "solve": (torch.linalg.solve, (3, 3), (3, 2)),
    "where": (lambda x, y: torch.where(eye(2, 3) > 0, x, y), (2, 3), (2, 3)),
    "stack": (lambda x, y: torch.stack([x, y], 1), (2, 3), (2, 3)),
    "concatenate": (lambda x, y: torch.cat([x, y]), (2, 3), (1, 3)),
}  # fmt: skip
NORMS = ("backward", "ortho", "forward")


def fft(name):
    function = getattr(torch.fft, name)

    def call(x, axis=None, axes=None, **options):
        if axis is not None:
            options["dim"] = axis
        if axes is not None:
            options["dim"] = tuple(axes)
        return function(x, **options)

    return call


def case(name, function, shapes, dtypes, **options):
    made = {"name": name, "shapes": shapes, "dtypes": dtypes, "options": options}
    xs = [torch.tensor(x, requires_grad=True) for x in inputs(made)]
    torch.set_default_dtype(torch.float32 if xs[0].dtype in SHORT else torch.float64)
    if name in SQUARED:
        ys = [xs[0] + 2 * eye(xs[0].shape[-1]), *xs[1:]]
    else:
        ys = xs
    outs = function(*ys, **options)
    outs = [outs] if isinstance(outs, torch.Tensor) else list(outs)
    loss = sum(weighed(out, 100 + i) for i, out in enumerate(outs))
    first = torch.autograd.grad(loss, xs, create_graph=True, allow_unused=True)
    first = [torch.zeros_like(x) if g is None else g for g, x in zip(first, xs, strict=True)]
    total = sum(weighed(g, 200 + i) for i, g in enumerate(first))
    second = [None] * len(xs)
    if total.requires_grad:
        second = torch.autograd.grad(total, xs, allow_unused=True)
    second = [torch.zeros_like(x) if g is None else g for g, x in zip(second, xs, strict=True)]
    digits = 7 if xs[0].dtype in SHORT else 13
    return {**made, "first": [numbers(g, digits) for g in first],
            "second": [numbers(g, digits) for g in second]}  # fmt: skip


SHORT = (torch.float32, torch.complex64)
SQUARED = {*SQUARE, "solve"}


def weighed(x, seed):
    dtype = str(x.dtype).removeprefix("torch.")
    weights = torch.tensor(draw(tuple(x.shape), dtype, seed))
    return (weights.conj() * x).real.sum()


def numbers(x, digits):
    """Return the elements in order, of complex numbers their two parts."""
    x = x.detach().resolve_conj().numpy()
    flat = x.reshape(-1).view(x.real.dtype) if x.dtype.kind == "c" else x.reshape(-1)
    return [float(f"{float(v):.{digits}g}") for v in flat]


def calls():
    wide, narrow = "complex128", "complex64"
    for dtype in (wide, narrow):
        for name, function in {**UNARY, **PARTS}.items():
            yield case(name, function, [[2, 3]], [dtype])
        for name, function in BINARY.items():
            yield case(name, function, [[2, 3], [2, 3]], [dtype, dtype])
        for name, function in REDUCTIONS.items():
            yield case(name, function, [[2, 3]], [dtype])
        for name, function in SQUARE.items():
            yield case(name, function, [[3, 3]], [dtype])
        for name, (function, *shapes) in PAIRS.items():
            yield case(name, function, [*map(list, shapes)], [dtype, dtype])
    mixes = ((wide, "float64"), ("float64", wide), (narrow, "float32"))
    for name, function in BINARY.items():
        for mix in mixes:
            yield case(name, function, [[2, 1], [3]], [*mix])
        yield case(name, function, [[2, 3], [1, 3]], [wide, wide])
        yield case(name, function, [[], [2]], [wide, wide])
        yield case(name, function, [[0, 2], [2]], [wide, wide])
    for name, function in {**UNARY, **PARTS}.items():
        yield case(name, function, [[]], [wide])
        yield case(name, function, [[0, 3]], [wide])
    for name in ("stack", "concatenate"):  # PyTorch's where raises an error for these
        function, *shapes = PAIRS[name]
        yield case(name, function, [*map(list, shapes)], [wide, "float64"])
    yield from transforms(wide, "float64")
    for name in ("fft", "ifft", "irfft", "hfft"):
        yield case(name, fft(name), [[2, 4]], [narrow])
    for name in ("fft", "rfft", "ihfft"):
        yield case(name, fft(name), [[2, 4]], ["float32"])


def transforms(complex_dtype, real_dtype):
    for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
        dtype = real_dtype if name in ("rfft", "ihfft") else complex_dtype
        for n in (None, 3, 6):
            for axis in (-1, 0):
                for norm in NORMS:
                    yield case(name, fft(name), [[3, 4]], [dtype], n=n, axis=axis, norm=norm)
    for name in ("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"):
        dtype = real_dtype if name.startswith("r") else complex_dtype
        yield case(name, fft(name), [[3, 4]], [dtype])
        yield case(name, fft(name), [[2, 3, 4]], [dtype], axes=[0, 1], norm="ortho")
        for norm in NORMS[::2]:
            yield case(name, fft(name), [[3, 4]], [dtype], s=[4, 3], axes=[1, 0], norm=norm)
    yield case("fft", fft("fft"), [[3, 4]], [real_dtype])
    yield case("ifft2", fft("ifft2"), [[3, 4]], [real_dtype])
    for name in ("fftshift", "ifftshift"):
        yield case(name, fft(name), [[3, 4]], [complex_dtype])
        yield case(name, fft(name), [[3, 4]], [complex_dtype], axes=[0])


OPTIMIZERS = [
    ("SGD", {}), ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {}), ("Adam", {"amsgrad": True, "weight_decay": 0.1}), ("AdamW", {}), ("Adamax", {}),
    ("NAdam", {}), ("RAdam", {}), ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("Adagrad", {"initial_accumulator_value": 0.1}), ("Adadelta", {}), ("Rprop", {}),
    ("LBFGS", {"max_iter": 3}),
]  # fmt: skip


def descents():
    torch.set_default_dtype(torch.float64)
    for name, options in OPTIMIZERS:
        w = torch.tensor(draw((2, 3), "complex128", 0), requires_grad=True)
        a, b = (torch.tensor(draw((2, 3), "complex128", i)) for i in (1, 2))
        optimizer = getattr(torch.optim, name)([w], lr=0.05, **options)

        def closure(w=w, a=a, b=b, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (torch.abs(w * a - b) ** 2).sum()
            loss.backward()
            return loss

        values = []
        for _ in range(6):
            optimizer.step(closure)
            values.append(numbers(w.detach().clone(), 13))
        yield {"name": name, "options": options, "values": values}


def main():
    for name, made in (("complex", calls()), ("complex_optimizers", descents())):
        lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in made)
        (Path(__file__).parent / f"{name}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()

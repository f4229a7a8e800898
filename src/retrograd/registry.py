"""The rule registry: for each NumPy function, how it is run and how it is differentiated."""

import functools
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
Vjp = Callable[..., Any]


class Rule:
    """How one function is run, differentiated and spelled.

    `vjps` has one entry for each of the `arrays` that the function takes first, `None` where there
    is no gradient. `names` are
    the arguments the rule understands; any other is refused when the call is recorded, unless
    the function has no gradient at all (`names` is None). `run` computes the function.
    """

    __slots__ = (
        "arrays", "differentiable", "fn", "foreign", "freed", "looks_through", "multi", "name",
        "names", "options", "run", "through", "vjps",
    )  # fmt: skip

    def __init__(self, fn: Callable[..., Any], vjps: Sequence[Vjp | None]) -> None:
        self.fn = fn
        self.name = spelled(fn)
        self.vjps = vjps
        self.arrays = len(vjps)
        self.run = fn
        self.multi = False  # returns several arrays
        self.looks_through = False  # the body is NumPy calls, which the compiler records instead
        self.freed = (self, None, None, None)  # what a Tensor keeps of a call that backward freed
        self.through: dict[Rule, Vjp] | None = None
        self.differentiable = any(v is not None for v in vjps)
        # the package's own vjps return arrays of their own; others may return what must stay
        self.foreign = isinstance(vjps, tuple) and not all(v is None or _inside(v) for v in vjps)
        given = next((v for v in vjps if v is not None), None)
        self.names = arguments(given)[2:] if given else None
        self.options = frozenset(self.names[self.arrays :] if self.names else ())


def _inside(vjp: Any) -> bool:
    module = getattr(getattr(vjp, "func", vjp), "__module__", None)
    return str(module).startswith("retrograd.")


def arguments(fn: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the arguments of a function, in order."""
    code = getattr(fn, "__code__", None)
    if code is None:
        import inspect  # takes as long to import as the rules, and is hardly ever needed

        return tuple(inspect.signature(fn).parameters)
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return names


class _EveryPosition(Sequence[Vjp]):
    """The vjps of a function of any number of arrays: `vjp(position, g, out, *arrays)`."""

    def __init__(self, vjp: Vjp) -> None:
        self.vjp = vjp

    def __getitem__(self, position: Any) -> Any:
        return functools.partial(self.vjp, position)

    def __iter__(self) -> Iterator[Vjp]:
        position = 0
        while True:
            yield self[position]
            position += 1

    def __len__(self) -> int:
        return 1 << 30


class Sharing(Sequence[Vjp | None]):
    """Vjps that get `shared(g, out, *arguments)` in place of `g`, computed once a visit."""

    def __init__(self, shared: Vjp, vjps: Sequence[Vjp | None]) -> None:
        self.shared, self.vjps = shared, vjps

    def _using(self, vjp: Vjp | None, known: list[Any]) -> Any:
        def run(g: Any, out: Any, *args: Any, **options: Any) -> Any:
            if not known:
                known.append(self.shared(g, out, *args, **options))
            return vjp(known[0], out, *args, **options)  # type: ignore[misc]

        return None if vjp is None else run

    def __getitem__(self, position: Any) -> Any:
        return self._using(self.vjps[position], [])

    def __iter__(self) -> Iterator[Vjp | None]:
        known: list[Any] = []
        return (self._using(vjp, known) for vjp in self.vjps)

    def __len__(self) -> int:
        return len(self.vjps)


def shared(work: Vjp) -> Sharing:
    """Return vjps for any number of arrays: `work(g, out, *arrays)`, once a visit, has all."""
    return Sharing(work, _EveryPosition(lambda position, g, *args, **options: g[position]))


RULES: dict[Callable[..., Any], Rule] = {}
# Functions that are other functions put together: they run on Tensors and need no rule.
COMPOSED: dict[Callable[..., Any], Callable[..., Any]] = {}
# Functions that tell of an array, not of its values: answered as on the array itself.
METADATA: frozenset[Callable[..., Any]] = frozenset({
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.common_type, np.min_scalar_type,
    np.may_share_memory, np.shares_memory, np.iscomplexobj, np.isrealobj, np.einsum_path,
    np.diag_indices_from, np.tril_indices_from, np.triu_indices_from,
})  # fmt: skip
# Functions that turn values into something other than an array: not possible in a replay.
VALUES: frozenset[Callable[..., Any]] = frozenset({
    np.array_equal, np.array_equiv, np.allclose, np.array_repr, np.array_str, np.array2string,
})  # fmt: skip
# Functions that cannot run on Tensors, with what to write instead.
REFUSED: dict[Callable[..., Any], str] = {}
# (np.add, "reduce") and the like, answered by the function they mean.
UFUNC_METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {}


# Modules with further rules, which are loaded when a function without one turns up.
REST: list[str] = []


def load_rest() -> bool:
    """Load the rules that are not loaded yet; tell whether there were any."""
    found = bool(REST)
    while REST:
        importlib.import_module(REST.pop())
    return found


def defvjp(fn: Callable[..., Any], *vjps: Vjp | None) -> None:
    """Give `fn` its gradient rule: one vjp for each array argument, `None` for no gradient.

    A vjp takes `(g, out, *arguments)`: the gradient of the output, the output, and the arguments
    of `fn`; its further parameters name the keywords of `fn` that it understands. It is written
    in NumPy calls and operators, writes nothing, does not branch on values, and may return any
    shape that broadcasts with its argument's.

    >>> @rg.primitive
    ... def cube(x):
    ...     return x * x * x
    >>> rg.defvjp(cube, lambda g, out, x: g * 3 * x * x)
    >>> x = rg.Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> float(x.grad)
    12.0
    """
    if not callable(fn):
        raise TypeError(f"defvjp takes a function first, not {fn!r}")
    if not vjps or not all(v is None or callable(v) for v in vjps):
        raise TypeError("defvjp takes one vjp for each array argument: a function, or None")
    rule = Rule(fn, vjps)
    adopt = getattr(fn, "_adopt", None)
    if adopt is not None:  # a primitive, which looks its rule up at no call
        adopt(rule)
    RULES[fn] = rule


def defvjp_each(fn: Callable[..., Any], vjp: Vjp) -> None:
    """Give a function of any number of arrays its rule: `vjp(position, g, out, *arrays)`."""
    defvjp(fn, functools.partial(vjp, 0))
    rule = RULES[fn]
    rule.vjps, rule.arrays = _EveryPosition(vjp), 0
    code = vjp.__code__
    rule.names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    rule.options = frozenset(rule.names)


def defvjp_shared(fn: Callable[..., Any], shared: Vjp, *vjps: Vjp | None) -> None:
    """Give `fn` vjps that need the same work on `g`: `shared` does it once for all of them.

    Each vjp gets what `shared(g, out, *arguments)` returns in place of `g`, and returns an array
    of its own.
    """
    defvjp(fn, *vjps)
    RULES[fn].vjps = Sharing(shared, vjps)


def defvjp_through(fn: Callable[..., Any], inner: Callable[..., Any], vjp: Vjp) -> None:
    """Give the gradient of `fn(inner(x), ...)` with respect to `x` in one formula.

    `vjp` takes what the vjps of `fn` take. The reverse pass uses it where the output of `inner`
    is the first argument of `fn` and nobody asks for the gradient in between.
    """
    rule = RULES[fn]
    rule.through = {**(rule.through or {}), RULES[inner]: vjp}


def nograd(*fns: Callable[..., Any]) -> None:
    """Record `fns` without a gradient: a replay computes their value again."""
    for fn in fns:
        defvjp(fn, None)


def refuse(remedy: str, *fns: Callable[..., Any]) -> None:
    """Answer `fns` by an error that says what to write instead."""
    for fn in fns:
        REFUSED[fn] = remedy


def kernel(fn: Callable[..., Any]) -> Callable[[F], F]:
    """Run `fn` by the decorated function, which gives the same result in less time."""

    def register(run: F) -> F:
        RULES[fn].run = run
        return run

    return register


def composed(*fns: Callable[..., Any]) -> Callable[[F], F]:
    """Answer `fns` by the decorated function, which is written in functions that have rules."""

    def register(body: F) -> F:
        for fn in fns:
            COMPOSED[fn] = body
        return body

    return register


def spelled(fn: Callable[..., Any]) -> str:
    """Return the name a user writes, such as `np.linalg.inv` or `relu`."""
    name = getattr(fn, "__name__", repr(fn))
    if isinstance(fn, np.ufunc):
        homes = {"np": np, "scipy.special": sys.modules.get("scipy.special")}
        home = next((h for h, m in homes.items() if getattr(m, name, None) is fn), None)
        return f"{home}.{name}" if home else name
    module = getattr(fn, "__module__", None) or ""
    if module.startswith("numpy"):
        return f"{module.replace('numpy', 'np', 1)}.{name}"
    return name


_UFUNC_DEFAULTS = {"out": None, "where": True, "casting": "same_kind", "order": "K",
                   "dtype": None, "subok": True}  # fmt: skip


@functools.cache
def defaults(fn: Callable[..., Any]) -> dict[str, Any]:
    """Return the parameters of `fn` in order with their defaults; empty where unknown."""
    if isinstance(fn, np.ufunc):
        return _UFUNC_DEFAULTS
    try:
        import inspect

        return {p.name: p.default for p in inspect.signature(fn).parameters.values()}
    except (TypeError, ValueError):
        return {}


def no_out(name: str) -> str:
    """Return what to say when a call is to write its result somewhere."""
    return (
        f"{name} of a Tensor cannot write to `out=`, the gradient would be lost: "
        f"write y = {name}(...)"
    )


def writes_out(fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Tell whether a call of `fn` is given an array to write its result to."""
    if kwargs.get("out") is not None:
        return True
    place = _out_place(fn)
    return place is not None and len(args) > place and args[place] is not None


@functools.cache
def _out_place(fn: Callable[..., Any]) -> int | None:
    """Return the position of `out`, where it may be given by position."""
    if isinstance(fn, np.ufunc) or "out" not in defaults(fn):
        return None
    import inspect

    own = inspect.signature(fn).parameters
    return list(own).index("out") if own["out"].kind is own["out"].POSITIONAL_OR_KEYWORD else None


def bind(
    rule: Rule, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """Put a user's arguments in the rule's order: arrays by position, all others by keyword.

    Raises TypeError for an argument that the rule does not know and that has not its default.
    """
    own = defaults(rule.fn)
    known, arrays = rule.names, rule.arrays
    order = known if isinstance(rule.fn, np.ufunc) or not own or not known else tuple(own)
    rest = {}
    if order is not None and len(args) > arrays:
        if len(args) > len(order):
            raise TypeError(f"{rule.name} got {len(args)} arguments, at most {len(order)} fit")
        extra = dict(zip(order[arrays:], args[arrays:], strict=False))
        if twice := extra.keys() & kwargs.keys():
            raise TypeError(f"{rule.name} got {', '.join(sorted(twice))} twice")
        args, kwargs = args[:arrays], {**extra, **kwargs}
    for name, value in kwargs.items():
        if not (name in own and own[name] is value):
            rest[name] = value  # noqa: PERF403, the dict has what was given by position
    if order is not None:
        args = list(args)
        while len(args) < arrays and order[len(args)] in rest:
            args.append(rest.pop(order[len(args)]))
    if rest.get("out") is not None:
        raise TypeError(no_out(rule.name))
    if known is not None:
        unknown = [f"{name}=" for name in rest if name not in known]
        if unknown:
            knows = ", ".join(known[arrays:]) or "none"
            raise TypeError(
                f"{rule.name} of a Tensor got {', '.join(unknown)}, which its gradient rule does "
                f"not know (it knows: {knows}); leave it out, or do it in a call of its own"
            )
    return args, rest

"""What a gradient rule is, where the rules stand, and how a user's arguments fit one."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

# The homes of functions that are written for real numbers.
REAL_ALONE = ("retrograd.nn.", "retrograd.special.")

F = TypeVar("F", bound=Callable[..., Any])
Vjp = Callable[..., Any]


class Rule:
    """How one function is run and differentiated.

    A function has a vjp for each of the arrays it takes first (`vjps`), or one function for all of
    them (`joint`), which computes what they have in common once:

        vjp(g, out, *arguments)            the gradient of one array
        joint(needed, g, out, *arguments)  those of the arrays at the positions in `needed`

    `g` is the gradient of the output `out`. Both are NumPy code: handed arrays they compute,
    handed Tensors they record. The further parameters name the keywords that the rule understands:
    any other is refused when a call is recorded, unless the function has no gradient at all.

    Args:
        fn: the function, as users call it.
        vjps: a vjp for each array, None where there is no gradient.
        joint: one function for all arrays, in place of `vjps`.
        arrays: how many arrays come first, for a `joint`; None where it takes `*arrays`, of which
            any number may come.
        names: the arguments that the rule understands, where a vjp's `**options` do not tell.
        run: computes the function; `fn` itself unless something faster does the same.
        multi: whether the function returns several arrays.
        looks_through: whether the compiler records the NumPy calls inside `run` instead.
        through: a vjp for this function of the output of another, in one formula: see `defvjp`.
        title: the name by which users know the function, where it is not its own.
        on_program: makes this a function that acts on other processes: a program does it once in
            each of its runs, at its place, into `out=`. Each new program that does is told to it,
            as the names of all calls of its recording.
        analytic: whether the function is one of complex numbers too, so that its rule for these can
            be made of the one for real numbers: see `conjugated`. If not, the rule gets complex
            numbers as they are. None leaves it to where the function is from: those of nets and
            statistics are for real numbers alone, others are taken to be analytic.

    Attributes:
        name: what one writes to call the function.
        title: what messages call it; the inner functions of this package have no name there.
        differentiable: whether any of the arrays has a gradient.
        trusted: whether its gradients may be written into, since nothing else refers to them.
        options: the names of the keywords that it understands.
        freed: takes the place of what a Tensor keeps of its call, once backward has freed that; the
            rule stays, for the error of a second backward.
    """

    __slots__ = (
        "analytic", "arrays", "complex", "differentiable", "fn", "freed", "joint", "looks_through",
        "multi", "name", "names", "on_program", "options", "run", "through", "title", "trusted",
        "vjps",
    )  # fmt: skip

    def __init__(
        self,
        fn: Callable[..., Any],
        vjps: Sequence[Vjp | None] = (),
        *,
        joint: Vjp | None = None,
        arrays: int | None = None,
        names: Sequence[str] | None = None,
        run: Callable[..., Any] | None = None,
        multi: bool = False,
        looks_through: bool = False,
        through: Mapping[Callable[..., Any], Vjp] | None = None,
        title: str | None = None,
        on_program: Callable[[Sequence[str]], Any] | None = None,
        analytic: bool | None = None,
    ) -> None:
        self.fn = fn
        self.on_program = on_program
        self.analytic = analytic
        if analytic is None and not str(getattr(fn, "__module__", "")).startswith(REAL_ALONE):
            self.analytic = True
        self.complex: Rule | None = None  # what `conjugated` has made
        self.name = spelled(fn)
        self.title = title or (self.name if _is_public(fn) else "an inner function")
        self.vjps = tuple(vjps)
        self.joint = joint
        # 0 for any number: `*arrays` leave no place for other arguments, nor for lists
        self.arrays = len(self.vjps) if joint is None else arrays or 0
        self.run = run or fn
        self.multi = multi
        self.looks_through = looks_through
        # by rule, since the reverse pass meets calls, which hold their rules
        self.through: dict[Rule, Vjp] | None = None
        if through is not None:
            self.through = {RULES[inner]: vjp for inner, vjp in through.items()}
            PASSED.update(self.through)
        given = [vjp for vjp in (*self.vjps, joint) if vjp is not None]
        self.differentiable = bool(given)
        # The rules of this package promise to return `g`, or an array that nothing else refers to:
        # the reverse pass may add to it in place. A user's rule may return anything, such as one
        # of its arguments, so what it returns is never written into.
        self.trusted = all(_is_ours(vjp) for vjp in given)
        self.names = None if names is None else tuple(names)
        if given and names is None:
            # a joint rule gets all keywords of its function
            own = getattr(fn, "__wrapped__", fn)
            self.names = arguments(given[0])[2:] if joint is None else arguments(own)
        self.options = frozenset(self.names[self.arrays :] if self.names else ())
        self.freed = (self, None, None, None)

    def gradients(
        self, needed: Sequence[int], g: Any, out: Any, args: Any, kwargs: dict[str, Any]
    ) -> Sequence[Any]:
        """Return the gradients of the arrays at the positions in `needed`, as the rule has them."""
        if self.joint is not None:
            found: Sequence[Any] = self.joint(needed, g, out, *args, **kwargs)
            return found
        vjps = [self.vjps[i] if i < len(self.vjps) else None for i in needed]
        return [None if vjp is None else vjp(g, out, *args, **kwargs) for vjp in vjps]

    def conjugated(self) -> Rule:
        """Return the rule of this function where its output is complex.

        The gradient of a complex number z is `dL/d(real z) + 1j * dL/d(imag z)`: it points uphill,
        as in PyTorch. If an analytic function has the rule `g * F(x, out)` with real coefficients,
        then its complex rule is `g * conj(F(x, out))`, which is `g * F(conj(x), conj(out))`: the
        same rule, run on conjugated arguments and output.

        Raises:
            TypeError: if the rule is for real numbers alone.
        """
        if self.complex is not None:
            return self.complex
        if self.analytic is None:
            raise TypeError(
                f"{self.title} is for real numbers, this would be complex: take the real and "
                "imaginary parts before it (t.real, t.imag)"
            )
        if not self.analytic or not self.differentiable:
            self.complex = self
            return self
        made = Rule(
            self.fn,
            [vjp and functools.partial(on_conjugates, vjp) for vjp in self.vjps],
            joint=self.joint and functools.partial(on_conjugates_jointly, self.joint),
            arrays=self.arrays, names=self.names, run=self.run, multi=self.multi,
            looks_through=self.looks_through, title=self.title,
        )  # fmt: skip
        made.trusted = self.trusted
        self.complex = made.complex = made
        return made

    def takes_array(self, position: int) -> bool:
        """Tell whether the argument at a position is one of the arrays that have a gradient."""
        return position < self.arrays and (
            self.joint is not None or self.vjps[position] is not None
        )


def on_conjugates(vjp: Vjp, g: Any, out: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what a vjp gives for conjugates: see `Rule.conjugated`."""
    return vjp(g, conjugate(out), *map(conjugate, args), **kwargs)


def on_conjugates_jointly(
    joint: Vjp, needed: Sequence[int], g: Any, out: Any, *args: Any, **kwargs: Any
) -> Any:
    """Return what one function for all arrays gives for conjugates."""
    return joint(needed, g, conjugate(out), *map(conjugate, args), **kwargs)


def conjugate(value: Any) -> Any:
    """Return the complex conjugate of a value, or of the parts of a tuple; others as they are."""
    if isinstance(value, tuple):
        return tuple(map(conjugate, value))
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return np.conjugate(value) if kind == "c" or isinstance(value, complex) else value


def _is_public(fn: Callable[..., Any]) -> bool:
    """Tell whether a user knows a function by its name: all but the inner ones of this package."""
    module = str(getattr(fn, "__module__", None))
    listed = getattr(sys.modules.get(module), "__all__", ())
    return not module.startswith("retrograd.") or getattr(fn, "__name__", "") in listed


def _is_ours(vjp: Vjp) -> bool:
    module = getattr(getattr(vjp, "func", vjp), "__module__", None)
    return str(module).startswith("retrograd.")


def arguments(fn: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the arguments of a function, in order, without `*args`."""
    if isinstance(fn, functools.partial):
        return arguments(fn.func)[len(fn.args) :]
    code = getattr(fn, "__code__", None)
    if code is None:
        import inspect  # takes as long to import as the rules, and is hardly ever needed

        return tuple(inspect.signature(fn).parameters)
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return names


RULES: dict[Callable[..., Any], Rule] = {}
# The rules of inner functions that some outer one has a formula for both with: see `Rule.through`.
PASSED: set[Rule] = set()
# Functions that rearrange their arguments and hand them to one function that has a rule.
ADAPTED: dict[Callable[..., Any], Callable[..., Any]] = {}
# Functions that are other functions put together: they run on Tensors and need no rule.
COMPOSED: dict[Callable[..., Any], Callable[..., Any]] = {}
# Functions that tell of an array, not of its values, such as np.shape: NumPy computes them on the
# Tensor's array, and nothing is recorded, since shapes are the same in every run of a program.
METADATA: frozenset[Callable[..., Any]] = frozenset({
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.common_type, np.min_scalar_type,
    np.may_share_memory, np.shares_memory, np.iscomplexobj, np.isrealobj, np.einsum_path,
    np.diag_indices_from, np.tril_indices_from, np.triu_indices_from,
})  # fmt: skip
# Functions that turn values into something other than an array, such as np.allclose: NumPy
# computes them on the Tensor's array. In a recording they are refused, since no program could give
# another answer in another run.
VALUES: frozenset[Callable[..., Any]] = frozenset({
    np.array_equal, np.array_equiv, np.allclose, np.array_repr, np.array_str, np.array2string,
})  # fmt: skip
# Functions that cannot run on Tensors with gradients, with what to write instead.
REFUSED: dict[Callable[..., Any], str] = {}
# Modules of which no function can, likewise.
REFUSED_MODULES: dict[str, str] = {}
# (np.add, "reduce") and the like, answered by the function they mean.
UFUNC_METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {}

# Modules with further rules, and the module whose functions they are for, or "".
_later: list[tuple[str, str]] = []


def rules_later(*modules: str, once: str = "") -> None:
    """Name modules with further rules, to be loaded when a function without a rule turns up.

    Args:
        *modules: their full names.
        once: only after the user has imported this module, such as "scipy.special".
    """
    _later.extend((module, once) for module in modules)


def load_rules() -> bool:
    """Load the rules that are not loaded yet; tell whether there were any."""
    ready = [entry for entry in _later if not entry[1] or entry[1] in sys.modules]
    for entry in ready:
        _later.remove(entry)
        importlib.import_module(entry[0])
    return bool(ready)


def defvjp(
    fn: Callable[..., Any],
    *vjps: Vjp | None,
    names: Sequence[str] | None = None,
    run: Callable[..., Any] | None = None,
    multi: bool = False,
    through: Mapping[Callable[..., Any], Vjp] | None = None,
    analytic: bool | None = None,
) -> None:
    """Give `fn` its gradient rule: one vjp for each array argument, `None` for no gradient.

    A vjp takes `(g, out, *arguments)`: the gradient of the output, the output, and the arguments
    of `fn`; its further parameters name the keywords of `fn` that it understands. It is written
    in NumPy calls and operators, writes nothing, does not branch on values, and may return any
    shape that broadcasts with its argument's.

    Args:
        fn: a function of NumPy, or one decorated with `rg.primitive`.
        *vjps: a function for each array that `fn` takes first, None for one without a gradient.
        names: the arguments of `fn` that the vjps understand (default: those they name).
        run: computes what `fn` does in less time (default: `fn` itself).
        multi: whether `fn` returns a tuple of arrays; `g` and `out` are tuples then.
        through: for an inner function the gradient of `fn(inner(x), ...)` with respect to `x`, in
            one formula that takes what the vjps take. `{sigmoid: ...}` gives binary cross entropy
            of a sigmoid its simple slope, probability minus target. The reverse pass uses it where
            the output of `inner` is the first argument of `fn` and nobody asks for the gradient in
            between.
        analytic: whether `fn` is an analytic function of complex numbers, such as `np.exp`. Its
            vjps need know nothing of these then: they are run on conjugates where `fn` gives
            complex numbers (the default). With False they get complex numbers as they are, and
            return `dL/d(real x) + 1j * dL/d(imag x)`, as do those of a function that makes real
            numbers of complex ones, such as `np.abs`.

    Raises:
        TypeError: if `fn` or a vjp is no function, or there is no vjp.

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
    _check_recorded("defvjp", fn, vjps)
    _register(fn, vjps=vjps, names=names, run=run, multi=multi, through=through, analytic=analytic)


def defvjp_joint(
    fn: Callable[..., Any],
    joint: Vjp,
    arrays: int | None = None,
    *,
    run: Callable[..., Any] | None = None,
    multi: bool = False,
    analytic: bool | None = None,
    title: str | None = None,
) -> None:
    """Give `fn` one function for the gradients of all its arrays, which share work.

    `joint(needed, g, out, *arguments)` returns a gradient for each position in `needed`.

    Args:
        fn: a function of NumPy, or one decorated with `rg.primitive`.
        joint: the function of all gradients.
        arrays: how many arrays `fn` takes first; None where it takes any number (`*arrays`).
        run: computes what `fn` does in less time (default: `fn` itself).
        multi: whether `fn` returns a tuple of arrays.
        title: the name by which users know it, for messages (default: its own).
        analytic: as in `defvjp`.
    """
    _check_recorded("defvjp_joint", fn, [joint])
    _register(fn, joint=joint, arrays=arrays, run=run, multi=multi, title=title, analytic=analytic)


def _check_recorded(name: str, fn: Callable[..., Any], vjps: Sequence[Vjp | None]) -> None:
    """Raise TypeError for a function of whose calls a Tensor never hears: a rule changes nothing.

    It hears of primitives, of ufuncs, of those of NumPy's functions that can be overridden, and of
    what this package records. A user's rule takes the place of what else answers such a call.
    """
    if hasattr(fn, "_primitive") or all(vjp is None or _is_ours(vjp) for vjp in vjps):
        return
    if not (isinstance(fn, np.ufunc | type(np.sum)) or fn in RULES):
        raise TypeError(
            f"{name} of {spelled(fn)} would change nothing, since it is no primitive: write "
            "@rg.primitive above it, or f = rg.primitive(f)"
        )
    load_rules()
    if fn not in RULES:
        for table in (ADAPTED, COMPOSED):
            table.pop(fn, None)


def _register(fn: Callable[..., Any], **parts: Any) -> None:
    primitive = getattr(fn, "_primitive", None)
    if primitive is None:
        RULES[fn] = Rule(fn, **parts)
    else:  # a primitive holds its rule itself, so that calling it needs no look-up
        RULES[fn] = primitive.adopt(fn, parts)


def nograd(*fns: Callable[..., Any], multi: bool = False) -> None:
    """Record `fns` without a gradient: a replay computes their value again.

    Args:
        *fns: the functions.
        multi: whether they return tuples of arrays.
    """
    for fn in fns:
        defvjp(fn, None, multi=multi)


def refuse(remedy: str, *fns: Callable[..., Any] | str) -> None:
    """Answer calls that would lose a gradient by an error that says what to write instead.

    Args:
        remedy: what to write instead, put after "... of a Tensor is not possible: ".
        *fns: the functions, and the names of modules all of whose functions are meant.
    """
    for fn in fns:
        if isinstance(fn, str):
            REFUSED_MODULES[fn] = remedy
        else:
            REFUSED[fn] = remedy


def remedy_for(fn: Callable[..., Any]) -> str:
    """Return what to write instead of a function that is refused, "" for any other."""
    home = home_of(fn)
    modules = (remedy for module, remedy in REFUSED_MODULES.items() if home.startswith(module))
    return REFUSED.get(fn) or next(modules, "")


def home_of(fn: Callable[..., Any]) -> str:
    """Return the name of the module that a function is for."""
    if isinstance(fn, np.ufunc):  # which does not tell its module; those of strings have no types
        takes_numbers = fn.types or hasattr(np, fn.__name__)
        return "numpy" if takes_numbers else "numpy.strings"
    return getattr(fn, "__module__", None) or "numpy"


def adapted(*fns: Callable[..., Any]) -> Callable[[F], F]:
    """Answer `fns` by the decorated function, which hands other arguments to one with a rule."""

    def register(body: F) -> F:
        ADAPTED.update(dict.fromkeys(fns, body))
        return body

    return register


def composed(*fns: Callable[..., Any]) -> Callable[[F], F]:
    """Answer `fns` by the decorated function, which is written in functions that have rules."""

    def register(body: F) -> F:
        COMPOSED.update(dict.fromkeys(fns, body))
        return body

    return register


def spelled(fn: Callable[..., Any]) -> str:
    """Return the name a user writes, such as `np.linalg.inv` or `relu`."""
    name = getattr(fn, "__name__", repr(fn))
    if isinstance(getattr(fn, "__self__", None), np.ufunc):
        return f"{spelled(fn.__self__)}.{name}"  # type: ignore[attr-defined]
    if isinstance(fn, np.ufunc):
        homes = {"np": np, "scipy.special": sys.modules.get("scipy.special")}
        home = next((h for h, m in homes.items() if getattr(m, name, None) is fn), None)
        return f"{home}.{name}" if home else name
    module = getattr(fn, "__module__", None) or ""
    if module.startswith("numpy"):
        if "._" in module:  # some versions of NumPy do not tell where a function is found
            # of those that are loaded: to ask NumPy for one would load it
            public = ("numpy", "numpy.linalg", "numpy.fft", "numpy.lib.scimath")
            found = [m for m in public if getattr(sys.modules.get(m), name, None) is fn]
            module = found[0] if found else module
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
        f"{name} of a Tensor cannot write into an array (`out=`, `a += t`), the gradient would be "
        f"lost: write y = {name}(...), or t.detach() for the values alone"
    )


def target_of_write(fn: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return what a call of `fn` is given to write its result into, None for nothing."""
    if kwargs.get("out") is not None:
        return kwargs["out"]
    place = _out_place(fn)
    return args[place] if place is not None and len(args) > place else None


@functools.cache
def _out_place(fn: Callable[..., Any]) -> int | None:
    """Return the position of what is written into, where it may be given by position."""
    if getattr(fn, "__name__", "") == "at":
        return 0
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
            raise TypeError(f"{rule.title} got {len(args)} arguments, at most {len(order)} fit")
        extra = dict(zip(order[arrays:], args[arrays:], strict=False))
        if twice := extra.keys() & kwargs.keys():
            raise TypeError(f"{rule.title} got {', '.join(sorted(twice))} twice")
        args, kwargs = args[:arrays], {**extra, **kwargs}
    for name, value in kwargs.items():
        if not (name in own and own[name] is value):
            rest[name] = value  # noqa: PERF403, the dict has what was given by position
    if order is not None:
        args = list(args)
        while len(args) < arrays and order[len(args)] in rest:
            args.append(rest.pop(order[len(args)]))
    if rest.get("out") is not None:
        raise TypeError(no_out(rule.title))
    if known is not None:
        unknown = [f"{name}=" for name in rest if name not in known]
        if unknown:
            knows = ", ".join(known[arrays:]) or "none"
            raise TypeError(
                f"{rule.title} of a Tensor got {', '.join(unknown)}, which its gradient rule does "
                f"not know (it knows: {knows}); leave it out, or do it in a call of its own"
            )
    return args, rest

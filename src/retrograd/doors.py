"""How calls come in: through NumPy's two protocols, and through functions of one's own."""

import functools
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, overload

import numpy as np

from retrograd import core
from retrograd.core import Tensor, describe, plain, record, run
from retrograd.mode import MODE
from retrograd.registry import (
    COMPOSED,
    METADATA,
    REFUSED,
    RULES,
    VALUES,
    Rule,
    arguments,
    bind,
    load_rest,
    no_out,
    spelled,
    writes_out,
)

F = TypeVar("F", bound=Callable[..., Any])


def call_numpy(fn: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Answer `fn(*args, **kwargs)` as a user wrote it, some argument being a Tensor."""
    answer = COMPOSED.get(fn)
    if answer is not None:
        if writes_out(fn, args, kwargs):
            raise TypeError(no_out(spelled(fn)))
        kwargs.pop("out", None)
        return answer(*args, **kwargs)
    if fn in METADATA or fn in VALUES:
        tape = MODE.get().tape
        if tape is not None and fn in VALUES:
            tape.forbid(spelled(fn))
        return fn(*(plain(a) for a in args), **{k: plain(v) for k, v in kwargs.items()})
    rule = RULES.get(fn)
    if rule is not None:
        args, kwargs = bind(rule, args, kwargs)
        if not rule.differentiable:
            args = [plain(a) if isinstance(a, (list, tuple)) else a for a in args]
            kwargs = {k: plain(v) for k, v in kwargs.items()}
        elif kwargs:
            kwargs = {k: _constant(rule, k, v) for k, v in kwargs.items()}
        return record(fn, *args, **kwargs)
    name = spelled(fn)
    if fn in REFUSED and not load_rest():
        raise TypeError(f"{name} of a Tensor is not possible: {REFUSED[fn]}")
    if load_rest() or _is_scipys(fn):
        return call_numpy(fn, args, kwargs)
    raise TypeError(
        f"{name} has no gradient rule. For the values alone write {name}(t.data). "
        "To give it a rule:\n"
        "    @rg.primitive\n"
        "    def f(x):\n"
        f"        return {name}(x)\n"
        "    rg.defvjp(f, lambda g, out, x: g * ...)  # ... in NumPy calls\n"
        "    f(t)"
    )


def _is_scipys(fn: Callable[..., Any]) -> bool:
    """Tell whether SciPy, if the user has imported it, has a ufunc that is answered here."""
    if not isinstance(fn, np.ufunc) or "scipy.special" not in sys.modules:
        return False
    from retrograd.special import adopt

    adopt()
    return fn in COMPOSED


def _constant(rule: Rule, name: str, value: Any) -> Any:
    """Return a keyword's value; a Tensor there may not want a gradient, nor be on a tape."""
    if isinstance(value, Tensor):
        mode = MODE.get()
        if value.requires_grad and mode.grad:
            raise TypeError(
                f"{name}= of {rule.name} has no gradient: pass {name}=t.detach() to go without"
            )
        if mode.tape is not None:
            mode.tape.forbid(f"a Tensor as {name}= of {rule.name}")
        return value._array
    return value


@overload
def primitive(fn: F) -> F: ...
@overload
def primitive(*, looks_through: bool = True) -> Callable[[F], F]: ...
def primitive(fn: Any = None, *, looks_through: bool = True) -> Any:
    """Make an array function that `defvjp` can give a rule; on plain arrays it just runs.

    The compiler looks through the function to the NumPy calls inside it; with
    `looks_through=False` the body need not be NumPy calls, and is replayed as one call.

    >>> @rg.primitive
    ... def twice(x):
    ...     return 2 * x
    >>> rg.defvjp(twice, lambda g, out, x: 2 * g)
    >>> twice(np.ones(2))
    array([2., 2.])
    >>> twice(rg.Tensor([1.0, 1.0]))
    Tensor([2., 2.])
    """
    if fn is None:
        return functools.partial(primitive, looks_through=looks_through)
    if not callable(fn) or not hasattr(fn, "__name__"):
        raise TypeError(f"primitive decorates a function, not {fn!r}")
    body = fn

    def first(args: Any, kwargs: Any) -> Any:
        """Answer a call that comes before the door is written, or that no written door fits."""
        if not any(isinstance(a, Tensor) for a in (*args, *kwargs.values())):
            return body(*args, **kwargs)
        rule = RULES.get(door)
        if rule is None:
            raise TypeError(
                f"{body.__name__} has no gradient rule: write "
                f"rg.defvjp({body.__name__}, lambda g, out, ...: ...)"
            )
        if door.__code__ is _unwritten.__code__ and write_door(door, rule, body):
            return door(*args, **kwargs)
        if len(args) > rule.arrays or (kwargs and not kwargs.keys() <= rule.options):
            bound, kwargs = bind(rule, args, kwargs)
            args = tuple(bound)
        return run(rule, args, kwargs)

    def adopt(rule: Rule) -> None:
        code = getattr(body, "__code__", None)
        if code is not None and code.co_posonlyargcount > rule.arrays:
            option = code.co_varnames[rule.arrays]
            raise TypeError(f"{body.__name__} takes {option} by position only: leave the / out")
        rule.run, rule.looks_through = body, looks_through
        door.__code__ = _unwritten.__code__

    door = FunctionType(_unwritten.__code__, {"first": first}, body.__name__)
    functools.update_wrapper(door, body)
    door._adopt = adopt  # type: ignore[attr-defined]
    return door


first: Callable[..., Any] = print  # each door has its own, in a namespace of its own


def _unwritten(*args: Any, **kwargs: Any) -> Any:
    return first(args, kwargs)


READ = """
    if _isinstance({0}, _Tensor):
        _traced = True
        if {0}.requires_grad:
            _needs = True
        _array_{0} = {0}._array
    else:
        _array_{0} = {0}"""

# What `run` does, written out for the arguments of one function: half of the time of a small call.
DOOR = """
def door({signature}):
    _traced = _needs = False{reads}
    if not _traced:
        return _body({passed})
    _mode = _MODE.get()
    if _mode.tape is not None:
        return _run(_rule, ({given}), {options})
    try:
        _out = _body({arrays} {keywords})
    except Exception as _error:
        _error.add_note(f"in {{_describe(_rule, ({arrays}), {options})}}")
        raise
    if _out.__class__ is not _ndarray:
        _out = _unmasked(_out)
    _t = _new(_Tensor)
    _t._grad = _t._stamp = None
    _t._array = _out
    if _out.base is not None{same}:
        _share_memory(_t, _out, ({given}))
    _dtype = _out.dtype
    if _dtype is not _float64 and _dtype is not _float32 and not _floating(_rule, _dtype):
        _needs = False
    if _needs and _mode.grad:
        _t.requires_grad = True
        _t.call = _rule, ({given}), ({arrays}), {options}
        _t.order = _clock()
        _t._retains = False
    else:
        _t.requires_grad = False
        _t.call = None
    return _t
"""


def write_door(door: Any, rule: Rule, body: Any) -> bool:
    """Give a primitive a body that is written for its arguments; tell whether that is possible."""
    code = getattr(body, "__code__", None)
    if code is None or code.co_flags & (_VARARGS | _VARKEYWORDS) or rule.multi:
        return False
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    arrays, options = names[: rule.arrays], names[rule.arrays :]
    if len(arrays) > code.co_argcount or not rule.differentiable:
        return False
    # the door hands all options on, also to vjps that do without some
    if not (isinstance(rule.vjps, tuple) and all(_takes(v, options) for v in rule.vjps)):
        return False
    if any(name.startswith("_") for name in names):  # as those of the door itself do
        return False
    required = code.co_argcount - len(body.__defaults__ or ())
    spelled = [n if i < required else f"{n}=None" for i, n in enumerate(names)]
    if code.co_kwonlyargcount:
        spelled.insert(code.co_argcount, "*")
    source = DOOR.format(
        signature=", ".join(spelled),
        reads="".join(map(READ.format, arrays)),
        passed=", ".join([*arrays, *(f"{n}={n}" for n in options)]),
        given="".join(f"{n}, " for n in arrays),
        arrays="".join(f"_array_{n}, " for n in arrays),
        same="".join(f" or _out is _array_{n}" for n in arrays),
        keywords=", ".join(f"{n}={n}" for n in options),
        options="{" + ", ".join(f"{n!r}: {n}" for n in options) + "}",
    )
    made: dict[str, Any] = {}
    exec(compile(source, f"{__file__}: {body.__name__}", "exec"), made)
    door.__globals__.update(_COMMON, _body=body, _rule=rule)
    door.__defaults__, door.__kwdefaults__ = body.__defaults__, body.__kwdefaults__
    door.__code__ = made["door"].__code__
    return True


def _takes(vjp: Any, options: tuple[str, ...]) -> bool:
    flags = getattr(getattr(vjp, "__code__", None), "co_flags", 0)
    return vjp is None or bool(flags & _VARKEYWORDS) or set(options) <= set(arguments(vjp))


_VARARGS, _VARKEYWORDS = 4, 8  # inspect.CO_VARARGS and CO_VARKEYWORDS
_COMMON = {  # what the source of a door refers to
    "_MODE": MODE, "_Tensor": Tensor, "_clock": core.clock,
    "_describe": describe, "_float32": np.dtype(np.float32), "_float64": np.dtype(np.float64),
    "_floating": core.floating, "_isinstance": isinstance, "_ndarray": np.ndarray,
    "_new": object.__new__, "_run": run, "_share_memory": core.share_memory,
    "_unmasked": core.unmasked,
}  # fmt: skip

core._answer = call_numpy

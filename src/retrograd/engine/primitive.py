"""Functions of one's own: array functions that are recorded as one call of a Tensor."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from types import FunctionType
from typing import Any, NoReturn, TypeVar, overload

from retrograd.checks import OTHER_WORDS, refuse_words
from retrograd.engine.call import describe
from retrograd.engine.mode import current_mode
from retrograd.engine.rule import Rule, arguments, bind
from retrograd.engine.tensor import TENSORS, Tensor, keep, run

F = TypeVar("F", bound=Callable[..., Any])


@overload
def primitive(fn: F) -> F: ...
@overload
def primitive(*, looks_through: bool = True, ignores: Collection[str] = ()) -> Callable[[F], F]: ...
def primitive(fn: Any = None, *, looks_through: bool = True, ignores: Collection[str] = ()) -> Any:
    """Make an array function that `defvjp` can give a rule; on plain arrays it just runs.

    Args:
        fn: a function that takes arrays first and computes in NumPy calls.
        looks_through: whether the compiler records the NumPy calls inside the function; if not,
            the body need not be NumPy calls, and is replayed as one call.
        ignores: names of options that change nothing, such as `inplace`: the function takes them,
            its rule does not see them.

    Returns:
        The function that takes Tensors too; without `fn`, a decorator that makes one.

    Raises:
        TypeError: if `fn` is no function with a name.

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
        return functools.partial(primitive, looks_through=looks_through, ignores=ignores)
    if not callable(fn) or not hasattr(fn, "__name__"):
        raise TypeError(f"primitive decorates a function, not {fn!r}")
    return Primitive(fn, looks_through, frozenset(ignores)).door


class Primitive:
    """A function of one's own, and the door through which its calls come in.

    The door is a Python function. At first its code hands all calls to `answer`. At the first call
    with a rule and a Tensor, its `__code__` is exchanged for one written for the function's own
    arguments, which takes half of the time.
    """

    def __init__(
        self, body: Callable[..., Any], looks_through: bool, ignores: frozenset[str]
    ) -> None:
        self.body, self.looks_through, self.ignores = body, looks_through, ignores
        self.rule: Rule | None = None
        name = getattr(body, "__name__", "primitive")
        door: Any = FunctionType(_door.__code__, {"_answer": self.answer}, name)
        functools.update_wrapper(door, body)
        door._primitive = self
        self.door = door

    def adopt(self, fn: Callable[..., Any], parts: dict[str, Any]) -> Rule:
        """Make the rule of this function, and a door for it, of what `defvjp` was given."""
        run = parts.pop("run", None) or self.body
        rule = Rule(fn, **parts, run=run, looks_through=self.looks_through)
        code = getattr(self.body, "__code__", None)
        if code is not None and code.co_posonlyargcount > rule.arrays:
            option = code.co_varnames[rule.arrays]
            name = code.co_name
            raise TypeError(f"{name} takes {option} by position only: leave the / out")
        self.rule = rule
        self.door.__code__ = _door.__code__
        return rule

    def answer(self, args: Any, kwargs: Any) -> Any:
        """Answer a call for which the door has no code of its own."""
        if kwargs and not OTHER_WORDS.keys().isdisjoint(kwargs):
            self._check_words(kwargs)
        if not any(isinstance(a, Tensor) for a in (*args, *kwargs.values())):
            return self.body(*args, **kwargs)
        rule, name = self.rule, getattr(self.body, "__name__", "primitive")
        if rule is None:
            raise TypeError(
                f"{name} has no gradient rule: write rg.defvjp({name}, lambda g, out, ...: ...)"
            )
        if self.door.__code__ is _door.__code__ and write_door(
            self.door, rule, self.body, self.ignores
        ):
            return self.door(*args, **kwargs)  # by the code that was just written
        if len(args) > rule.arrays or (kwargs and not kwargs.keys() <= rule.options):
            kwargs = {k: v for k, v in kwargs.items() if k not in self.ignores}
            bound, kwargs = bind(rule, args, kwargs)
            args = tuple(bound)
        return run(rule, args, kwargs)

    def _check_words(self, words: Iterable[str]) -> None:
        """Raise TypeError for keywords that are not the body's, with what to write instead."""
        own = arguments(self.body)
        if unknown := [word for word in words if word not in own]:
            refuse_words(getattr(self.body, "__name__", "primitive"), unknown, own)


def _answer(args: Any, kwargs: Any) -> NoReturn:
    """Stand for what each door has under this name in a namespace of its own."""
    raise NotImplementedError


def _door(*args: Any, **kwargs: Any) -> Any:
    return _answer(args, kwargs)


# Looks at one argument: is it a Tensor, does it require grad, and what is its array?
READ = """
    if {0}.__class__ in _TENSORS:
        _traced = True
        if {0}.requires_grad:
            _needs = True
        _array_{0} = {0}._array
    else:
        _array_{0} = {0}"""

CHECK = """
    if _words:
        _refuse_words({name!r}, _words)"""

# What `run` does, written out for the arguments of one function.
DOOR = """
def door({signature}):{check}
    _traced = _needs = False{reads}
    if not _traced:
        return _body({passed})
    _mode = _current_mode()
    if _mode.tell is not None:
        return _run(_rule, ({given}), {options})
    try:
        _out = _body({arrays} {keywords})
    except Exception as _error:
        _error.add_note(f"in {{_describe(_rule, ({arrays}), {options})}}")
        raise
    return _keep((_rule, ({given}), ({arrays}), {options}), _out, _needs, _mode)
"""


def write_door(door: Any, rule: Rule, body: Any, ignores: Collection[str] = ()) -> bool:
    """Give a primitive a door that is written for its arguments; tell whether that is possible.

    Options that it `ignores` do not go through. Where one is an `axis`, which others call `dim`,
    the door takes any keyword, to say so.
    """
    code = getattr(body, "__code__", None)
    if code is None or code.co_flags & (_VARARGS | _VARKEYWORDS) or rule.multi:
        return False
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    arrays = names[: rule.arrays]
    options = tuple(name for name in names[rule.arrays :] if name not in ignores)
    if len(arrays) > code.co_argcount or not rule.differentiable or not arrays:
        return False
    # The door hands all options to each vjp, so each must take all of them; `run` hands on only
    # those that were given, and serves where one vjp names fewer.
    if not all(_takes(vjp, options) for vjp in (*rule.vjps, rule.joint)):
        return False
    if any(name.startswith("_") for name in names):  # as the names of the door's own variables do
        return False
    required = code.co_argcount - len(body.__defaults__ or ())
    spelled = [n if i < required else f"{n}=None" for i, n in enumerate(names)]
    if code.co_kwonlyargcount:
        spelled.insert(code.co_argcount, "*")
    says_axis = not {"axis", "start_axis", "keepdims"}.isdisjoint(options)
    if says_axis:
        spelled.append("**_words")
    source = DOOR.format(
        signature=", ".join(spelled),
        check=CHECK.format(name=body.__name__) if says_axis else "",
        reads="".join(map(READ.format, arrays)),
        passed=", ".join([*arrays, *(f"{n}={n}" for n in options)]),
        given="".join(f"{n}, " for n in arrays),
        arrays="".join(f"_array_{n}, " for n in arrays),
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
    "_current_mode": current_mode, "_TENSORS": TENSORS, "_describe": describe, "_keep": keep,
    "_refuse_words": refuse_words, "_run": run,
}  # fmt: skip

"""What a gradient rule says, as its author wrote it, and the same with numbers put in."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any

import numpy as np

from retrograd.engine import arguments
from retrograd.engine.rule import conjugate, on_conjugates
from retrograd.seeing.numbers import in_brackets, is_close

# A rule of more statements than this is shown by its name, and one expression is not longer.
_MOST_STEPS, _LONGEST = 4, 90


class Formula:
    """A rule as text: what it returns, and the statements before that.

    Args:
        steps: the statements that are carried out before, as text.
        expression: what is returned.
        values: what the names in it stand for.
        outside: the same for names that the rule finds outside.

    Attributes:
        steps: the statements that are carried out before, as text.
        text: what is returned, such as "g * (1 - out * out)".
    """

    def __init__(
        self,
        steps: Sequence[str],
        expression: Written,
        values: Mapping[str, Any],
        outside: dict[str, Any],
    ) -> None:
        self.steps = [*steps]
        self.text = expression.text
        self._expression = expression
        self._values = values
        self._outside = outside

    def used(self) -> dict[str, Any]:
        """Return the numbers and arrays that the expression names."""
        found = {}
        for name in self._expression.names:
            value = self._values.get(name, self._outside.get(name))
            if isinstance(value, (np.ndarray, np.generic, float, int)) and type(value) is not bool:
                found[name] = value
        return found

    def put_in(self, place: tuple[int, ...], shape: tuple[int, ...], found: Any) -> str:
        """Return the expression with the numbers of one element put in.

        A rule that does not go element by element, such as that of a matrix product, has no such
        form; neither has one whose numbers do not give what was found.

        Args:
            place: which element of what the rule gave.
            shape: the shape of that.
            found: what it gave at that place.

        Returns:
            The text, "" where there is no such form.
        """
        numbers = {}
        for name, value in self.used().items():
            if isinstance(value, np.ndarray):
                try:
                    value = value.reshape(())[()] if value.size == 1 else _at(value, place, shape)
                except ValueError:
                    return ""
            numbers[name] = value
        try:
            with np.errstate(all="ignore"):
                got = eval(self._expression.code, self._outside, {**self._values, **numbers})
            if not is_close(got, found):
                return ""
        except Exception:  # a rule that does not take single numbers may raise anything
            return ""
        if self.text in numbers:  # a bare `g`
            return ""
        return self._expression.template.format_map(_Numbers(numbers))


class _Numbers(dict[str, Any]):
    """Numbers as they stand in a formula; what is no number stands by its name."""

    def __getitem__(self, name: str) -> str:
        return in_brackets(super().__getitem__(name)) if name in self else name


def _at(value: Any, place: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(value, shape)[place]


class Written:
    """An expression of a rule as text, and ready to be computed.

    Args:
        node: the expression.

    Attributes:
        text: as it is written.
        names: the names in it, in order.
        template: the text with a place for each name.
        code: what computes it.
    """

    def __init__(self, node: ast.expr) -> None:
        self.text = ast.unparse(node)
        bound = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
        bound |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not _is_read(n)}
        names = {n.id: None for n in ast.walk(node) if isinstance(n, ast.Name) and _is_read(n)}
        self.names = [name for name in names if name not in bound]
        holes = _Holes(self.names).visit(_copied(node))
        braced = ast.unparse(holes).replace("{", "{{").replace("}", "}}")
        for name in self.names:
            braced = braced.replace(f"_hole_{name}_", f"{{{name}}}")
        self.template = braced
        self.code = compile(ast.fix_missing_locations(ast.Expression(_copied(node))), "", "eval")


def _is_read(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _copied(node: ast.expr) -> Any:
    return ast.parse(ast.unparse(node), mode="eval").body


class _Holes(ast.NodeTransformer):
    """Puts marks in the place of names."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(f"_hole_{node.id}_", node.ctx) if node.id in self.names else node


def formula_of(
    rule: Callable[..., Any], given: Sequence[Any], options: Mapping[str, Any]
) -> Formula | None:
    """Return what a rule computes for some arguments: of branches only the one that is taken.

    Args:
        rule: the function.
        given: what it is called with by position.
        options: what it is called with by name.

    Returns:
        The formula; None where the source is not at hand or is too long to be one.

    >>> from retrograd.seeing.formulas import formula_of
    >>> rule = np.tanh(rg.Tensor(0.5, requires_grad=True)).rule.vjps[0]
    >>> formula = formula_of(rule, (np.array(2.0), np.tanh(0.5), np.array(0.5)), {})
    >>> formula.text
    'g * (1 - out * out)'
    >>> formula.put_in((), (), 1.5729)
    '2 * (1 - 0.4621 * 0.4621)'
    """
    while isinstance(rule, functools.partial):
        if rule.func is on_conjugates:
            rule, given = rule.args[0], (given[0], *map(conjugate, given[1:]))
            continue
        given, options = (*rule.args, *given), {**rule.keywords, **options}
        rule = rule.func
    code = getattr(rule, "__code__", None)
    if code is None or code.co_flags & _VARARGS:
        return None
    names = arguments(rule)
    values = {**(rule.__kwdefaults__ or {})}
    defaults = rule.__defaults__ or ()
    positional = names[: code.co_argcount]
    values |= dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    values |= dict(zip(names, given, strict=False))
    values |= {name: value for name, value in options.items() if name in names}
    outside = rule.__globals__
    if rule.__closure__:
        cells = (cell.cell_contents for cell in rule.__closure__)
        outside = {**outside, **dict(zip(code.co_freevars, cells, strict=True))}
    kind = _kind(values)
    if (known := _KNOWN.get((code, kind))) is not None:
        return Formula([], known, values, outside)
    source = _source_of(code)
    if source is None:
        return None
    try:
        with np.errstate(all="ignore"):
            formula, is_fixed = _carry_out(source, values, outside)
    except Exception:  # what a rule does besides computing is not repeated
        return None
    if formula is not None and is_fixed and kind is not None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[code, kind] = formula._expression
    return formula


_VARARGS = 4  # inspect.CO_VARARGS
# Formulas by the code of the rule and the kinds of its arguments: rules do not branch on values.
_KNOWN: dict[tuple[CodeType, Any], Written] = {}
_MOST_KNOWN = 4096


def _kind(value: Any) -> Any:
    """Return what decides which branches a rule takes, None where that cannot be told."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.shape, value.dtype
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        kinds = tuple(_kind(part) for part in value)
        return None if None in kinds else kinds
    return (type(value), value) if value is None or type(value) in _PLAIN else None


_PLAIN = (bool, int, float, str, type(Ellipsis))


class _Plain(ast.NodeTransformer):
    """Puts the branch that is taken in the place of a condition, and numbers in that of lengths."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        try:
            return node.body if _evaluate(node.test, self.values) else node.orelse
        except Exception:  # a condition on what is known only inside, such as of a comprehension
            return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        return self._number_or(node) if isinstance(node.func, ast.Name) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        return self._number_or(node)

    def _number_or(self, node: ast.expr) -> ast.expr:
        try:
            value = _evaluate(node, self.values)
        except Exception:
            return node
        return ast.Constant(value) if type(value) is int and value >= 0 else node


class _Inline(ast.NodeTransformer):
    """Puts what names were assigned in their place."""

    def __init__(self, assigned: Mapping[str, ast.expr]) -> None:
        self.assigned = assigned

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return _copied(self.assigned[node.id]) if node.id in self.assigned else node


def _evaluate(node: ast.expr, values: dict[str, Any]) -> Any:
    whole = ast.fix_missing_locations(ast.Expression(_copied(node)))
    return eval(compile(whole, "", "eval"), values)


def _carry_out(
    source: ast.Lambda | ast.FunctionDef, given: dict[str, Any], outside: dict[str, Any]
) -> tuple[Formula | None, bool]:
    """Carry out the statements of a rule, and return what it returns as one expression.

    Where that would be too long, the statements before stand before it. It also returns whether
    other values of the same kinds would have the same formula.
    """
    values = {**outside, **given}
    if isinstance(source, ast.Lambda):
        body: Sequence[ast.stmt] = [ast.Return(source.body)]
    else:
        body = source.body
    steps: list[str] = []
    assigned: dict[str, ast.expr] = {}
    is_one = is_fixed = True
    for statement in _taken_statements(body, values):
        if isinstance(statement, ast.Return):
            if statement.value is None:
                break
            last = _Plain(values).visit(_copied(statement.value))
            if is_one:
                whole = Written(_Inline(assigned).visit(_copied(last)))
                if len(whole.text) <= _LONGEST:
                    return Formula([], whole, given, outside), is_fixed
            return Formula(steps, Written(last), values, outside), False
        before = {**values}
        text = ast.unparse(statement)
        if "\n" in text:
            break
        exec(compile(text, "", "exec"), values)
        changed = [n for n in values if before.get(n, before) is not values[n] and n[0] != "_"]
        if not changed:
            continue  # it only checks, or leaves an argument as it is
        if simple := _assignments(statement):
            assigned |= {
                name: _Inline(assigned).visit(_Plain(before).visit(_copied(value)))
                for name, value in simple.items()
                if name in changed
            }
        else:
            for name in changed:
                number = _number(values[name])
                is_one = is_one and number is not None
                is_fixed = is_fixed and not isinstance(values[name], (np.ndarray, np.generic))
                assigned[name] = ast.Constant(number)
        steps.append(text)
        if len(steps) > _MOST_STEPS:
            break
    return None, False


def _assignments(statement: ast.stmt) -> dict[str, ast.expr]:
    """Return the names and the values of an assignment to names, {} for other statements."""
    if isinstance(statement, ast.AugAssign):
        target, value = statement.target, statement.value
        before = ast.Name(ast.unparse(target), ast.Load())
        value = ast.BinOp(before, statement.op, value)
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value  # type: ignore[assignment]
    else:
        return {}
    pairs: list[tuple[ast.expr, ast.expr]] = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = [*zip(target.elts, value.elts, strict=True)]
    if all(isinstance(target, ast.Name) for target, _ in pairs):
        return {ast.unparse(target): value for target, value in pairs}
    return {}


def _number(value: Any) -> float | int | None:
    """Return a value as a number, None where it is none."""
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    return value if type(value) in (int, float) else None


def _taken_statements(body: Sequence[ast.stmt], values: dict[str, Any]) -> Iterator[ast.stmt]:
    """Yield simple statements, of `if` those of the branch that is taken."""
    for statement in body:
        if isinstance(statement, ast.If):
            taken = statement.body if _evaluate(statement.test, values) else statement.orelse
            yield from _taken_statements(taken, values)
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            yield statement


@functools.lru_cache(maxsize=1024)
def _source_of(code: CodeType) -> ast.Lambda | ast.FunctionDef | None:
    """Return the source of a function, None where it is not at hand or is another one by now."""
    for node in _functions_in(code.co_filename).get(code.co_firstlineno, ()):
        given = node.args
        names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        if tuple(names) == code.co_varnames[: len(names)] and len(names) == (
            code.co_argcount + code.co_kwonlyargcount
        ):
            if isinstance(node, ast.FunctionDef):
                return node if node.name == code.co_name else None
            if code.co_name == "<lambda>" and _spans(node.body, code):
                return node
    return None


def _spans(body: ast.expr, code: CodeType) -> bool:
    """Tell whether the instructions of a function are those of an expression in its line."""
    start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    places = [p for p in code.co_positions() if None not in p and p[3]]
    inside = [(p[0], p[2]) >= start and (p[1], p[3]) <= end for p in places]
    return not places or any(inside)


@functools.lru_cache(maxsize=256)
def _functions_in(file: str) -> dict[int, list[ast.Lambda | ast.FunctionDef]]:
    """Return the functions of a file by the line where each begins."""
    found: dict[int, list[ast.Lambda | ast.FunctionDef]] = {}
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return found
    for node in ast.walk(tree):
        if isinstance(node, (ast.Lambda, ast.FunctionDef)):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(d.lineno for d in decorators)])
            found.setdefault(first, []).append(node)
    return found

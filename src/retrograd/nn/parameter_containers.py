"""Containers of Parameters: what a plain list or dict of them hides from optimizers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from retrograd.engine import Tensor
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class _Parameters(Module):
    """What both share: how a Parameter gets in, and the repr."""

    def _put(self, name: str, value: ArrayLike | Tensor) -> None:
        """Keep a Parameter, or a new one of other numbers, in an attribute."""
        setattr(self, name, value if isinstance(value, Parameter) else Parameter(value))

    def _own(self) -> dict[str, Parameter]:
        """Return the Parameters by name, in order."""
        return dict(self.named_parameters(recurse=False))

    def __len__(self) -> int:
        return len(self._own())

    def extra_repr(self) -> str:
        shown = [f"{name}: {p.dtype}{list(p.shape)}" for name, p in self._own().items()]
        return ", ".join(shown)


class ParameterList(_Parameters):
    """A list of Parameters that are found, as those in a plain list are not.

    They are named "0", "1", ... in the `state_dict`. It has no `forward`: a Module that holds it
    goes through it.

    Args:
        values: Parameters, or numbers to make Parameters of, in order (default none).

    Raises:
        TypeError: if something is no array of floating numbers.
        IndexError: when indexed, if there is none at the index.
        NotImplementedError: if it is called.

    >>> class Polynomial(rg.nn.Module):
    ...     def __init__(self, degree):
    ...         self.terms = rg.nn.ParameterList(np.ones(1) for _ in range(degree + 1))
    ...     def forward(self, x):
    ...         return sum(term * x ** power for power, term in enumerate(self.terms))
    >>> list(Polynomial(2).state_dict())
    ['terms.0', 'terms.1', 'terms.2']
    >>> Polynomial(2)(np.array([2.0])).data
    array([7.])
    """

    def __init__(self, values: Iterable[ArrayLike | Tensor] | None = None) -> None:
        self.extend(values or ())

    def append(self, value: ArrayLike | Tensor) -> Self:
        """Add a Parameter at the end.

        Args:
            value: The Parameter, or numbers to make one of.

        Returns:
            This list.

        >>> len(rg.nn.ParameterList().append([1.0, 2.0]))
        1
        """
        self._put(str(len(self)), value)
        return self

    def extend(self, values: Iterable[ArrayLike | Tensor]) -> Self:
        """Add Parameters at the end.

        Args:
            values: The Parameters, or numbers to make some of.

        Returns:
            This list.

        >>> len(rg.nn.ParameterList().extend([[1.0], [2.0]]))
        2
        """
        for value in values:
            self.append(value)
        return self

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._own().values())

    def __getitem__(self, index: int | slice) -> Any:
        chosen = list(self)[index]
        return ParameterList(chosen) if isinstance(index, slice) else chosen

    def __setitem__(self, index: int, value: ArrayLike | Tensor) -> None:
        self._put(list(self._own())[index], value)


class ParameterDict(_Parameters):
    """A dict of Parameters that are found, as those in a plain dict are not.

    It has no `forward`: a Module that holds it chooses from it.

    Args:
        parameters: Names, and Parameters or numbers to make some of (default none).

    Raises:
        TypeError: if something is no array of floating numbers.
        KeyError: if a name has a dot in it or is that of a method; when indexed, if there is none
            of that name.
        NotImplementedError: if it is called.

    >>> scales = rg.nn.ParameterDict({"left": [1.0]})
    >>> scales["right"] = rg.nn.Parameter([2.0])
    >>> list(scales.state_dict()), "left" in scales
    (['left', 'right'], True)
    >>> scales["right"] * 3
    Tensor([6.], call=np.multiply)
    """

    def __init__(self, parameters: Mapping[str, ArrayLike | Tensor] | None = None) -> None:
        self.update(parameters or {})

    def update(self, parameters: Mapping[str, ArrayLike | Tensor]) -> None:
        """Add Parameters under their names, in the place of those that had the names before.

        Args:
            parameters: Names, and Parameters or numbers to make some of.

        Raises:
            KeyError: if a name has a dot in it or is that of a method.

        >>> scales = rg.nn.ParameterDict()
        >>> scales.update({"left": [1.0]})
        >>> len(scales)
        1
        """
        for name, value in parameters.items():
            self[name] = value

    def pop(self, key: str) -> Parameter:
        """Take a Parameter out.

        Args:
            key: Its name.

        Returns:
            The Parameter.

        Raises:
            KeyError: if there is none of that name.

        >>> scales = rg.nn.ParameterDict({"left": [1.0]})
        >>> scales.pop("left"), len(scales)
        (Parameter([1.], requires_grad=True), 0)
        """
        parameter = self[key]
        del self[key]
        return parameter

    def clear(self) -> None:
        """Take all Parameters out.

        >>> scales = rg.nn.ParameterDict({"left": [1.0]})
        >>> scales.clear()
        >>> len(scales)
        0
        """
        for name in self._own():
            delattr(self, name)

    def __getitem__(self, name: str) -> Parameter:
        return self._own()[name]

    def __setitem__(self, name: str, value: ArrayLike | Tensor) -> None:
        kind = type(self)
        if hasattr(kind, name) or "." in name:
            raise KeyError(f"{name!r} is a method of {kind.__name__}, or has a dot: rename it")
        self._put(name, value)

    def __delitem__(self, name: str) -> None:
        self[name]  # a KeyError for a name that is no Parameter's
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._own()

    def __iter__(self) -> Iterator[str]:
        return iter(self._own())

    def keys(self) -> Iterator[str]:
        """Yield the names.

        Yields:
            Names, in order of assignment.

        >>> list(rg.nn.ParameterDict({"left": [1.0]}).keys())
        ['left']
        """
        return iter(self._own())

    def values(self) -> Iterator[Parameter]:
        """Yield the Parameters.

        Yields:
            Parameters, in order of assignment.

        >>> [p.shape for p in rg.nn.ParameterDict({"left": [1.0]}).values()]
        [(1,)]
        """
        return iter(self._own().values())

    def items(self) -> Iterator[tuple[str, Parameter]]:
        """Yield the names and the Parameters.

        Yields:
            Pairs of name and Parameter, in order of assignment.

        >>> [(name, p.shape) for name, p in rg.nn.ParameterDict({"left": [1.0]}).items()]
        [('left', (1,))]
        """
        return iter(self._own().items())

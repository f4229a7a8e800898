"""The errors that are the compiler's own."""


class TraceError(RuntimeError):
    """A function does something that a recorded program cannot do again.

    The message ends with the line of the user's code that does it.

    >>> step = rg.compile(lambda x: x * x.sum().item())
    >>> try:
    ...     step(np.ones(3))
    ... except rg.TraceError as error:
    ...     print(str(error)[:30])
    t.item() cannot be compiled: t
    """


class CompilerNotFoundError(RuntimeError):
    """There is no C compiler for `rg.compile(fn, target="c")`; the message says what to install.

    >>> from retrograd.compiler import CompilerNotFoundError
    >>> try:
    ...     step = rg.compile(np.exp, target="c")
    ... except CompilerNotFoundError as error:
    ...     step = rg.compile(np.exp)
    >>> step(np.zeros(2))
    Tensor([1., 1.])
    """

"""The error that says where in the user's code something cannot be compiled."""


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

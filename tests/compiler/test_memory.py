"""Memory that begins at a line of the cache."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.memory import LINE, empty_in_lines


@pytest.mark.parametrize("dtype", ["float64", "float32", "bool", "int16", "complex128"])
@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_an_array_begins_at_a_line(size, dtype):
    for _ in range(5):
        array = empty_in_lines(size, dtype)
        assert array.shape == (size,)
        assert array.dtype == dtype
        assert array.flags.writeable
        assert not size or array.ctypes.data % LINE == 0


def test_buffers_of_a_program_begin_at_lines():
    step = rg.compile(lambda x: (np.exp(x) * np.sin(x), np.exp(x).T @ x))
    for _ in range(4):
        step(np.ones((3, 5)))
    ready = step._last
    made = [ready.namespace[ready.code.names[s.fills]] for s in ready.code.body if s.fills]
    assert made
    assert all(a.ctypes.data % LINE == 0 for a in made if isinstance(a, np.ndarray))
    assert "_empty_in_lines" not in step.fast_source

import pytest

import retrograd as rg


@pytest.fixture
def scratch():
    """A function that a test may give a rule."""

    @rg.primitive
    def scale(x, by=2.0, *, shift=0.0):
        return x * by + shift

    return scale

import multiprocessing

import pytest


@pytest.fixture(autouse=True)
def _leaves_no_process():
    yield
    assert not multiprocessing.active_children()

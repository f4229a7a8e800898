"""What tests of worker processes share."""

import multiprocessing
import os
import warnings

import pytest

WAYS = multiprocessing.get_all_start_methods()
FORK = {"multiprocessing_context": "fork"}
forks = pytest.mark.skipif("fork" not in WAYS, reason="this system has no fork")
spawns = pytest.mark.skipif("spawn" not in WAYS, reason="this system has no spawn")
LIMIT = 60  # seconds: what hangs is a failure


def assert_a_fork_is_told(iterator):
    """Assert that a forked process may not go on with an iterator that has begun."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
        child = os.fork()
    if not child:
        try:
            code = len(list(iterator))
        except RuntimeError as error:
            code = 123 if "begin a new iteration" in str(error) else 1
        os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 123

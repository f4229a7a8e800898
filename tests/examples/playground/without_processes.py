"""A plugin of pytest for Pyodide: tests that need what WebAssembly has not are skipped by name.

A test that starts a process or a thread is skipped with what Python said when it tried, and one
that waits for an error which the processor would tell of, with the reason why there is none; others
are listed here.
"""

import errno
import re

import pytest

# Part of a test's name, and why it is skipped.
FLAGS = "WebAssembly has no floating point flags, by which NumPy sees what is to raise"
SKIPPED = {
    "test_halves.py::test_a_failure_says_in_which_statement": FLAGS,
    "test_hard_cases.py::test_a_gradient_is_not_read_from_a_run_that_failed": FLAGS,
    "test_program.py::test_an_error_after_a_write_puts_back_what_was_written": FLAGS,
}
# what pytest says of a test that waits for an error or a warning which NumPy sees by those flags
UNSEEN = re.compile(
    r"DID NOT RAISE .*(FloatingPointError|LinAlgError)|DID NOT WARN.*RuntimeWarning", re.DOTALL
)
NOT_THERE = "No module named 'scipy'"


def pytest_collection_modifyitems(items):
    for item in items:
        for part, reason in SKIPPED.items():
            if part in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if report.failed and NOT_THERE in str(report.longrepr):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 1, f"Skipped: {NOT_THERE}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    error = call.excinfo and call.excinfo.value
    if report.failed and (words := find_missing(error)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {words}")
    return report


def find_missing(error):
    """Return why a test failed if it was for what is not there, else ""."""
    if isinstance(error, pytest.fail.Exception) and UNSEEN.search(str(error)):
        return FLAGS
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOTSUP:
            return str(error)
        if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            return str(error)
        error = error.__cause__ or error.__context__
    return ""

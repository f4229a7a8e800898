"""A plugin of pytest for Pyodide: tests that need what WebAssembly has not are skipped by name.

A test that starts a process or a thread is skipped with what Python said when it tried; others, for
which there is a reason in the machine, are listed here.
"""

import errno

import pytest

# their modules make whole numbers that do not fit the 32 bits that NumPy's default has here
LEFT_OUT = ("tests/compiler/test_exactness.py",)
# Part of a test's name, and why it is skipped.
FLAGS = "WebAssembly has no floating point flags, by which NumPy sees what is to raise"
BITS = "np.take refuses int64 where NumPy's own indices have 32 bits"
SKIPPED = {
    "test_halves.py::test_a_failure_says_in_which_statement": FLAGS,
    "test_hard_cases.py::test_a_gradient_is_not_read_from_a_run_that_failed": FLAGS,
    "test_program.py::test_an_error_after_a_write_puts_back_what_was_written": FLAGS,
    "test_build.py::test_a_net_trains_by_its_readable_program_as_by_the_fast_one[transfor": BITS,
    "test_build.py::test_a_program_has_no_more_lines_for_more_of_the_same[transformer]": BITS,
    "test_build.py::test_drawn_steps_are_what_their_readable_programs_are[4]": BITS,
    "test_drawn_steps.py::test_a_drawn_training_step_does_compiled_what_it_does": BITS,
    "test_training.py::test_a_net_for_text_trains_the_same_compiled": BITS,
    "test_module.py::test_to_changes_parameters_gradients_and_buffers": "int is int32 here",
}


def pytest_ignore_collect(collection_path, config):
    if collection_path.relative_to(config.rootpath).as_posix() in LEFT_OUT:
        return True
    return None


def pytest_collection_modifyitems(items):
    for item in items:
        for part, reason in SKIPPED.items():
            if part in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    error = call.excinfo and call.excinfo.value
    if report.failed and (words := find_missing(error)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {words}")
    return report


def find_missing(error):
    """Return what Python said if a process or a thread could not be started, else ""."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOTSUP:
            return str(error)
        if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            return str(error)
        error = error.__cause__ or error.__context__
    return ""

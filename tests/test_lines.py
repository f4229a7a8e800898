"""Where something happens in the user's code, in files and in cells of notebooks."""

import sys
from types import SimpleNamespace

import pytest

from retrograd.lines import NOWHERE, Line


def test_a_place_is_a_file_and_a_number():
    line = Line("/home/me/train.py", 3, "y = f(x)")
    assert (line.place, line.short_place) == ("/home/me/train.py:3", "train.py:3")
    assert str(line) == "\n  /home/me/train.py:3: y = f(x)"
    assert Line("C:\\me\\train.py", 3).short_place == "train.py:3"
    assert (NOWHERE.place, str(NOWHERE)) == ("", "")


@pytest.fixture
def notebook(monkeypatch):
    cells = {"/tmp/ipykernel_7/1258769747.py": ("Cell", "In[8]")}
    shell = SimpleNamespace(compile=SimpleNamespace(format_code_name=cells.get))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


@pytest.mark.usefixtures("notebook")
def test_a_line_of_a_notebook_is_that_of_its_cell():
    line = Line("/tmp/ipykernel_7/1258769747.py", 3, "y = f(x)")
    assert (line.place, line.short_place) == ("In[8]:3", "In[8]:3")
    assert Line("/home/me/helpers.py", 3).short_place == "helpers.py:3"


def test_ipython_still_tells_which_cell_a_file_is():
    pytest.importorskip("IPython", reason="without IPython there are no cells")
    from IPython.core.compilerop import CachingCompiler

    compiler = CachingCompiler()
    assert compiler.format_code_name(compiler.cache("x = 1", 8))[1] == "In[8]"

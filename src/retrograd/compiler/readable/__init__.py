"""Programs for readers: without buffers, with the names and the lines of the user's code."""

from retrograd.compiler.readable.build import build
from retrograd.compiler.readable.form import Parameter, Readable, Row
from retrograd.compiler.readable.sizes import Sized, find_sizes

__all__ = ["Parameter", "Readable", "Row", "Sized", "build", "find_sizes"]

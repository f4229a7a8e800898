"""The training step as a NumPy program: recorded, shortened, written as source, run.

Called compiler, since `rg.compile` is the function. Nothing else in the library imports it.
"""

from retrograd.compiler.step import CompiledStep, compile
from retrograd.compiler.tape import TraceError

__all__ = ["CompiledStep", "TraceError", "compile"]

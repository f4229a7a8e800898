"""The training step as a NumPy program: recorded, shortened, written as source, run."""

from retrograd.compiler.step import CompiledStep, compile
from retrograd.compiler.tape import TraceError

__all__ = ["CompiledStep", "TraceError", "compile"]

"""The compiler: a function is run once, and becomes the NumPy program that it amounts to.

A program is data until one writer makes text of it. In the order of what happens:

1. `entry`: `rg.compile`; `step`: when it records or replays; `callables`: what it is to Python;
2. `recorder`: a run that is recorded; `arguments`: what a program depends on of these; `tape`: what
   is heard of a run; `lower`: the program that it was (`ir` says what that is);
3. `passes`, `stacking`: the same with fewer calls;
4. `assembly`: the calls as statements (`statements`), with the help of `names`, `scalars`,
   `buffers` and `spelling`;
5. `writer`: the statements as text; `program`: the text compiled, run, mended if it fails;
6. `guards`: when a program holds; `outside`: what it finds outside (`codes`, `places`); `changes`:
   what it changes there; `carried`: what it assigns there; `likeness`: whether two recordings are
   one; `comparison`: the program beside its function (`checking`), at other values (`moving`);
7. `differentiable`: a compiled call inside a graph; `export`: a program as a script of its own;
8. `c`: the calls as C, where that is the target;
9. `aside`: a call that is only looked at: `finding` its first nan, `profiling` its lines.
"""

from retrograd.compiler.entry import compile
from retrograd.compiler.lines import CompilerNotFoundError, TraceError
from retrograd.compiler.profiling import ProfiledLine, ProgramProfile
from retrograd.compiler.step import CompiledStep
from retrograd.later import public_names

__all__ = [
    "CompiledStep", "CompilerNotFoundError", "ProfiledLine", "ProgramProfile", "TraceError",
    "compile",
]  # fmt: skip

__dir__ = public_names(__name__)

"""A program in C: the second writer of its calls, for `rg.compile(fn, target="c")`.

In the order of what happens:

1. `matches`: which calls have a form in C, and which of the `forms` (`factors`: products;
   `functions` and `elements`: of single elements; `types`: of numbers);
2. `groups`: which of them share a loop; `places`: where their arrays lie, views resolved;
3. `loops`, `products`, `joins`: each group as a C function, its `code`, with `names`; `kernels`:
   calls that are functions of their own, in `indexing` by `plans`, `windows`, `lines`, `searching`,
   `rearranging` and `choices`; `checks`: what NumPy raises where one finds a wrong argument;
4. `assembly`: the functions between NumPy's calls; `unit`: one source, and its calls;
5. `build`: the source as a library, compiled once;
6. `export`: a file that stands alone, with a `header`, `memories` of its own and `draws`.
"""

from retrograd.compiler.c.assembly import assemble_in_c

__all__ = ["assemble_in_c"]

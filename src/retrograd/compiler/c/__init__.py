"""A program in C: the second writer of its calls, for `rg.compile(fn, target="c")`.

In the order of what happens:

1. `forms`: which calls have a form in C (`functions`: of single elements; `types`: of numbers);
2. `groups`: which of them share a loop; `places`: where their arrays lie, views resolved;
3. `loops`, `products`, `joins`, `checks`: each group as a C function, with `names`;
4. `assembly`: the functions between NumPy's calls; `unit`: one source, and its calls;
5. `build`: the source as a library, compiled once;
6. `export`: a file that stands alone, with a `header`, `memories` of its own and `draws`.
"""

from retrograd.compiler.c.assembly import assemble_in_c

__all__ = ["assemble_in_c"]

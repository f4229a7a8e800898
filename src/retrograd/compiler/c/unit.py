"""C functions as one source, and how a program in NumPy calls them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrograd.compiler.c.build import build
from retrograd.compiler.c.code import Function
from retrograd.compiler.c.types import type_name
from retrograd.compiler.ir import Var

LONG = 300_000  # operations, some tens of microseconds

HEAD = """\
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The C library of GNU has functions of whole vectors, right to 4 units in the last place. */
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VECTOR(name) \
    __attribute__((simd("notinbranch"))) double name(double); \
    __attribute__((simd("notinbranch"))) float name##f(float);
#define VECTOR_OF_TWO(name) \
    __attribute__((simd("notinbranch"))) double name(double, double); \
    __attribute__((simd("notinbranch"))) float name##f(float, float);
VECTOR(exp) VECTOR(log) VECTOR(sin) VECTOR_OF_TWO(pow)
/* Under another name: a compiler that knows it takes the sine and the cosine of one number by one
   function, of which it has no vectors. */
__attribute__((simd("notinbranch"), const)) double cos_f64(double) __asm__("cos");
__attribute__((simd("notinbranch"), const)) float cos_f32(float) __asm__("cosf");
#define cos cos_f64
#define cosf cos_f32
#if __GLIBC_PREREQ(2, 35)
VECTOR(tanh) VECTOR(exp2) VECTOR(expm1) VECTOR(log1p) VECTOR(log2) VECTOR(log10) VECTOR(sinh)
VECTOR(cosh) VECTOR(tan) VECTOR(asin) VECTOR(acos) VECTOR(atan) VECTOR(asinh) VECTOR(acosh)
VECTOR(atanh) VECTOR(cbrt) VECTOR_OF_TWO(atan2) VECTOR_OF_TWO(hypot)
#endif
#endif

/* Functions stay functions: a compiler that writes each again wherever it is called, as in nets
   over many steps, takes ten times as long and gains nothing. */
#ifdef __GNUC__
#define APART __attribute__((noinline))
#else
#define APART
#endif

/* Compilers take half of the longest vectors, since older processors became slower by them. */
#if defined(__AVX512VBMI2__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target("prefer-vector-width=512")))
#else
#define WIDE
#endif

/* Sums may be put together in any order, so that the compiler can use vectors. */
#define PRAGMA(text) _Pragma(#text)
#define SUMS(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define TOGETHER PRAGMA(omp simd)
#ifdef __FMA__
#define MULTIPLY_ADD(x, y, sum) (sizeof(x) == 4 ? fmaf(x, y, sum) : fma(x, y, sum))
#else
#define MULTIPLY_ADD(x, y, sum) ((x) * (y) + (sum))
#endif

/* x for 1 and y for 0, without a branch: a compiler moves what is computed for one of the two alone
   into the branch, and uses no vectors then. */
#define CHOOSE(name, real, whole) \
    static inline real name(uint8_t one, real x, real y) { \
        const whole mask = (whole)0 - (one != 0); \
        whole a, b; \
        memcpy(&a, &x, sizeof x); \
        memcpy(&b, &y, sizeof y); \
        a = (a & mask) | (b & ~mask); \
        memcpy(&x, &a, sizeof x); \
        return x; \
    }
CHOOSE(CHOOSE_F32, float, uint32_t)
CHOOSE(CHOOSE_F64, double, uint64_t)
"""

# what a list, an array and a float are in memory; a run looks whether that is so
TAKE = """
typedef struct { char head[%(head)d]; ptrdiff_t size; char **items; } list_object;
typedef struct { char head[%(head)d]; double value; } float_object;
typedef struct {
    char head[%(head)d];
    char *data;
    int axes;
    ptrdiff_t *shape, *strides;
    void *base, *dtype;
    int flags;
} array_object;

typedef struct {
    list_object *given;
    char **arrays;
    double *numbers;
    void *array_type, *float_type;
    char **written; /* pairs: from where to where a run writes */
    ptrdiff_t pairs;
} state_t;

static void *type_of(const char *object) {
    return *(void *const *)(object + %(head)d - sizeof(void *));
}

/* Take the arguments of a run; 1 if one of them is not as it should be. */
static int take(state_t *state, const ptrdiff_t *bytes, int first, int arrays, int numbers) {
    int i, j;
    if (state->given == NULL) return 0;
    for (i = 0; i < arrays; i++) {
        const char *given = state->given->items[numbers + i];
        if (type_of(given) != state->array_type) return 1;
        if ((((const array_object *)given)->flags & 0x101) != 0x101) return 1;
        state->arrays[first + i] = ((const array_object *)given)->data;
        for (j = 0; j < state->pairs; j++) {
            const char *data = ((const array_object *)given)->data;
            if (data < state->written[2 * j + 1] && data + bytes[i] > state->written[2 * j])
                return 1;
        }
    }
    for (i = 0; i < numbers; i++) {
        const char *given = state->given->items[i];
        if (type_of(given) != state->float_type) return 1;
        state->numbers[i] = ((const float_object *)given)->value;
    }
    return 0;
}

int probe(state_t *state) { return take(state, NULL, 0, 1, 1); }
"""


@dataclass(slots=True)
class Part:
    """C functions that are called one after the other, without Python between them.

    Args:
        name: of the part.
        functions: what it calls.
        moving: how many of the arrays that a run is given are there when it runs; None for all.
    """

    name: str
    functions: list[Function] = field(default_factory=list)
    moving: int | None = None


class Unit:
    """The parts of a program that C does.

    Args:
        parts: the parts.
        static: the arrays that lie where they lie, by their numbers.
        moving: the arrays that a run is given.
        formulas: the numbers that a run is given.
        names: the name of each array.
        words: the names of what a run is given, and of what a part is called with.
        written: the arrays outside that a run writes.
    """

    def __init__(
        self, parts: Sequence[Part], static: Sequence[Var], moving: Sequence[Var],
        formulas: Sequence[Any], names: dict[Var, str], words: tuple[str, str],
        written: Sequence[Var] = (),
    ) -> None:  # fmt: skip
        self.written = written
        self.parts = parts
        self.static = static
        self.moving = moving
        self.formulas = formulas
        self.names = names
        self.given_name, self.state_name = words

    def source(self) -> str:
        """Return the C source."""
        at = {v: i for i, v in enumerate([*self.static, *self.moving])}
        numbers = {formula: i for i, formula in enumerate(self.formulas)}
        functions = [f for part in self.parts for f in part.functions]
        helpers = dict.fromkeys(text for f in functions for text in f.helpers)
        lines = [HEAD, TAKE % {"head": object.__basicsize__}]
        wide = {f.text for f in functions if f.wide}
        lines += helpers
        for text in dict.fromkeys(f.text for f in functions):
            lines.append(f"\nAPART {'WIDE ' * (text in wide)}{text}")
        sizes = ", ".join(str(v.size * v.dtype.itemsize) for v in self.moving)
        lines += ["", f"static const ptrdiff_t bytes[] = {{{sizes or 0}}};"]
        for part in self.parts:
            moving = len(self.moving) if part.moving is None else part.moving
            counts = f"bytes, {len(self.static)}, {moving}, {len(self.formulas)}"
            lines += ["", f"int {part.name}(state_t *state) {{", "    char **a = state->arrays;"]
            if any(f.returns for f in part.functions):
                lines.append("    int wrong;")
            lines.append(f"    if (take(state, {counts})) return 1;")
            for f in part.functions:
                given = [
                    f"({type_name(v.dtype)} *)a[{at[v]}]" + f" + {begin}" * bool(begin)
                    for v, begin in f.arrays
                ]
                given += [f"state->numbers[{numbers[formula]}]" for formula in f.numbers]
                call = f"{f.name}({', '.join(given)})"
                lines.append(
                    f"    if ((wrong = {call})) return wrong;" if f.returns else f"    {call};"
                )
            lines += ["    return 0;", "}"]
        return "\n".join(lines) + "\n"

    def bind(self, namespace: dict[str, Any], check: Callable[[int, dict[Var, Any]], Any]) -> None:
        """Put what the statements call into the namespace of a program.

        Args:
            namespace: of the program, with its arrays.
            check: raises what a call of NumPy would, for the number that a part has returned and
                the arrays of the run.
        """
        given: list[Any] = [None] * (len(self.moving) + len(self.formulas))
        namespace[self.given_name], namespace[self.state_name] = given, None

        def load() -> None:
            library = build(self.source())
            statics = [namespace[self.names[v]] for v in self.static]
            written = [namespace[self.names[v]] for v in self.written if v in self.names]
            run = Run(self, given, library, statics, written, check)
            found: dict[str, Any] = {self.state_name: run.address}
            for part in self.parts:
                # what takes long lets other threads of Python run meanwhile
                takes_long = sum(f.cost for f in part.functions) > LONG
                home = ctypes.CDLL(library._name) if takes_long else library
                found[part.name] = getattr(home, part.name)
                again = run.make_again(getattr(home, part.name), part.moving)
                found[f"{part.name}_again"] = again
            namespace.update(found)

        def begin(name: str) -> Callable[[Any], Any]:
            """Return what loads all parts when the first of them is to run."""

            def first(_: Any) -> Any:
                if namespace[self.state_name] is None:
                    load()
                return namespace[name](namespace[self.state_name])

            return first

        for part in self.parts:
            again = f"{part.name}_again"
            namespace[part.name] = begin(part.name)
            namespace[again] = lambda again=again: namespace[again]()


class Run:
    """What the parts of one program read in memory: where its arrays are."""

    def __init__(
        self, unit: Unit, given: list[Any], library: Any, statics: list[Any],
        written: Sequence[Any], check: Any,
    ) -> None:  # fmt: skip
        self.unit = unit
        self.given = given
        self.check = check
        self.statics = statics  # which live as long as this
        count = len(statics) + len(unit.moving)
        self.arrays = (ctypes.c_void_p * max(count, 1))(*(a.ctypes.data for a in statics))
        self.numbers = (ctypes.c_double * max(len(unit.formulas), 1))()
        bounds = [at for array in written for at in np.lib.array_utils.byte_bounds(array)]
        self.written = written
        self.bounds = (ctypes.c_void_p * max(len(bounds), 1))(*bounds)
        self.state = (ctypes.c_void_p * 7)(
            id(self.given), ctypes.addressof(self.arrays), ctypes.addressof(self.numbers),
            id(np.ndarray), id(float), ctypes.addressof(self.bounds), len(written),
        )  # fmt: skip
        self.address = ctypes.c_void_p(ctypes.addressof(self.state))
        self.fast = _is_as_expected(library)
        if not self.fast:
            self.state[3] = None  # no array has this type, so that each run goes the other way

    def make_again(self, part: Any, moving: int | None) -> Callable[[], None]:
        """Return what runs a part with arguments that are not as C takes them.

        Args:
            part: the part.
            moving: as for `Part`.
        """

        def again() -> None:
            unit, first = self.unit, len(self.statics)
            n = len(unit.formulas)
            kept = [
                np.require(value, v.dtype, ["C", "A"])
                for value, v in [*zip(self.given[n:], unit.moving, strict=True)][:moving]
            ]
            for value, v in [*zip(self.given[n:], unit.moving, strict=True)][:moving]:
                if any(np.may_share_memory(value, other) for other in self.written):
                    raise ValueError(
                        f"{unit.names[v]} shares memory with an array that this program writes, "
                        "which C may do before it has read it, or after: pass a copy"
                    )
            for i, array in enumerate(kept):
                self.arrays[first + i] = array.ctypes.data
            for i, value in enumerate(self.given[:n]):
                self.numbers[i] = float(value)
            self.state[0] = None
            try:
                wrong = part(self.address)
            finally:
                self.state[0] = id(self.given)
            if wrong:
                there = [*unit.static, *unit.moving[:moving]]
                arrays = dict(zip(there, [*self.statics, *kept], strict=True))
                self.check(wrong, arrays)

        return again


def _is_as_expected(library: Any) -> bool:
    """Tell whether C finds what is in a list, an array and a float where it looks."""
    array, value = np.arange(3.0), 0.7
    given = [value, array]
    arrays, numbers = (ctypes.c_void_p * 1)(), (ctypes.c_double * 1)()
    state = (ctypes.c_void_p * 7)(
        id(given), ctypes.addressof(arrays), ctypes.addressof(numbers), id(np.ndarray), id(float),
        None, 0,
    )  # fmt: skip
    failed = library.probe(ctypes.c_void_p(ctypes.addressof(state)))
    return not failed and arrays[0] == array.ctypes.data and numbers[0] == value

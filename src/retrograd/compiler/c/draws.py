"""Random draws as C functions: exported files draw by a generator of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from retrograd.compiler.c.code import Function
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.places import Places
from retrograd.compiler.c.types import type_name
from retrograd.compiler.ir import Call, Var

WORDS = 4  # of 64 bits: the state of the generator

GENERATOR = """\
/* The generator is xoshiro256++, of Blackman and Vigna 2019, "Scrambled linear pseudorandom number
   generators". Its 256 bits are not all 0, whatever the seed. */
static uint64_t draw_bits(uint64_t *random) {
    const uint64_t first = random[0], sum = first + random[3], second = random[1] << 17;
    random[2] ^= random[0];
    random[3] ^= random[1];
    random[1] ^= random[2];
    random[0] ^= random[3];
    random[2] ^= second;
    random[3] = (random[3] << 45) | (random[3] >> 19);
    return ((sum << 23) | (sum >> 41)) + first;
}
"""

# as many bits as the fraction of a number has are drawn, so that all are below 1
_UNIFORM = {
    "double": "(double)(draw_bits(random) >> 11) * 1.1102230246251565e-16",
    "float": "(float)(draw_bits(random) >> 40) * 5.9604644775390625e-08f",
}


def seed_lines(state: str, seed: str) -> list[str]:
    """Return what a seed is turned into a state by: SplitMix64, of Steele and others 2014.

    Args:
        state: the array of the state, as C text.
        seed: the name of the seed, which is changed.
    """
    return [
        "int i;",
        f"for (i = 0; i < {WORDS}; i++) {{",
        "    uint64_t z;",
        f"    {seed} += UINT64_C(0x9e3779b97f4a7c15);",
        f"    z = ({seed} ^ ({seed} >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);",
        "    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);",
        f"    {state}[i] = z ^ (z >> 31);",
        "}",
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Numbers from [0, 1), as many as an array has elements.

    Args:
        call: the call.
    """

    call: Call


class DrawFunction(Function):
    """A C function whose first argument is the state of the generator."""


def has_draw(call: Call) -> bool:
    """Tell whether a draw is of numbers that C has."""
    dtype = call.outs[0].dtype
    return dtype.kind == "f" and dtype.itemsize in (4, 8) and dtype.isnative


def write_draw(name: str, form: Draw, places: Places, wish: Callable[[Var], str]) -> DrawFunction:
    """Return a draw as a function.

    Args:
        name: of the function.
        form: the draw.
        places: where its array lies.
        wish: returns what to call an array.
    """
    out = form.call.outs[0]
    place = places.find(out)
    assert place is not None
    names = CNames()
    names.fresh("random")
    kind, target = type_name(out.dtype), names.fresh(wish(out))
    text = f"""\
static void {name}(uint64_t *restrict random, {kind} *restrict {target}) {{
    ptrdiff_t i;
    for (i = 0; i < {out.size}; i++) {target}[i] = {_UNIFORM[kind]};
}}"""
    return DrawFunction(
        name, text, [(place.root, place.offset)], helpers=[GENERATOR], cost=out.size
    )

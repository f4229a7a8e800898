"""The engine: a Tensor records NumPy calls, and the reverse pass sends gradients back.

It stands alone on NumPy. Read it in this order:

1. `rule`: what a gradient rule is, and where the rules stand;
2. `mode`: whether calls are recorded, and who hears of it;
3. `tensor`: the Tensor, and how a call is recorded (`arrays` says what becomes an array, `call`
   what is shown of a call, `hooks` who sees a gradient in passing);
4. `dispatch`, `primitive`: how calls come in, through NumPy and through functions of one's own;
5. `backward`: the reverse pass;
6. `writes`: how `t[i] = value` differentiates (`views` says who would not see it).
"""

from retrograd.engine.arrays import (
    Array,
    Constants,
    check_floating,
    complex_of,
    get_default_dtype,
    is_stand_in,
    set_default_dtype,
)
from retrograd.engine.backward import ReversePass, seed_of, trace_back
from retrograd.engine.call import Call, describe
from retrograd.engine.dispatch import call_numpy, leave_to_numpy
from retrograd.engine.hooks import HOOKED_LEAVES, Handle, hooks_of
from retrograd.engine.mode import (
    MODE,
    Mode,
    current_mode,
    enable_grad,
    escape,
    is_grad_enabled,
    is_recording,
    is_rehearsal,
    mode_set,
    no_grad,
    rehearsal,
    section,
    set_grad_enabled,
    tell,
    unrecorded,
)
from retrograd.engine.primitive import primitive
from retrograd.engine.rule import (
    PASSED,
    RULES,
    Rule,
    adapted,
    arguments,
    composed,
    defvjp,
    defvjp_joint,
    nograd,
    refuse,
    rules_later,
    spelled,
)
from retrograd.engine.tensor import (
    CLOCK,
    Tensor,
    TensorLike,
    TensorT,
    as_array,
    astype,
    borrowed,
    keep,
    pick,
    record,
    run,
    stamps,
    touch,
    wrap,
)
from retrograd.engine.writes import added, write, written

__all__ = [
    "CLOCK", "HOOKED_LEAVES", "MODE", "PASSED", "RULES", "Array", "Call", "Constants", "Handle",
    "Mode", "ReversePass", "Rule", "Tensor", "TensorLike", "TensorT", "adapted", "added",
    "arguments", "as_array", "astype", "borrowed", "call_numpy", "check_floating", "complex_of",
    "composed", "current_mode", "defvjp", "defvjp_joint", "describe", "enable_grad", "escape",
    "get_default_dtype", "hooks_of", "is_grad_enabled", "is_recording", "is_rehearsal",
    "is_stand_in", "keep", "leave_to_numpy", "mode_set", "no_grad", "nograd", "pick", "primitive",
    "record", "refuse", "rehearsal", "rules_later", "run", "section", "seed_of",
    "set_default_dtype", "set_grad_enabled", "spelled", "stamps", "tell", "touch", "trace_back",
    "unrecorded", "wrap", "write", "written",
]  # fmt: skip

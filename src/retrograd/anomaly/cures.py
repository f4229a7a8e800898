"""What usually makes a function give nan or inf, and what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

Numbers = Mapping[str, float]


class Cure(NamedTuple):
    """A usual cause, and what to do about it.

    Args:
        when: tells of the numbers at the first bad place, by name, whether this is the cause. Those
            of the arguments have the names that the rule has for them, `g` is the gradient that
            arrives, `out` what the function gave. A number that is not known is nan.
        text: the cause and the cure, in a sentence or two.
        made_by: functions one of which must have made the argument; none if it may be any.
        argument: the argument that must have been made so.
    """

    when: Callable[[Numbers], bool]
    text: str
    made_by: frozenset[str] = frozenset()
    argument: str = "x"


def _always(at: Numbers) -> bool:
    return True


_ROOTS = frozenset({"np.linalg.norm", "np.linalg.vector_norm", "root", "np.sqrt", "np.hypot"})
_SPREADS = frozenset({"np.std", "np.var"})
_SUMS = frozenset({"np.sum", "np.mean", "np.count_nonzero"})
_SIGMOIDS = frozenset({"sigmoid", "expit"})
_SOFTMAXES = frozenset({"softmax"})

_EXP = (
    "the exponential overflows above 709.78 in float64, 88.72 in float32. Subtract the largest "
    "number first, or write what does so: nn.functional.softmax, special.logsumexp, "
    "nn.functional.sigmoid, np.logaddexp(0, x) for log(1 + exp(x)). If nothing should be that "
    "large, bound it (np.clip, np.tanh), or lower the learning rate"
)
_LOG_OF_0 = (
    "the logarithm of 0 is -inf. Of a probability, compute it from the logits: "
    "nn.functional.log_softmax, nn.functional.logsigmoid, or a loss that takes logits. Else keep "
    "the argument above 0: np.log(np.maximum(x, 1e-12)), or np.log(x + 1e-12); x * log(x) is "
    "special.xlogy(x, x). If np.where takes the other side there, replace the argument before: "
    "np.log(np.where(x > 0, x, 1.0))"
)
_LOG_BELOW_0 = (
    "the logarithm of a negative number is nan. Keep the argument above 0: "
    "np.log(np.maximum(x, 1e-12)), or let what must be positive come out of np.exp or "
    "nn.functional.softplus"
)
_BY_0 = (
    "a division by 0. Keep the divisor away from 0: x / np.maximum(y, 1e-12), or x / (y + 1e-12) "
    "for one that is not negative. If np.where takes the other side there, replace the divisor "
    "before: x / np.where(y == 0, 1.0, y)"
)
_WITHIN_1 = (
    "it is defined from -1 to 1 only, and rounding may lead beyond: np.clip(x, -1 + 1e-7, 1 - 1e-7)"
)
_AT_1 = (
    "its slope is infinite at 1 and -1: keep the argument inside, np.clip(x, -1 + 1e-7, 1 - 1e-7); "
    "an angle between vectors has a finite slope everywhere as np.arctan2(cross, dot)"
)
_POLE = "it is infinite there: keep the argument away from the pole, np.maximum(x, 1e-6)"
_MASKED_ROW = (
    "there is nothing but -inf to choose from, as in a row that is masked whole. Leave such rows "
    "out, let each see at least itself, or mask with a large finite number such as -1e9"
)
_EQUAL = (
    "vectors that belong to equal values are not determined, and neither is how they change. Part "
    "the values by a little noise on the matrix, or use what does not depend on the vectors: the "
    "values alone, the trace, np.linalg.norm"
)
_NEAR_SINGULAR = (
    "the matrix is singular, or nearly so: add a little to its diagonal, x + 1e-6 * np.eye(n), or "
    "solve in the sense of least squares, np.linalg.lstsq"
)
_MODULO_0 = "a remainder of a division by 0: keep the divisor away from 0"

_LOGARITHM = (
    Cure(
        lambda at: at["x"] == 0,
        "the logarithm of a softmax that has become 0: write nn.functional.log_softmax(logits), or "
        "a loss that takes logits, nn.functional.cross_entropy",
        _SOFTMAXES,
    ),
    Cure(
        lambda at: at["x"] == 0,
        "the logarithm of a sigmoid that has become 0: write nn.functional.logsigmoid(logits), or "
        "a loss that takes logits, nn.functional.binary_cross_entropy_with_logits",
        _SIGMOIDS,
    ),
    Cure(
        lambda at: at["x"] == 0,
        "the logarithm of a sum that is 0. Of exponentials, all of which have become 0, write "
        "special.logsumexp(x); else np.log(total + 1e-12)",
        _SUMS,
    ),
    Cure(lambda at: at["x"] == 0, _LOG_OF_0),
    Cure(lambda at: at["x"] < 0, _LOG_BELOW_0),
)
_DIVISION = (
    Cure(
        lambda at: at["y"] == 0,
        "a division by a root that is 0. Of a norm: x / np.maximum(norm, 1e-12), which is what "
        "nn.functional.normalize does; of a deviation, where all numbers are equal: x / (std + "
        "1e-5)",
        _ROOTS,
        "y",
    ),
    Cure(
        lambda at: at["y"] == 0,
        "a division by a deviation that is 0, where all numbers are equal: x / (std + 1e-5), or "
        "x / np.sqrt(var + 1e-5), as nn.functional.layer_norm has it",
        _SPREADS,
        "y",
    ),
    Cure(
        lambda at: at["y"] == 0,
        "a division by a sum or a mean that is 0. Of a mask, that is empty: np.maximum(count, 1). "
        "Of exponentials, all of which have become 0: subtract the largest number first, "
        "nn.functional.softmax. Else x / (total + 1e-12)",
        _SUMS,
        "y",
    ),
    Cure(lambda at: at["y"] == 0, _BY_0),
    Cure(
        lambda at: math.isinf(at["x"]) and math.isinf(at["y"]),
        "inf / inf has no value. Of exponentials, as in a softmax by hand: subtract the largest "
        "number first, nn.functional.softmax and nn.functional.sigmoid do so",
    ),
)
_POWER = (
    Cure(
        lambda at: at["x"] == 0 and at["y"] < 0,
        "a negative power of 0 is infinite: keep the base away from 0, np.maximum(x, 1e-12) ** y",
    ),
    Cure(
        lambda at: at["x"] < 0 and at["y"] % 1 != 0,
        "a power of a negative number is defined for whole exponents only: "
        "np.sign(x) * np.abs(x) ** y, np.cbrt(x) for the third root, or np.maximum(x, 0.0) ** y",
    ),
)

# by the function's name as a user writes it
VALUES: dict[str, tuple[Cure, ...]] = {
    **dict.fromkeys(("np.log", "np.log2", "np.log10"), _LOGARITHM),
    "np.log1p": (
        Cure(
            lambda at: at["x"] == -1,
            "log1p(-1) is the logarithm of 0. For log(1 - p) of a probability p that has become 1, "
            "compute it from the logits: nn.functional.logsigmoid(-logits). Else keep the argument "
            "above -1: np.log1p(np.maximum(x, -1 + 1e-12))",
        ),
        Cure(
            lambda at: at["x"] < -1,
            "log1p of less than -1 is the logarithm of a negative number: "
            "np.log1p(np.maximum(x, -1 + 1e-12))",
        ),
    ),
    "np.sqrt": (
        Cure(
            lambda at: at["x"] < 0,
            "the root of a negative number is nan. A variance or a sum of squares falls below 0 by "
            "rounding only: np.sqrt(np.maximum(x, 0.0) + 1e-12), and np.var never does",
        ),
    ),
    "np.divide": _DIVISION,
    "np.reciprocal": (Cure(lambda at: at["x"] == 0, _BY_0),),
    **dict.fromkeys(
        ("np.remainder", "np.fmod", "np.floor_divide", "np.divmod"),
        (Cure(lambda at: at["y"] == 0, _MODULO_0),),
    ),
    **dict.fromkeys(
        ("np.exp", "np.exp2", "np.expm1", "np.sinh", "np.cosh"),
        (Cure(lambda at: abs(at["x"]) > 11, _EXP),),
    ),
    **dict.fromkeys(("np.power", "np.float_power"), _POWER),
    **dict.fromkeys(("np.arcsin", "np.arccos"), (Cure(lambda at: abs(at["x"]) > 1, _WITHIN_1),)),
    "np.arctanh": (
        Cure(
            lambda at: abs(at["x"]) >= 1,
            "it is infinite at 1 and -1 and nan beyond: np.clip(x, -1 + 1e-7, 1 - 1e-7)",
        ),
    ),
    "np.arccosh": (
        Cure(lambda at: at["x"] < 1, "it is defined from 1 on only: np.maximum(x, 1 + 1e-7)"),
    ),
    "np.multiply": (
        Cure(
            lambda at: (
                (at["x"] == 0 and math.isinf(at["y"])) or (math.isinf(at["x"]) and at["y"] == 0)
            ),
            "0 * inf has no value. Do not mask by a product: np.where(mask, x, 0.0) leaves out "
            "what is infinite. x * log(x) is special.xlogy(x, x), which is 0 at 0",
        ),
    ),
    **dict.fromkeys(
        ("np.subtract", "np.add"),
        (
            Cure(
                lambda at: math.isinf(at["x"]) and math.isinf(at["y"]),
                f"inf - inf has no value. In a softmax by hand, {_MASKED_ROW}",
            ),
        ),
    ),
    "np.mean": (
        Cure(
            lambda at: at["elements"] == 0,
            "the mean of no elements, as where a mask selects none: "
            "np.sum(x * mask) / np.maximum(np.sum(mask), 1)",
        ),
    ),
    **dict.fromkeys(
        ("np.var", "np.std"),
        (
            Cure(
                lambda at: at["elements"] <= at["ddof"],
                "there are too few elements: it divides by their number less `ddof`, which leaves "
                "0. Take more of them, or ddof=0",
            ),
        ),
    ),
    "t.astype": (
        Cure(
            _always,
            "the number is larger than the narrower dtype holds (65504 in float16, 3.4e38 in "
            "float32): scale it before, or stay in the wider dtype",
        ),
    ),
    **dict.fromkeys(
        ("softmax", "log_softmax", "logsumexp", "softmin", "scaled_dot_product_attention"),
        (Cure(lambda at: math.isnan(at["out"]), _MASKED_ROW),),
    ),
    **dict.fromkeys(
        ("np.linalg.inv", "np.linalg.solve", "np.linalg.pinv", "np.linalg.lstsq",
         "np.linalg.tensorsolve", "np.linalg.tensorinv", "np.linalg.slogdet"),
        (Cure(_always, _NEAR_SINGULAR),),
    ),
    "gamma": (
        Cure(lambda at: at["x"] > 30, "it overflows above 171: go on with special.gammaln(x)"),
        Cure(_always, _POLE),
    ),
    **dict.fromkeys(("gammaln", "digamma", "polygamma", "betaln"), (Cure(_always, _POLE),)),
    **dict.fromkeys(
        ("rel_entr", "kl_div"),
        (
            Cure(
                _always,
                "it is infinite where the second distribution has 0 and the first has not: "
                "np.maximum(q, 1e-12), or compute both from logits, nn.functional.log_softmax",
            ),
        ),
    ),
    "logit": (
        Cure(
            _always,
            "it is infinite at 0 and 1: keep the logits that the probability came from, or "
            "np.clip(p, 1e-7, 1 - 1e-7)",
        ),
    ),
    **dict.fromkeys(
        ("erfinv", "erfcinv", "ndtri"),
        (Cure(_always, "it is infinite at the ends of its range: np.clip inside them"),),
    ),
    **dict.fromkeys(
        ("layer_norm", "group_norm", "instance_norm", "batch_norm", "rms_norm"),
        (Cure(_always, "all numbers are equal and eps is 0: leave eps at 1e-5"),),
    ),
}  # fmt: skip

_SLOPE_OF_ROOT = (
    Cure(
        lambda at: at["out"] == 0,
        "the slope of a root is infinite at 0. Of a sum of squares write np.linalg.norm(x), of two "
        "np.hypot(x, y), of one np.abs(x): their gradients at 0 are 0; else np.sqrt(x + 1e-12)",
        _SUMS | {"np.square", "np.power"},
    ),
    Cure(
        lambda at: at["out"] == 0,
        "the slope of a root is infinite at 0: np.std(x) for the root of a variance, or "
        "np.sqrt(var + 1e-5)",
        _SPREADS,
    ),
    Cure(
        lambda at: at["out"] == 0,
        "the slope of a root is infinite at 0: np.sqrt(x + 1e-12), np.linalg.norm for a length, "
        "np.abs(x) for np.sqrt(x ** 2)",
    ),
)
_SLOPE_OF_POWER = (
    Cure(
        lambda at: at["x"] == 0 and at["y"] < 1,
        "the slope of a power below 1 is infinite at 0: (x + 1e-12) ** y",
    ),
    Cure(
        lambda at: at["x"] < 0,
        "the gradient of the exponent has the logarithm of the base, which is negative: if the "
        "exponent is not to be learnt, pass it as a number, else keep the base above 0",
    ),
)
# of gradients, likewise
GRADIENTS: dict[str, tuple[Cure, ...]] = {
    "np.sqrt": _SLOPE_OF_ROOT,
    **dict.fromkeys(("np.power", "np.float_power"), _SLOPE_OF_POWER),
    "np.cbrt": (
        Cure(lambda at: at["x"] == 0, "the slope of a root is infinite at 0: np.cbrt(x + 1e-12)"),
    ),
    **dict.fromkeys(("np.arcsin", "np.arccos"), (Cure(lambda at: abs(at["x"]) == 1, _AT_1),)),
    "np.arccosh": (
        Cure(lambda at: at["x"] == 1, "its slope is infinite at 1: np.maximum(x, 1 + 1e-7)"),
    ),
    "np.arctan2": (
        Cure(
            lambda at: at["x"] == 0 and at["y"] == 0,
            "the angle of the point (0, 0) has no slope: keep one argument away from 0, or replace "
            "both before, np.where(both_are_0, 1.0, x)",
        ),
    ),
    "np.divide": (
        Cure(
            lambda at: abs(at["y"]) < 1e-30,
            "the divisor is so small that the slope overflows: x / np.maximum(y, 1e-12)",
        ),
    ),
    **dict.fromkeys(
        ("np.linalg.eigh", "np.linalg.svd", "np.linalg.qr"), (Cure(_always, _EQUAL),)
    ),
    "entr": (
        Cure(
            lambda at: at["x"] == 0,
            "the slope of -x log(x) is infinite at 0: special.entr(np.maximum(x, 1e-12))",
        ),
    ),
}  # fmt: skip

BOTH_SIDES = (
    "no gradient arrives there (g is 0), but the slope is infinite, and 0 * inf is nan. np.where "
    "computes both of its sides: make the argument safe before, and choose after, "
    "safe = np.where(good, x, 1.0); y = np.where(good, f(safe), 0.0)"
)
SPOILED_LEAF = (
    "it was there before the call. A parameter has been spoiled by an earlier update: lower the "
    "learning rate, bound the gradients by nn.utils.clip_grad_norm_, and look at that update"
)
SPOILED_DATA = (
    "it was there before the call, so it is in the data: find it by np.argwhere(~np.isfinite(x)), "
    "and leave it out or replace it, np.nan_to_num(x)"
)
SPOILED_SEED = "it came from outside of the rules: `gradient=`, weights of the outputs, or a hook"
KINK = (
    "there is no second derivative at a kink (abs or a norm at 0, equal arguments of maximum): use "
    "a smooth function, np.sqrt(x * x + eps) or nn.functional.softplus"
)
OVERFLOW = (
    "the result is larger than {dtype} holds, {largest:.3g}. Numbers that grow from step to step "
    "tell of too high a learning rate: lower it, or bound the gradients by "
    "nn.utils.clip_grad_norm_. Else scale the inputs, or go on with logarithms"
)
EXPLOSION = (
    "the gradient is larger than {dtype} holds, {largest:.3g}. Gradients that grow from call to "
    "call: smaller weights at the start, a norm layer between, fewer steps of a loop; "
    "nn.utils.clip_grad_norm_ bounds those that are finite"
)
INFINITE = (
    "what it was given is infinite already, and inf - inf, 0 * inf and inf / inf have no value: "
    "keep inf out, in masks by a large finite number such as -1e9"
)
OWN_FORMULA = (
    "the formula of {function} has no finite value for these inputs: keep them away from there, or "
    "choose another formula near it; rg.testing.gradcheck tries its gradients"
)


def find_cure(table: Iterable[Cure], at: Numbers, makers: Mapping[str, frozenset[str]]) -> str:
    """Return what to do about the first cause that fits, "" if none does.

    Args:
        table: the usual causes of a function.
        at: the numbers at the first bad place.
        makers: the functions that made each argument, by its name.
    """
    for cure in table:
        if cure.made_by and cure.made_by.isdisjoint(makers.get(cure.argument, ())):
            continue
        if cure.when(_Known(at)):
            return cure.text
    return ""


class _Known(dict[str, float]):
    """Numbers by name, nan where one is not known, so that no comparison with it is true."""

    def __missing__(self, name: str) -> float:
        return math.nan

"""Gradient rules of NumPy's own functions, a family a module.

A rule makes the gradients of a function's arguments from `g`, that of its output `out`, in NumPy
calls:

    defvjp(np.multiply, lambda g, out, x, y: g * y,
                        lambda g, out, x, y: g * x)

Most functions need none, since they are written in those that have rules: `np.stack` adds an axis
to each array and joins them. `rg.coverage()` lists NumPy's functions by what happens to each;
`rg.defvjp` gives a rule to a function of your own.

`elementwise`, `reductions`, `shaping`, `indexing`, `joining` and `products` are what a small net
needs, and come with the package. The others are loaded when a function turns up that has no rule.

**Where a function has no derivative**, its gradient is as follows (first what, then the gradient):

- `maximum`, `minimum`, `fmax`, `fmin` of equal arguments: half to each.
- `max`, `min`, `ptp`, `nanmax`, `nanmin`, norms of order inf, ties: shared equally by all elements
  that attain it.
- running extremes (`maximum.accumulate`), ties: shared by those that attain it; the shares add up
  to 1.
- `abs`, `fabs`, `relu`, `copysign` at 0: 0.
- `sqrt`, `cbrt` at 0: inf, and `arctan2(0, 0)`: nan, both with NumPy's warning.
- `hypot(0, 0)`, norms of zeros, `std` of equal values: 0. The matrix norms `"nuc"`, 2 and -2 have
  that of their singular values. In norms of other orders an element that is 0 has 0.
- `power(x, 0)`: 0 to `x`, also at `x = 0`; `power(0, y)`: 0 to `y`, unless `y` is negative.
- `clip` at a bound: 1, since a bound is within; where the bounds cross, the upper one gets it.
- `sign`, `floor`, `round`, comparisons, `argmax`, `argsort`, `heaviside` (to `x`): none.
- `remainder`, `fmod`, `modf`, `unwrap` at a jump: that of the pieces beside it.
- `sort`, `partition`, `median`, `quantile` of equal elements: by position, as `argsort` and
  `argpartition` place them.
- `quantile` to `q`: the slope between the two elements; where they are joined, to the right.
- `roots` of multiplicity more than 1: inf or nan.
- `t[[0, 0]] = values` and `np.put`, where one element is written more than once: to the value that
  stays, the last.
- `unique` and sets: to the first of equal elements.
- `nansum`, `nanmean` and their like: 0 to nan; `nan_to_num`: 0 to nan and to inf.
- `prod`, `cumprod` with zeros: exact, to every order (no division).
- `interp` at a point: the slope to its right; at the last point, to its left.
- `det`, `slogdet`, `inv`, `solve` of a singular matrix: `LinAlgError`.
- `pinv`, `lstsq`: that at constant rank.
- `eigh`, `eig`, `svd`, vectors of equal values (also if only rounding parts them), and for `svd`
  vectors of the value 0: what stays the same however they turn has its gradient, such as
  projections, polar factors, and functions of a matrix, `(v * f(w)) @ v.T`; all else is nan.
- `cholesky`, `eigh`, `eigvalsh`: the triangle that NumPy reads gets the whole, the other one 0.
- full `svd` of oblong matrices, complete `qr` of those with more rows than columns: `TypeError`.
- `corrcoef`: as if it were not clipped to [-1, 1].
- `logaddexp(-inf, -inf)`: 0.

**Complex numbers.** The gradient of z is `dL/d(real z) + 1j * dL/d(imag z)`: it points uphill, and
`z - lr * gradient` descends, as in PyTorch. Rules of analytic functions are run on conjugates, so
they need know nothing of it; `complexes`, `fourier` and `linalg` have the others.

- `abs`, norms at 0: 0. `sign` and `angle` at 0: nan.
- `eigh`, `eig`, `svd` of complex matrices, `qr` as LAPACK has it: vectors are determined but for
  factors of length 1. What does not depend on these has its gradient, such as `abs(v)` and
  `(v * f(w)) @ inv(v)`; all else is nan. So is what depends on vectors of equal values, to the
  first order too where both the values and the vectors matter.
- on a branch cut, such as that of `log` below 0: that of the side that NumPy is on.
- `sort`, `max`, `maximum`, `median` and their like: NumPy orders by real parts, then by imaginary
  ones; an element that is chosen has the gradient.
- `np.emath`, `eig`, `eigvals`, `roots` of real numbers may be complex, as values decide. A compiled
  function is recorded for one of the two and raises TypeError for the other.
- `nn`'s and `special`'s functions, `histogram` of complex numbers, `quantile`: `TypeError`.

**To second order** a number that is the slope to neither side would give wrong ones: of
`norm(x) ** 2` at 0, which is smooth, it would make 0 in place of 2. So it is nan there:

- of `hypot`, norms and `std`, always; to keep away from it choose a harmless argument first,
  `norm(where(zero, 1.0, x))`, and then the result;
- of `abs`, `fabs`, `copysign` at 0, of `maximum` and its like where both arguments are equal, of
  `max` and its like at ties: where the gradient that comes to them varies too. Else it is 0, that
  of the pieces. So for `x - max(x)`, in a softmax of one's own, write `np.max(x.detach())`, since
  its result does not depend on what is subtracted; `nn.functional.softmax` and
  `special.logsumexp` are right everywhere;
- of `power(0, y)` to both arguments, and of what is made of vectors of equal values.

All other slopes above are those to one side, and to second order they stay that piece's.
"""

from typing import TYPE_CHECKING

from retrograd.engine import rules_later
from retrograd.later import load_later
from retrograd.rules import (
    complexes,
    elementwise,
    indexing,
    joining,
    nesting,
    products,
    reductions,
    shaping,
)

if TYPE_CHECKING:
    from retrograd.rules import (
        creation,
        differences,
        fourier,
        linalg,
        padding,
        piecewise,
        polynomials,
        rearranging,
        refusals,
        running,
        sorting,
        statistics,
        writing,
    )  # fmt: skip

__all__ = [
    "complexes", "creation", "differences", "elementwise", "fourier", "indexing", "joining",
    "linalg", "nesting", "padding", "piecewise", "polynomials", "products", "rearranging",
    "reductions", "refusals", "running", "shaping", "sorting", "statistics",
    "writing",
]  # fmt: skip

_LATER = sorted({*__all__} - {*globals()})
rules_later(*(f"{__name__}.{name}" for name in _LATER))
__getattr__ = load_later(__name__, {name: name for name in _LATER})

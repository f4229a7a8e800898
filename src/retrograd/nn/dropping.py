"""Dropout as Modules: parts of what goes through a net, drawn at random, are 0 in training."""

from __future__ import annotations

from retrograd.checks import check_probability
from retrograd.engine import TensorT
from retrograd.nn import functional as F
from retrograd.nn.reprs import ShowsArguments
from retrograd.random import RngLike, generator


def generator_to_keep(rng: RngLike) -> RngLike:
    """Return the Generator that a layer draws from, or None: the default one of each moment."""
    return rng if rng is None else generator(rng)


class Dropout(ShowsArguments):
    """In training each element is set to 0 with probability `p`, the others are scaled up.

    They are multiplied by `1 / (1 - p)`, so that the expected value stays. In evaluation (see
    `eval`) the input passes as it is.

    Args:
        p: The probability, from 0 to 1 (default 0.5).
        inplace: Does nothing; it is there so that PyTorch's arguments fit.
        rng: Generator to draw from, or a seed for one of this layer's own; by default the generator
            that `rg.manual_seed` seeds.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Raises:
        ValueError: if `p` is not from 0 to 1.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    >>> layer = rg.nn.Dropout(0.5, rng=0)
    >>> layer(rg.Tensor(np.ones(6)))
    Tensor([2., 0., 0., 0., 2., 2.])
    >>> layer.eval()(rg.Tensor(np.ones(6)))
    Tensor([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, rng: RngLike = None) -> None:
        check_probability(type(self).__name__, p)
        self.p, self.rng = p, generator_to_keep(rng)

    def forward(self, input: TensorT) -> TensorT:
        return F.dropout(input, self.p, self.training, rng=self.rng)


class Dropout1d(Dropout):
    """In training each channel of a signal is set to 0 with probability `p`.

    The others are multiplied by `1 / (1 - p)`, so that the expected value stays. In evaluation (see
    `eval`) the input passes as it is.

    Args:
        p: The probability, from 0 to 1 (default 0.5).
        inplace: Does nothing; it is there so that PyTorch's arguments fit.
        rng: Generator to draw from, or a seed for one of this layer's own; by default the generator
            that `rg.manual_seed` seeds.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: the same shape.

    Raises:
        ValueError: if `p` is not from 0 to 1; when called, for another number of axes.

    Tompson et al. 2015, "Efficient object localization using convolutional networks".

    >>> rg.nn.Dropout1d(0.5, rng=0)(np.ones((1, 3, 2)))
    array([[[2., 2.],
            [0., 0.],
            [0., 0.]]])
    """

    def forward(self, input: TensorT) -> TensorT:
        return F.dropout1d(input, self.p, self.training, rng=self.rng)


class Dropout2d(Dropout):
    """In training each channel of an image is set to 0 with probability `p`.

    The others are multiplied by `1 / (1 - p)`, so that the expected value stays. In evaluation (see
    `eval`) the input passes as it is.

    Args:
        p: The probability, from 0 to 1 (default 0.5).
        inplace: Does nothing; it is there so that PyTorch's arguments fit.
        rng: Generator to draw from, or a seed for one of this layer's own; by default the generator
            that `rg.manual_seed` seeds.

    Shape:
        - input: `(N, C, H, W)`; what has three axes is taken for `(N, C, L)`.
        - output: the same shape.

    Raises:
        ValueError: if `p` is not from 0 to 1; when called, for another number of axes.

    Tompson et al. 2015, "Efficient object localization using convolutional networks".

    >>> rg.nn.Dropout2d(0.5, rng=0)(np.ones((1, 3, 1, 2)))
    array([[[[2., 2.]],
            [[0., 0.]],
            [[0., 0.]]]])
    """

    def forward(self, input: TensorT) -> TensorT:
        return F.dropout2d(input, self.p, self.training, rng=self.rng)


class AlphaDropout(Dropout):
    """Dropout for nets of `SELU`, which keeps mean 0 and variance 1.

    In training each element is set with probability `p` to what a SELU comes near far below 0; all
    is then scaled and shifted. In evaluation (see `eval`) the input passes as it is.

    Args:
        p: The probability, from 0 to 1 (default 0.5).
        inplace: Does nothing; it is there so that PyTorch's arguments fit.
        rng: Generator to draw from, or a seed for one of this layer's own; by default the generator
            that `rg.manual_seed` seeds.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Raises:
        ValueError: if `p` is not from 0 to 1.

    Klambauer et al. 2017, "Self-normalizing neural networks".

    >>> rg.nn.AlphaDropout(0.5, rng=0)(np.zeros(4)).round(4)
    array([ 0.7792, -0.7792, -0.7792, -0.7792])
    """

    def forward(self, input: TensorT) -> TensorT:
        return F.alpha_dropout(input, self.p, self.training, rng=self.rng)

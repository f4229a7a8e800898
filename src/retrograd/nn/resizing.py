"""Resizing as Modules: signals and images of other lengths."""

from __future__ import annotations

from collections.abc import Sequence

from retrograd.checks import check_sizes
from retrograd.engine import TensorT
from retrograd.nn import functional as F
from retrograd.nn.reprs import ShowsArguments


class Upsample(ShowsArguments):
    """Makes signals and images larger (or smaller): their elements are interpolated.

    Args:
        size: The new length of each axis from axis 2 on, one for all or one for each.
        scale_factor: Instead of `size`, what to multiply the lengths by (rounded down).
        mode: "nearest" repeats elements (the default); "linear" for signals and "bilinear" for
            images weigh the elements on both sides by how near they are.
        align_corners: For "linear" and "bilinear", whether the outermost elements stay in their
            places (True), or the outer edges of the input, in which elements are cells of equal
            width (False or None, the default).
        recompute_scale_factor: For `scale_factor`, whether places are computed from the lengths
            that come out (True), or from the factor itself (False or None, the default).

    Shape:
        - input: `(N, C, L)` or `(N, C, H, W)`.
        - output: the same with the new lengths.

    Raises:
        ValueError: when called, unless either `size` or `scale_factor` is given, the mode fits the
            number of axes, and "nearest" comes without `align_corners`.

    >>> rg.nn.Upsample(scale_factor=2)(np.array([[[1.0, 2.0]]]))
    array([[[1., 1., 2., 2.]]])
    """

    def __init__(
        self, size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None, mode: str = "nearest",
        align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    ) -> None:  # fmt: skip
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input: TensorT) -> TensorT:
        options = self.mode, self.align_corners, self.recompute_scale_factor
        return F.interpolate(input, self.size, self.scale_factor, *options)


class PixelShuffle(ShowsArguments):
    """Makes images larger by a whole factor r, out of r * r channels each.

    Element `(y, x)` of channel c comes from channel `c * r * r + (y % r) * r + x % r`.

    Args:
        upscale_factor: r.

    Shape:
        - input: `(..., C * r * r, H, W)`.
        - output: `(..., C, H * r, W * r)`.

    Raises:
        ValueError: if r is no whole number of at least 1; when called, if its square does not
            divide the channels.

    Shi et al. 2016, "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network".

    >>> rg.nn.PixelShuffle(2)(np.ones((1, 4, 3, 5))).shape
    (1, 1, 6, 10)
    """

    def __init__(self, upscale_factor: int) -> None:
        check_sizes(type(self).__name__, upscale_factor=upscale_factor)
        self.upscale_factor = upscale_factor

    def forward(self, input: TensorT) -> TensorT:
        return F.pixel_shuffle(input, self.upscale_factor)

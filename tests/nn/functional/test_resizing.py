import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.pad(x(2, 3), (1,)), "pairs"),
        (lambda: F.pad(x(2, 3), (3, 0), mode="reflect"), "length 3"),
        (lambda: F.pad(x(2, 3), (1, 0), mode="mirror"), "mirror"),
        (lambda: F.interpolate(x(1, 1, 3)), "either size or scale_factor"),
        (lambda: F.interpolate(x(1, 1, 3), size=2, mode="bilinear"), "bilinear"),
        (lambda: F.interpolate(x(1, 1, 3), scale_factor=0.1), r"\(0,\)"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_an_upsampled_image_keeps_its_corners():
    image = np.arange(4.0).reshape(1, 1, 2, 2)
    out = F.interpolate(image, size=(5, 3), mode="bilinear", align_corners=True)
    np.testing.assert_allclose(out[0, 0, ::4, ::2], image[0, 0])

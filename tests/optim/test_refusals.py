import numpy as np
import pytest

import retrograd as rg


@pytest.mark.parametrize("betas", [(0.9,), 0.9])
def test_betas_are_two_numbers(betas):
    with pytest.raises(ValueError, match="betas must be two numbers"):
        rg.optim.Adam([rg.Tensor(np.ones(1), requires_grad=True)], betas=betas)

"""Muon: momentum whose directions are made equally strong."""

import numpy as np
import pytest

import retrograd as rg


def update(g, **options):
    w = rg.nn.Parameter(np.zeros_like(g))
    optimizer = rg.optim.Muon([w], lr=1.0, **options)
    w.grad = g
    optimizer.step()
    return -w.data


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (1, 5)])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_all_directions_of_a_step_are_about_equally_strong(shape, size):
    g = np.random.default_rng(0).standard_normal(shape) * size
    step = update(g, adjust_lr_fn="original") / np.sqrt(max(1, shape[0] / shape[1]))
    u, _, vh = np.linalg.svd(g, full_matrices=False)
    strengths = np.diagonal(u.T @ step @ vh.T)
    assert 0.5 < strengths.min() <= strengths.max() < 1.3
    np.testing.assert_allclose(u * strengths @ vh, step, atol=1e-12)


def test_more_steps_of_a_converging_iteration_give_the_polar_factor():
    g = np.random.default_rng(0).standard_normal((4, 3))
    u, _, vh = np.linalg.svd(g, full_matrices=False)
    step = update(g, ns_coefficients=(1.875, -1.25, 0.375), ns_steps=30) / np.sqrt(4 / 3)
    np.testing.assert_allclose(step, u @ vh, atol=1e-12)


def test_parameters_that_are_no_matrices_are_refused_and_change_nothing():
    model = rg.nn.Linear(3, 2)
    with pytest.raises(ValueError, match=r"Muon trains matrices, not a Tensor \(2,\)"):
        rg.optim.Muon(model.parameters())
    optimizer = rg.optim.Muon([model.weight])
    with pytest.raises(ValueError, match="give it to another optimizer, such as AdamW"):
        optimizer.add_param_group({"params": [model.bias]})
    assert len(optimizer.param_groups) == 1


def test_matrices_keep_their_shapes_in_a_saved_state_that_continues():
    rng = np.random.default_rng(0)
    gradients = [[rng.standard_normal(s) for s in ((3, 2), (2, 5))] for _ in range(4)]

    def run(optimizer, gradients):
        for grads in gradients:
            for p, g in zip(optimizer.param_groups[0]["params"], grads, strict=True):
                p.grad = g
            optimizer.step()

    params = [rg.nn.Parameter(np.ones(g.shape)) for g in gradients[0]]
    optimizer = rg.optim.Muon(params)
    run(optimizer, gradients[:2])
    saved = optimizer.state_dict()
    assert [entry["momentum_buffer"].shape for entry in saved["state"].values()] == [(3, 2), (2, 5)]
    others = [rg.nn.Parameter(p.data.copy()) for p in params]
    other = rg.optim.Muon(others)
    other.load_state_dict(saved)
    run(optimizer, gradients[2:])
    run(other, gradients[2:])
    for p, q in zip(params, others, strict=True):
        np.testing.assert_array_equal(p.data, q.data)

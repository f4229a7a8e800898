"""Small problems to descend on, and what each optimizer needs for them."""

import numpy as np

import retrograd as rg

SLOTS = {
    "SGD": ({"momentum": 0.9}, {"momentum_buffer"}),
    "Adam": ({"amsgrad": True}, {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}),
    "AdamW": ({}, {"exp_avg", "exp_avg_sq"}),
    "Adamax": ({}, {"exp_avg", "exp_inf"}),
    "NAdam": ({}, {"mu_product", "exp_avg", "exp_avg_sq"}),
    "RMSprop": (
        {"centered": True, "momentum": 0.9},
        {"square_avg", "momentum_buffer", "grad_avg"},
    ),
    "Adagrad": ({"initial_accumulator_value": 0.5}, {"sum"}),
    "Adadelta": ({}, {"square_avg", "acc_delta"}),
    "RAdam": ({}, {"exp_avg", "exp_avg_sq"}),
    "Rprop": ({}, {"prev", "step_size"}),
}


def make(name, params, **options):
    return getattr(rg.optim, name)(params, **options)


def parabola(w):
    return ((w - 1.0) ** 2).sum()


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def descend(optimizer, f, w, steps):
    def closure():
        optimizer.zero_grad()
        loss = f(w)
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)


def problem(seed=0):
    rng = np.random.default_rng(seed)
    params = [rg.nn.Parameter(rng.standard_normal(shape)) for shape in ((3, 2), (), (4,))]
    gradients = [[rng.standard_normal(p.shape) for p in params] for _ in range(6)]
    return params, gradients


def run(optimizer, params, gradients):
    for grads in gradients:
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        optimizer.step()


def values(params):
    return [p.data.copy() for p in params]


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def descend_all(optimizer, params, steps=1):
    for _ in range(steps):
        optimizer.zero_grad()
        sum(np.sum(p * p) for p in params).backward()
        optimizer.step()


def optimizer_of(*rates, **options):
    return rg.optim.SGD([{"params": [rg.nn.Parameter([0.0])], "lr": lr} for lr in rates], **options)


def rates(schedule, steps, *metrics):
    found = [schedule.get_last_lr()]
    for step in range(steps):
        schedule.optimizer.step()
        schedule.step(*(m[step] for m in metrics))
        found.append(schedule.get_last_lr())
    return found

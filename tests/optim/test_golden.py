import numpy as np
import pytest

import retrograd as rg
from golden import OPTIMIZERS, SCHEDULES, assert_all_same, cases, decode, table


def network(problem):
    net = rg.nn.Sequential(rg.nn.Linear(3, 4), rg.nn.Tanh(), rg.nn.Linear(4, 2))
    net.load_state_dict(decode(problem["state"]))
    return net


def train(case):
    problem = table("optim")["problem"]
    net = network(problem)
    x, y = rg.Tensor(decode(problem["x"])), decode(problem["y"])
    criterion = rg.nn.MSELoss()
    parameters = named = dict(net.named_parameters())
    if case["groups"]:
        parameters = [
            {"params": [named[key] for key in keys], **decode(options)}
            for keys, options in (group["tuple"] for group in case["groups"])
        ]
    else:
        parameters = net.parameters()
    optimizer = getattr(rg.optim, case["name"])(parameters, **decode(case["kwargs"]))

    def closure():
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).item()) for _ in case["losses"]]
    return losses, {key: value.data for key, value in named.items()}


@pytest.mark.parametrize("case", cases(OPTIMIZERS))
def test_an_optimizer_takes_pytorchs_twenty_steps(case):
    losses, final = train(case)
    assert losses == pytest.approx(case["losses"], rel=1e-10, abs=1e-10)
    assert_all_same(final, case["final"], "final")


def test_muon_differs_from_pytorchs_by_its_bfloat16_alone():
    (case,) = table("muon")["cases"]
    losses, final = train(case)
    assert losses == pytest.approx(case["losses"], rel=1e-2)
    for key, value in final.items():
        # twenty steps of 0.01, each rounded to 8 bits
        np.testing.assert_allclose(value, decode(case["final"][key]), atol=20 * 0.01 * 2**-7)


def make_schedule(optimizer, name, kwargs):
    kwargs = dict(kwargs)
    if "lr_lambda" in kwargs:
        kwargs["lr_lambda"] = eval(f"lambda epoch: {kwargs['lr_lambda']}")
    if "scale_fn" in kwargs:
        kwargs["scale_fn"] = eval(f"lambda x: {kwargs['scale_fn']}")
    if "schedulers" in kwargs:
        kwargs["schedulers"] = [make_schedule(optimizer, *each) for each in kwargs["schedulers"]]
    if name == "ChainedScheduler":
        return rg.optim.lr_scheduler.ChainedScheduler(**kwargs)
    return getattr(rg.optim.lr_scheduler, name)(optimizer, **kwargs)


@pytest.mark.parametrize("case", cases(SCHEDULES))
def test_a_schedule_sets_pytorchs_rates_for_twenty_steps(case):
    groups = [{"params": [rg.nn.Parameter([0.0])], "lr": lr} for lr in case["lrs"]]
    optimizer = getattr(rg.optim, case["optimizer"])(groups, lr=1.0, **case["options"])
    name, kwargs, extra = case["name"], decode(case["kwargs"]), case.get("extra", {})
    if "resumed" in extra:
        old = make_schedule(optimizer, name, kwargs)
        for _ in range(extra["resumed"]):
            old.step()
        kwargs["last_epoch"] = old.last_epoch - 1
    before = [make_schedule(optimizer, *each) for each in extra.get("before", [])]
    scheduler = make_schedule(optimizer, name, kwargs)
    after = [make_schedule(optimizer, *each) for each in extra.get("after", [])]
    taken = case["metrics"] or extra.get("epochs")
    first, *later = decode(case["history"])

    def assert_groups_hold(expected):
        for group, values in zip(optimizer.param_groups, expected, strict=True):
            for key, value in zip(case["keys"], values, strict=True):
                assert group[key] == pytest.approx(value, rel=1e-10), key

    assert_groups_hold(first)
    for step, expected in enumerate(later):
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] *= extra.get("by hand", {}).get(str(step), 1)
        for each in before:
            each.step()
        scheduler.step(*([taken[step]] if taken else []))
        for each in after:
            each.step()
        assert_groups_hold(expected)

"""Optimizers and schedules take PyTorch's arguments, or refuse them by name."""

import importlib
import inspect
import json

import pytest

import retrograd as rg
from golden import HERE
from optim.problems import optimizer_of

TORCH = json.loads((HERE / "optim_signatures.json").read_text())["classes"]


def namesake(title):
    module, _, name = title.rpartition(".")
    return getattr(importlib.import_module(f"retrograd.{module}"), name, None)


OURS = [title for title in TORCH if namesake(title)]
OPTIMIZERS = [t for t in OURS if t.startswith("optim.") and t.count(".") == 1]
SCHEDULES = [t for t in OURS if t.count(".") == 2]
# what must be given beside an optimizer
NEEDED = {
    "StepLR": {"step_size": 3}, "MultiStepLR": {"milestones": [2]}, "ExponentialLR": {"gamma": 0.5},
    "LambdaLR": {"lr_lambda": float}, "MultiplicativeLR": {"lr_lambda": float},
    "CosineAnnealingLR": {"T_max": 5}, "CosineAnnealingWarmRestarts": {"T_0": 5},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 1.0}, "OneCycleLR": {"max_lr": 1.0, "total_steps": 9},
    "LRScheduler": {}, "Optimizer": {},
}  # fmt: skip
ABSENT = {"optim.ASGD", "optim.Adafactor", "optim.SparseAdam"}


def test_every_class_of_pytorch_has_a_namesake_but_for_some():
    assert TORCH.keys() - OURS == ABSENT


def given(title):
    """Return what a class is called with: all of PyTorch's arguments by name, with its defaults."""
    name = title.rpartition(".")[2]
    if title in OPTIMIZERS:
        shape = (1, 1) if name == "Muon" else (1,)
        first = {"params": [rg.nn.Parameter(rg.Tensor([1.0]).data.reshape(shape))]}
    else:
        optimizer = optimizer_of(0.1, momentum=0.9)
        each = [rg.optim.lr_scheduler.StepLR(optimizer, 3)]
        first = {"optimizer": optimizer, "schedulers": each, "milestones": []}
    defaults = {name: default[0] for name, _, *default in TORCH[title] if default}
    for key in ("betas", "etas", "step_sizes", "ns_coefficients"):  # JSON has no tuples
        defaults |= {key: tuple(defaults[key])} if key in defaults else {}
    known = {**first, **defaults, **NEEDED.get(name, {})}
    return {argument: known[argument] for argument, *_ in TORCH[title]}


def options(made):
    return [{k: v for k, v in g.items() if k != "params"} for g in made.param_groups]


BUILT = [t for t in OURS if not t.endswith((".LRScheduler", ".Optimizer"))]


@pytest.mark.parametrize("title", OURS)
def test_the_arguments_are_pytorchs_in_its_order_with_its_defaults(title):
    parameters = inspect.signature(namesake(title).__init__).parameters
    own = list(parameters.values())[1:]
    by_place = [p.name for p in own if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert by_place == [name for name, place, *_ in TORCH[title] if place]
    for name, _, *default in TORCH[title]:
        found = parameters[name].default
        if not default:
            assert found is inspect.Parameter.empty, name
        else:
            assert (list(found) if isinstance(found, tuple) else found) == default[0], name


@pytest.mark.parametrize("title", BUILT)
def test_it_is_made_by_name_and_by_place(title):
    cls = namesake(title)
    arguments = given(title)
    made = cls(**arguments)
    places = [arguments[name] for name, place, *_ in TORCH[title] if place]
    again = cls(*given(title).values()) if len(places) == len(arguments) else cls(*places)
    if title in OPTIMIZERS:
        assert options(again) == options(made) == options(cls(arguments["params"]))
    else:
        assert repr(again) == repr(made)


@pytest.mark.parametrize("title", OPTIMIZERS)
def test_choices_of_an_implementation_are_refused_by_name(title):
    choices = {"foreach", "capturable", "differentiable", "fused"}
    for name in choices.intersection(argument for argument, *_ in TORCH[title]):
        for nothing in (None, False):
            namesake(title)(**{**given(title), name: nothing})
        with pytest.raises(ValueError, match=rf"\w+ got {name}=True, but .*: leave it out"):
            namesake(title)(**{**given(title), name: True})


@pytest.mark.parametrize("title", [t for t in OPTIMIZERS if not t.endswith(".Optimizer")])
def test_a_rate_that_is_a_tensor_is_refused_by_name(title):
    with pytest.raises(ValueError, match="lr must be a finite number"):
        namesake(title)(**{**given(title), "lr": rg.Tensor(0.1)})


def test_parameters_may_come_with_their_names():
    model = rg.nn.Linear(2, 3)
    for given_names in (model.named_parameters(), [{"params": model.named_parameters()}]):
        optimizer = rg.optim.Adam(given_names)
        assert optimizer.param_groups[0]["params"] == [model.weight, model.bias]

"""Modules take the arguments of PyTorch's classes of their names, or refuse each by its name.

The names, places and defaults are PyTorch's own, stored in `golden/signatures.json`.
"""

import inspect

import numpy as np
import pytest

from golden import table
from retrograd import nn

CLASSES = table("signatures")["classes"]
# NumPy's words for PyTorch's
WORDS = {"dim": "axis", "start_dim": "start_axis", "end_dim": "end_axis"}
# Words that are refused, with what is to be written.
OLD = {"size_average": "reduction=", "reduce": "reduction=", "min_value": "min_val=",
       "max_value": "max_val="}  # fmt: skip
REFUSED = OLD | {word: f"{here}=" for word, here in WORDS.items()}
# `forward` has other names here, since these are what others are called by.
OTHER_NAMES = {("RMSNorm", "x"), ("PoissonNLLLoss", "log_input")}

REQUIRED = {
    "num_features": 4, "in_channels": 4, "out_channels": 4, "kernel_size": 2, "in_features": 3,
    "out_features": 2, "num_embeddings": 5, "embedding_dim": 3, "embed_dim": 4, "num_heads": 2,
    "d_model": 4, "nhead": 2, "num_groups": 2, "num_channels": 4, "normalized_shape": 3,
    "input_size": 3, "hidden_size": 4, "output_size": 2, "padding": 1, "value": 0.5,
    "threshold": 0.1, "dim": 1, "unflattened_size": (2, 2), "upscale_factor": 2, "num_layers": 2,
    "in1_features": 2, "in2_features": 3,
}  # fmt: skip


def required(name):
    """Return values for the arguments that must be given."""
    small = {"dim_feedforward": 8}
    if name == "TransformerEncoder":
        return [nn.TransformerEncoderLayer(4, 2, **small), 2]
    if name == "TransformerDecoder":
        return [nn.TransformerDecoderLayer(4, 2, **small), 2]
    needed = [e[0] for e in CLASSES[name]["init"] if len(e) == 2 and "VAR" not in e[1]]
    return [REQUIRED[each] for each in needed]


def optional():
    """Return class, argument and default of every optional argument of PyTorch's constructors."""
    return [
        pytest.param(name, *e[:1], e[2], id=f"{name}-{e[0]}")
        for name, entry in CLASSES.items() for e in entry["init"] if len(e) == 3
    ]  # fmt: skip


def test_every_module_of_a_namesake_is_compared():
    kinds = {n for n in nn.__all__ if isinstance(getattr(nn, n), type)}
    assert {n for n in kinds if n not in ("Module", "Parameter")} == set(CLASSES)


@pytest.mark.parametrize(("name", "argument", "default"), optional())
def test_an_argument_is_taken_by_name_or_refused_by_its_name(name, argument, default):
    kind = getattr(nn, name)
    if argument in REFUSED:
        with pytest.raises(TypeError, match=f"{name} .*{argument}=: write .*{REFUSED[argument]}"):
            kind(*required(name), **{argument: default})
    else:
        assert isinstance(kind(*required(name), **{argument: default}), kind)


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_stand_at_pytorchs_places_or_are_refused_there(name):
    kind, given = getattr(nn, name), required(name)
    places = [e for e in CLASSES[name]["init"] if e[1] == "POSITIONAL_OR_KEYWORD"]
    own = list(inspect.signature(kind.__init__).parameters.values())[1:]
    own = [p.name for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
    theirs = [WORDS.get(e[0], e[0]) for e in places]
    for i in range(len(given), len(theirs)):
        if own[: i + 1] == theirs[: i + 1]:
            assert isinstance(kind(*given, *(e[2] for e in places[len(given) : i + 1])), kind)
        else:
            with pytest.raises((TypeError, ValueError)):
                kind(*given, *(e[2] for e in places[len(given) : i + 1]))


@pytest.mark.parametrize(("name", "argument", "default"), optional())
def test_a_default_is_pytorchs(name, argument, default):
    own = inspect.signature(getattr(nn, name).__init__).parameters
    known = own.get(WORDS.get(argument, argument))
    if known is not None and argument not in ("dim", "activation"):  # None is refused, or a name
        assert known.default == default


@pytest.mark.parametrize("name", CLASSES)
def test_forward_takes_pytorchs_arguments_by_place_and_by_name(name):
    own = [p.name for p in inspect.signature(getattr(nn, name).forward).parameters.values()][1:]
    theirs = [e[0] for e in CLASSES[name]["forward"] if "VAR" not in e[1]]
    for place, argument in enumerate(theirs):
        if (name, argument) in OTHER_NAMES:
            layer = getattr(nn, name)(*required(name))
            with pytest.raises(TypeError, match=f"'{argument}'"):
                layer(**{argument: np.ones((2, 3))})
        else:
            assert own[place] == argument


def test_keywords_reach_forward():
    x, y = np.ones((2, 3)), np.zeros((2, 3))
    assert nn.CrossEntropyLoss()(x, target=np.array([0, 1])).shape == ()
    assert nn.MSELoss()(input=x, target=y) == 1.0
    assert nn.ReLU()(input=-x).sum() == 0.0
    assert nn.MaxPool1d(3)(input=x).shape == (2, 1)
    handle = (loss := nn.L1Loss()).register_forward_hook(lambda module, args, out: out * 2)
    assert loss(x, target=y) == 2.0
    handle.remove()


def test_arguments_that_change_nothing_have_no_effect_and_others_are_told():
    for make in (
        lambda: nn.ConvTranspose1d(2, 2, 2, padding_mode="reflect"),
        lambda: nn.LSTM(2, 3, proj_size=3),
    ):
        with pytest.raises(ValueError, match=r"scale_grad_by_freq|padding_mode|proj_size"):
            make()
    with pytest.raises(ValueError, match="antialias"):
        nn.functional.interpolate(np.ones((1, 1, 2)), 3, antialias=True)
    with pytest.raises(ValueError, match="divisor_override"):
        nn.AvgPool2d(2, divisor_override=0)(np.ones((1, 2, 2)))
    with pytest.raises(ValueError, match=r"output_size must be from \(5,\) to \(6,\)"):
        nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1)(np.ones((1, 1, 3)), output_size=7)

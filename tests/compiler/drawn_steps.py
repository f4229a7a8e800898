"""Training steps drawn from a seed: a net, a loss, an optimizer, and what changes between calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

import retrograd as rg

nn, F = rg.nn, rg.nn.functional
CALLS = 9  # more than are checked, and than it takes to see that something went stale


def pick(rng, *values):
    """Return one of some values."""
    return values[rng.integers(len(values))]


def chance(rng, part):
    """Tell whether something that happens in a part of all cases does in this one."""
    return bool(rng.random() < part)


# Nets --------------------------------------------------------------------------------------------


ACTIVATIONS = (
    nn.Tanh, nn.ReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.ELU, nn.LeakyReLU, nn.PReLU,
    nn.Mish, nn.SELU, nn.Softsign, nn.Hardtanh,
)  # fmt: skip


def dense(rng, inputs, outputs):
    """Return layers of a width each, with norms, activations and dropout between them."""
    layers, width = [], inputs
    for k in range(int(rng.integers(1, 4))):
        hidden = int(rng.integers(2, 9))
        layers.append(nn.Linear(width, hidden, bias=chance(rng, 0.8), rng=k))
        width = hidden
        if chance(rng, 0.5):
            norm = pick(rng, nn.BatchNorm1d, nn.LayerNorm, nn.RMSNorm)
            layers.append(norm(width))
        layers.append(pick(rng, *ACTIVATIONS)())
        if chance(rng, 0.3):
            layers.append(nn.Dropout(0.3))
    return nn.Sequential(*layers, nn.Linear(width, outputs, rng=9))


def convolutional(rng, outputs):
    """Return a small net for images of 1x8x8."""
    channels = int(rng.integers(2, 5))
    pool = pick(rng, nn.MaxPool2d, nn.AvgPool2d)
    norm = [nn.BatchNorm2d(channels)] if chance(rng, 0.6) else []
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=int(rng.integers(0, 2)), rng=0), *norm,
        pick(rng, *ACTIVATIONS)(), pool(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(channels, outputs, rng=1),
    )  # fmt: skip


class Recurrent(nn.Module):
    """A cell looped over time, or a layer that does so."""

    def __init__(self, rng, inputs, outputs):
        super().__init__()
        self.kind = pick(rng, "cell", "rnn", "gru", "lstm")
        hidden = int(rng.integers(2, 6))
        if self.kind == "cell":
            self.cell = pick(rng, nn.RNNCell, nn.GRUCell)(inputs, hidden, rng=0)
        else:
            layer = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[self.kind]
            self.cell = layer(inputs, hidden, rng=0)
        self.hidden, self.mean = hidden, chance(rng, 0.5)
        self.out = nn.Linear(hidden, outputs, rng=1)

    def forward(self, x):  # (steps, batch, inputs)
        if self.kind != "cell":
            states = self.cell(x)[0]
        else:
            h, found = np.zeros((x.shape[1], self.hidden), x.dtype), []
            for t in range(x.shape[0]):
                h = self.cell(x[t], h)
                found.append(h)
            states = np.stack(found)
        return self.out(states.mean(axis=0) if self.mean else states[-1])


class Words(nn.Module):
    """Embedded words, attended to or averaged."""

    def __init__(self, rng, outputs):
        super().__init__()
        self.words = nn.Embedding(11, 6)
        self.attends = chance(rng, 0.5)
        if self.attends:
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
            self.norm = nn.LayerNorm(6)
        self.out = nn.Linear(6, outputs, rng=1)

    def forward(self, x):  # (batch, length)
        h = self.words(x)
        if self.attends:
            h = self.norm(h + self.attention(h, h, h)[0])
        return self.out(h.mean(axis=1))


# Losses ------------------------------------------------------------------------------------------


def penalised(net, x, y):
    """Return a loss with a gradient penalty, whose leaf is made inside."""
    x = rg.Tensor(x.detach(), requires_grad=True)
    out = net(x)
    (g,) = rg.autograd.grad(out.sum(), x, create_graph=True)
    return np.mean((out - y) ** 2) + 0.1 * np.mean(g**2)


def masked(net, x, y):
    """Return a mean over the positive targets alone."""
    chosen = y > 0
    return np.sum(np.where(chosen, (net(x) - y) ** 2, 0.0)) / (np.sum(chosen) + 1)


LOSSES: dict[str, Callable[..., Any]] = {
    "mse": lambda net, x, y: F.mse_loss(net(x), y),
    "l1": lambda net, x, y: F.l1_loss(net(x), y),
    "huber": lambda net, x, y: F.huber_loss(net(x), y),
    "summed": lambda net, x, y: np.sum((net(x) - y) ** 2),
    "logits": lambda net, x, y: F.binary_cross_entropy_with_logits(net(x), (y > 0) * 1.0),
    "weighted": lambda net, x, y: np.mean((net(x) - y) ** 2) * np.sqrt(3.0),
    "regularised": lambda net, x, y: (
        F.mse_loss(net(x), y) + 1e-3 * sum(np.sum(p**2) for p in net.parameters())
    ),
    "masked": masked,
    "penalised": penalised,
    "classes": lambda net, x, y: F.cross_entropy(net(x), np.argmax(y, axis=1)),
    "smoothed": lambda net, x, y: F.cross_entropy(
        net(x), np.argmax(y, axis=1), label_smoothing=0.1
    ),
}
SMOOTH = {"mse", "summed", "weighted", "regularised", "classes"}


# Optimizers --------------------------------------------------------------------------------------


def draw_optimizer(rng):
    """Return an optimizer's name and its options."""
    options = {"weight_decay": pick(rng, 0.0, 0.0, 0.01), "maximize": chance(rng, 0.1)}
    betas = {"betas": pick(rng, (0.9, 0.999), (0.5, 0.9))}
    momentum = pick(rng, 0.0, 0.0, 0.9, 0.5)
    return pick(
        rng,
        ("SGD", {"lr": pick(rng, 0.1, 0.01), "momentum": momentum,
                 "nesterov": momentum > 0 and chance(rng, 0.5), **options}),
        ("Adam", {"lr": 0.01, "amsgrad": chance(rng, 0.3), **betas, **options}),
        ("AdamW", {"lr": 0.003, **betas, **options}),
        ("RMSprop", {"lr": 0.01, "centered": chance(rng, 0.3), "momentum": momentum, **options}),
        ("Adagrad", {"lr": 0.05, **options}),
        ("Adadelta", {"lr": 1.0, **options}),
        ("Adamax", {"lr": 0.01, **betas, **options}),
        ("NAdam", {"lr": 0.01, **betas, **options}),
    )  # fmt: skip


SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "none": lambda optimizer: None,
    "steps": lambda optimizer: rg.optim.lr_scheduler.StepLR(optimizer, 2, 0.5),
    "exponential": lambda optimizer: rg.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
    "cosine": lambda optimizer: rg.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5),
    "warm-up": lambda optimizer: rg.optim.lr_scheduler.LinearLR(optimizer),
    "one cycle": lambda optimizer: rg.optim.lr_scheduler.OneCycleLR(
        optimizer,
        0.05,
        CALLS + 1,
        cycle_momentum=bool({"momentum", "betas"} & optimizer.param_groups[0].keys()),
    ),
}


# Changes between calls ---------------------------------------------------------------------------


def switch_mode(net, optimizer):
    """Train instead of evaluate, or the other way round."""
    net.train(not net.training)


def change_rate(net, optimizer):
    """Set another rate by hand."""
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * 0.7


def change_decay(net, optimizer):
    """Set another weight decay by hand."""
    for group in optimizer.param_groups:
        group["weight_decay"] = group["weight_decay"] + 0.01


def freeze(net, optimizer):
    """Let the first parameter be trained no more, or again."""
    first = next(iter(net.parameters()))
    first.requires_grad_(not first.requires_grad)
    first.grad = None


def forget_gradients(net, optimizer):
    """Drop all gradients."""
    optimizer.zero_grad()


def zero_gradients(net, optimizer):
    """Set all gradients to zeros."""
    optimizer.zero_grad(set_to_none=False)


def write_parameters(net, optimizer):
    """Make all parameters smaller, in place."""
    with rg.no_grad():
        for p in net.parameters():
            p *= 0.9


def reload(net, optimizer):
    """Load what is there already."""
    net.load_state_dict(net.state_dict())
    optimizer.load_state_dict(optimizer.state_dict())


def predict(net, optimizer):
    """Do nothing: a call like the one before."""


CHANGES = (
    switch_mode, change_rate, change_decay, freeze, forget_gradients, zero_gradients,
    write_parameters, reload, predict, predict, predict,
)  # fmt: skip


# Steps -------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Drawn:
    """A training step, built alike as often as it is asked for.

    Attributes:
        make: returns the step, the net, the optimizer and the schedule or None.
        batches: the arguments of each call.
        changes: what is done to net and optimizer before each call.
        dtype: of all floats.
        text: says what was drawn.
    """

    make: Callable[[], tuple[Any, Any, Any, Any]]
    batches: list[tuple[Any, Any]]
    changes: list[Callable[[Any, Any], None]]
    dtype: Any
    text: str


def draw(seed: int) -> Drawn:
    """Return the step of a seed."""
    rng = np.random.default_rng(seed)
    dtype = pick(rng, np.float64, np.float32)
    net_kind = pick(rng, "dense", "dense", "dense", "conv", "recurrent", "words")
    loss_name = pick(rng, *LOSSES)
    if net_kind == "words" and loss_name == "penalised":
        loss_name = "mse"  # words have no gradient
    outputs = int(rng.integers(2, 5))
    rows = int(rng.integers(3, 9))
    inputs = int(rng.integers(2, 6))
    net_seed = int(rng.integers(1 << 30))
    kind, options = draw_optimizer(rng)
    schedule = pick(rng, *SCHEDULES)
    clip = pick(rng, "none", "none", "norm", "value")
    zero = pick(rng, "optimizer", "optimizer", "model", "zeros", "none", "by hand", "after")
    parts = pick(rng, 1, 1, 1, 2)
    returns = pick(rng, "loss", "both", "dict")
    groups = chance(rng, 0.2)
    no_grad_metric = chance(rng, 0.2)

    def inputs_of(n):
        if net_kind == "words":
            return rng.integers(0, 11, (n, 5))
        shape = {"dense": (n, inputs), "conv": (n, 1, 8, 8), "recurrent": (4, n, inputs)}[net_kind]
        return rng.normal(size=shape).astype(dtype)

    def batch(n):
        return inputs_of(n), rng.normal(size=(n, outputs)).astype(dtype)

    equal = int(rng.integers(0, 6))  # so many calls begin with the same batch
    batches = [batch(rows)] * equal
    while len(batches) < CALLS:
        batches.append(batch(rows if chance(rng, 0.9) else rows + 1))
    several = chance(rng, 0.5)
    changes = [pick(rng, *CHANGES) if several and chance(rng, 0.4) else predict for _ in batches]
    changes[0] = predict

    def make():
        draws = np.random.default_rng(net_seed)
        rg.manual_seed(0)
        if net_kind == "dense":
            net = dense(draws, inputs, outputs)
        elif net_kind == "conv":
            net = convolutional(draws, outputs)
        elif net_kind == "recurrent":
            net = Recurrent(draws, inputs, outputs)
        else:
            net = Words(draws, outputs)
        if dtype is np.float32:
            net.float()
        params = list(net.parameters())
        given = params
        if groups and len(params) > 1:
            given = [{"params": params[:1], "lr": options["lr"] / 2}, {"params": params[1:]}]
        optimizer = getattr(rg.optim, kind)(given, **options)
        loss_of = LOSSES[loss_name]

        def step(x, y):
            if zero == "optimizer":
                optimizer.zero_grad()
            elif zero == "model":
                net.zero_grad()
            elif zero == "zeros":
                optimizer.zero_grad(set_to_none=False)
            elif zero == "by hand":
                for p in params:
                    p.grad = None
            loss = 0.0
            for _ in range(parts):
                part = loss_of(net, x, y) / parts
                part.backward()
                loss = loss + part.detach()
            if clip == "norm":
                nn.utils.clip_grad_norm_(params, 0.5)
            elif clip == "value":
                nn.utils.clip_grad_value_(params, 0.05)
            optimizer.step()
            if zero == "after":
                optimizer.zero_grad()
            if no_grad_metric:
                with rg.no_grad():
                    loss = loss + 0.0 * np.sum(net(x))
            if returns == "both":
                return loss, loss * 2
            return {"loss": loss} if returns == "dict" else loss

        return step, net, optimizer, SCHEDULES[schedule](optimizer)

    text = (
        f"{net_kind} {np.dtype(dtype)} {loss_name} {kind}{options} {schedule} clip={clip} "
        f"zero={zero} parts={parts} {[c.__name__ for c in changes if c is not predict]}"
    )
    return Drawn(make, batches, changes, dtype, text)


def run(drawn: Drawn, wrap=lambda step: step, jitter: float = 0.0) -> list[list[np.ndarray]]:
    """Return what each call left behind: its results, all parameters and buffers.

    Args:
        drawn: the step.
        wrap: makes of the step what is called, such as `rg.compile`.
        jitter: a relative error on all that it starts from.
    """
    step, net, optimizer, schedule = drawn.make()
    errors = np.random.default_rng(7)
    if jitter:
        with rg.no_grad():
            for p in net.parameters():
                p *= (1 + jitter * errors.uniform(-1, 1, p.shape)).astype(p.dtype)
    call, left = wrap(step), []
    rg.manual_seed(1)
    for (x, y), change in zip(drawn.batches, drawn.changes, strict=True):
        change(net, optimizer)
        args = [a if a.dtype.kind != "f" else a * (1 + jitter) for a in (x, y)]
        args = [a.astype(b.dtype) for a, b in zip(args, (x, y), strict=True)]
        result = call(*args) if wrap is rg.compile else call(*map(rg.Tensor, args))
        if schedule is not None:
            schedule.step()
        found = [t.data.copy() for t in rg.tree.leaves(result)]
        found += [p.data.copy() for p in net.parameters()]
        found += [np.asarray(b).copy() for _, b in net.named_buffers()]
        found.append(rg.random.generator().random(1))
        left.append(found)
    return left


def find_difference(seed: int) -> str:
    """Return how a compiled step differs from the step itself, or "".

    What rounding does to the function itself is no difference: it is run from jittered values too.
    """
    drawn = draw(seed)
    with np.errstate(all="ignore"):
        expected = run(drawn)
        try:
            found = run(drawn, rg.compile)
        except Exception as error:
            return f"seed {seed}: {type(error).__name__}: {error}\n{drawn.text}"
    relative = 1e-9 if drawn.dtype is np.float64 else 1e-4
    near: list[Any] = []
    for number, (found_here, expected_here) in enumerate(zip(found, expected, strict=True)):
        for i, (a, b) in enumerate(zip(found_here, expected_here, strict=True)):
            if a.dtype != b.dtype or a.shape != b.shape:
                return f"seed {seed}: {a.dtype}{a.shape}, not {b.dtype}{b.shape}\n{drawn.text}"
            scale = float(np.abs(b).max(initial=0.0))
            off = float(np.abs(a - b).max(initial=0.0))
            allowed = relative * (scale + 1e-3)
            if off <= allowed or np.array_equal(a, b, equal_nan=True):
                continue
            near = near or run_near(drawn)
            noise = max(float(np.abs(other[number][i] - b).max()) for other in near)
            if not off <= allowed + 30 * noise:
                return (
                    f"seed {seed}: call {number}, array {i} of shape {a.shape} is off by {off:.3g} "
                    f"of {scale:.3g} (noise {noise:.3g})\n{drawn.text}"
                )
    return ""


def run_near(drawn: Drawn) -> list[Any]:
    """Return what runs leave behind that start some rounding errors off."""
    size = 1e-14 if drawn.dtype is np.float64 else 1e-6
    with np.errstate(all="ignore"):
        return [run(drawn, jitter=part * size) for part in (1, -1, 0.5)]

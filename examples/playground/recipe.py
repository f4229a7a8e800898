"""Settings of the playground, and the script that they stand for.

The page trains what this script defines, line for line, so that "copy as Python" gives the losses
that the page shows. Settings that make no sense are refused with a sentence for the reader.
"""

import math
from dataclasses import dataclass

POINTS = 200
MOST = {"layers": 4, "units": 8, "points": 400}

# what draws the points, as lines of `make_data(random)`
DATA = {
    "quadrants": """\
    x = random.randn(200, 2)
    y = (x[:, :1] * x[:, 1:] > 0).astype(float)  # 1 where both coordinates have one sign""",
    "moons": """\
    angle = np.pi * random.rand(200)
    upper = np.arange(200) < 100
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x[~upper] = [1.0, 0.5] - x[~upper]  # the lower moon hangs into the upper one
    x = 1.6 * (x - [0.5, 0.25] + 0.1 * random.randn(200, 2))
    y = upper[:, None].astype(float)""",
    "circles": """\
    angle = 2 * np.pi * random.rand(200)
    inner = np.arange(200) < 100
    radius = np.where(inner, 0.9, 2.1) + 0.2 * random.randn(200)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    y = inner[:, None].astype(float)""",
    "spirals": """\
    along = np.tile(np.linspace(0.15, 1.0, 100), 2)  # from the middle to the end of an arm
    first = np.arange(200) < 100
    angle = 1.25 * 2 * np.pi * along + np.pi * first
    x = 2.6 * along[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x += 0.06 * random.randn(200, 2)
    y = first[:, None].astype(float)""",
}
ACTIVATIONS = {"relu": "F.relu({})", "tanh": "np.tanh({})", "sigmoid": "F.sigmoid({})",
               "linear": "{}"}  # fmt: skip
LOSSES = {"bce": "rg.nn.BCELoss()", "mse": "rg.nn.MSELoss()"}
OPTIMIZERS = {
    "sgd": "rg.optim.SGD(net.parameters(), lr={rate!r}{momentum})",
    "adam": "rg.optim.Adam(net.parameters(), lr={rate!r})",
    "rmsprop": "rg.optim.RMSprop(net.parameters(), lr={rate!r}{momentum})",
}
# how large the first weights are
INITS = {
    "small": ("0.01", "small, as in the record"),
    "kaiming": ("np.sqrt(2 / n_in)", "keeps sizes through a ReLU"),
    "xavier": ("np.sqrt(1 / n_in)", "keeps sizes through a tanh"),
}

SCRIPT = '''\
"""{title}

Needs:  pip install retrograd
Prints: the loss and the accuracy before each {every}th update and before the last one.
"""

import numpy as np

import retrograd as rg

F = rg.nn.functional


def make_data(random):
{data}
    return x, y  # {shapes}


class Net(rg.nn.Module):
    def __init__(self, random):
{layers}
        for layer in ({names}):
            n_out, n_in = layer.weight.shape
            # {why}
            layer.weight.data[...] = random.randn(n_in, n_out).T * {std}
            layer.bias.data[...] = 0.0

    def forward(self, x):
{forward}
        return p


random = np.random.RandomState({seed})
x, y = make_data(random)
net = Net(random)
criterion = {loss}
optimizer = {optimizer}


@rg.compile
def step(x, y):
    p = net(x)
    loss = criterion(p, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss, p


if __name__ == "__main__":
    for epoch in range({steps}):
        loss, p = step(x, y)
        accuracy = np.mean((p.data > 0.5) == (y > 0.5))
        if epoch % {every} == 0:
            print(f"Epoch {{epoch}}, Loss: {{loss.item():.4f}}, Accuracy: {{accuracy:.4f}}")
    print(f"{{epoch + 1}} steps: loss {{loss.item():.4f}}, accuracy {{accuracy:.4f}}")
'''


class RecipeError(ValueError):
    """A setting that cannot be trained, said for the reader of the page."""


@dataclass(frozen=True)
class Recipe:
    """All that decides a run: two equal recipes give equal losses."""

    data: str = "quadrants"
    layers: tuple[int, ...] = (4,)
    activation: str = "relu"
    loss: str = "bce"
    optimizer: str = "sgd"
    rate: float = 0.1
    momentum: float = 0.0
    init: str = "small"
    seed: int = 42
    points: tuple[tuple[float, float, int], ...] = ()  # x1, x2 and class, where data is "own"

    def __post_init__(self):
        for name, choices in (
            ("data", {**DATA, "own": ""}), ("activation", ACTIVATIONS), ("loss", LOSSES),
            ("optimizer", OPTIMIZERS), ("init", INITS),
        ):  # fmt: skip
            if getattr(self, name) not in choices:
                known = ", ".join(choices)
                raise RecipeError(f"There is no {name} {getattr(self, name)!r}; there are {known}.")
        if len(self.layers) > MOST["layers"]:
            raise RecipeError(f"At most {MOST['layers']} hidden layers fit here.")
        if not all(1 <= units <= MOST["units"] for units in self.layers):
            raise RecipeError(f"A hidden layer has 1 to {MOST['units']} units here.")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise RecipeError(f"The learning rate must be a number above 0, not {self.rate:g}.")
        if not 0 <= self.momentum < 1:
            raise RecipeError(f"Momentum must be at least 0 and below 1, not {self.momentum:g}.")
        if not 0 <= self.seed < 2**32:
            raise RecipeError(f"The seed must be a whole number from 0 to {2**32 - 1}.")
        if self.data == "own":
            if len(self.points) > MOST["points"]:
                raise RecipeError(f"At most {MOST['points']} points fit here.")
            if {c for _, _, c in self.points} != {0, 1}:
                raise RecipeError("Draw at least one point of each class: click into the picture.")

    @classmethod
    def read(cls, settings):
        """Make a recipe of what the page sends: texts, numbers and lists."""
        try:
            return cls(
                settings["data"], tuple(int(units) for units in settings["layers"]),
                settings["activation"], settings["loss"], settings["optimizer"],
                float(settings["rate"]), float(settings["momentum"]), settings["init"],
                int(settings["seed"]),
                tuple((float(u), float(v), int(c)) for u, v, c in settings.get("points", ())),
            )  # fmt: skip
        except RecipeError:
            raise
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RecipeError(f"These settings cannot be read: {error}.") from None

    def write_script(self, steps=1000, every=100):
        """Return the script that trains this, for so many steps."""
        sizes = (2, *self.layers, 1)
        names = [f"self.fc{i}" for i in range(1, len(sizes))]
        layers = [
            f"        {name} = rg.nn.Linear({n_in}, {n_out})"
            for name, n_in, n_out in zip(names, sizes, sizes[1:], strict=False)
        ]
        forward, before = [], "x"
        for i, name in enumerate(names[:-1], 1):
            value = ACTIVATIONS[self.activation].format(f"{name}({before})")
            forward.append(f"        a{i} = {value}  # ({self.count()}, {sizes[i]})")
            before = f"a{i}"
        forward.append(f"        p = F.sigmoid({names[-1]}({before}))  # ({self.count()}, 1)")
        momentum = f", momentum={self.momentum!r}" if self.momentum else ""
        std, why = INITS[self.init]
        return SCRIPT.format(
            title="Class 1 or class 0: a net learns which points of the plane are which.",
            data=self._data(), shapes=f"({self.count()}, 2), ({self.count()}, 1)",
            layers="\n".join(layers), names=", ".join(names) + "," * (len(names) == 1),
            std=std, why=why, forward="\n".join(forward), seed=self.seed,
            loss=LOSSES[self.loss],
            optimizer=OPTIMIZERS[self.optimizer].format(rate=self.rate, momentum=momentum),
            steps=steps, every=every,
        )  # fmt: skip

    def count(self):
        """Return how many points there are."""
        return len(self.points) if self.data == "own" else POINTS

    def _data(self):
        if self.data != "own":
            return DATA[self.data]
        rows = [f"            [{u!r}, {v!r}, {c}]," for u, v, c in self.points]
        return "\n".join([
            "    drawn = np.array(", "        [  # x1, x2, class", *rows, "        ]", "    )",
            "    x, y = drawn[:, :2].copy(), drawn[:, 2:].copy()",
        ])  # fmt: skip

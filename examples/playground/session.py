"""One run of a recipe: its training, and pictures of its net. It knows no page."""

import linecache
import math
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
from recipe import ACTIVATIONS

import retrograd as rg

F = rg.nn.functional
GRID = 72  # points a side of the decision regions
EVERY = 100  # epochs between two lines of the log, as in the record
GROWN = 40.0  # so many times its first value, and a loss no longer comes down
# how many lower rates are tried in place of one too large, and for how many steps
TRIED, TRIAL = 6, 100
APPLY = {"relu": F.relu, "tanh": np.tanh, "sigmoid": F.sigmoid, "linear": lambda z: z}
assert APPLY.keys() == ACTIVATIONS.keys()


class Diverged(ArithmeticError):
    """A run whose loss is no number any more, or far above where it began.

    It brings the losses and accuracies of the steps done until then.
    """

    def __init__(self, text, losses, accuracies):
        super().__init__(text)
        self.losses, self.accuracies = losses, accuracies


class Session:
    """One run: the script of a recipe, executed as a module, and how far it has got."""

    def __init__(self, recipe, folder):
        self.recipe, self.folder = recipe, folder
        self.script = recipe.write_script()
        path = Path(folder, "net.py")
        path.write_text(self.script)
        linecache.checkcache(str(path))
        self.module = types.ModuleType("net")
        self.module.__file__ = str(path)
        sys.modules["net"] = self.module  # where the compiler looks for what a function reads
        exec(compile(self.script, str(path), "exec"), vars(self.module))
        self.x, self.y, self.net = self.module.x, self.module.y, self.module.net
        self.epoch, self.first = 0, None
        self.lines, self.last = [], ""
        side = float(np.abs(self.x).max()) * 1.06
        self.side = math.ceil(10 * side) / 10 if recipe.data != "own" else 3.0
        line = np.linspace(-self.side, self.side, GRID)
        u, v = np.meshgrid(line, line[::-1])  # the first row of a picture is its upper one
        self.plane = np.stack([u.ravel(), v.ravel()], axis=1)  # (GRID * GRID, 2)

    # Training

    def train(self, steps, seconds=math.inf):
        """Do some steps, as many as fit into the time; return their losses and accuracies."""
        losses, accuracies = [], []
        end = time.perf_counter() + seconds
        for _ in range(steps):
            with np.errstate(all="ignore"):
                loss, p = self.module.step(self.x, self.y)
            loss = loss.item()
            accuracy = float(np.mean((p.data > 0.5) == (self.y > 0.5)))
            if self.first is None:
                self.first = loss
            if not math.isfinite(loss):
                raise Diverged(self.why_diverged(loss), losses, accuracies)
            losses.append(loss)
            accuracies.append(accuracy)
            if self.epoch % EVERY == 0:
                self.lines.append(f"Epoch {self.epoch}, Loss: {loss:.4f}, Accuracy: {accuracy:.4f}")
            self.epoch += 1
            self.last = f"{self.epoch} steps: loss {loss:.4f}, accuracy {accuracy:.4f}"
            if loss > GROWN * max(self.first, 0.1):
                raise Diverged(self.why_diverged(loss), losses, accuracies)
            if time.perf_counter() > end:
                break
        return losses, accuracies

    def why_diverged(self, loss):
        rate = self.recipe.rate
        what = (
            f"The loss grew from {self.first:.4g} to {loss:.4g}"
            if math.isfinite(loss)
            else f"The loss is {loss} (no number any more)"
        )
        text = f"{what} at step {self.epoch}: the learning rate {rate:g} is too large for this net."
        text += " Each update overshoots."
        if lower := self.find_lower_rate():
            text += f" Try a rate of {lower:g}."
        if not math.isfinite(loss):
            try:
                with np.errstate(all="ignore"):
                    self.module.step.find_nan(self.x, self.y)
            except rg.AnomalyError as error:
                where = error.fault.program_line or error.fault.function
                text += f" The first value that is none appears in: {where}"
        return text

    def find_lower_rate(self):
        """Return a tenth, a hundredth .. of the rate: the first that brings the loss down."""
        folder = Path(self.folder, "trial")
        folder.mkdir(exist_ok=True)
        rate = self.recipe.rate
        try:
            for _ in range(TRIED):
                rate /= 10
                other = Session(replace(self.recipe, rate=rate), folder)
                with np.errstate(all="ignore"):
                    losses = [other.module.step(other.x, other.y)[0].item() for _ in range(TRIAL)]
                if losses[-1] <= losses[0] and max(losses) < GROWN * max(losses[0], 0.1):
                    return rate
        finally:
            sys.modules["net"] = self.module
        return None

    # What is shown of the net

    def layers(self):
        return [getattr(self.net, f"fc{i}") for i in range(1, len(self.recipe.layers) + 2)]

    def forward(self, x):
        """Return the value of each unit, layer by layer, and what the net says: (n, 1)."""
        *hidden, last = self.layers()
        values = []
        for layer in hidden:
            x = APPLY[self.recipe.activation](layer(x))
            values.append(x)
        return values, F.sigmoid(last(x))

    def graph(self):
        """Return the loss as a Tensor, recorded call by call under the names of the program."""
        h = self.x
        *hidden, last = self.layers()
        for i, layer in enumerate(hidden, 1):
            z = rg.name(layer(h), f"fc{i}")
            h = APPLY[self.recipe.activation](z)
            if h is not z:
                rg.name(h, f"a{i}")
        p = rg.name(F.sigmoid(rg.name(last(h), f"fc{len(hidden) + 1}")), "p")
        for name, parameter in self.net.named_parameters():
            rg.name(parameter, name)
        return rg.name(self.module.criterion(p, self.y), "loss")

    def explain(self, place=None):
        """Explain the gradients at the present weights, perhaps with one element shown."""
        x, y = self.x, self.y  # noqa: F841, explain calls things as they are called here
        return rg.explain(self.graph(), at=place)

    def gradients(self):
        """Return the gradients at the present weights, those that the next step will use."""
        with np.errstate(all="ignore"):
            loss = self.graph()
            found = rg.autograd.grad(loss, list(self.net.parameters()))
        return dict(zip(dict(self.net.named_parameters()), found, strict=True))

    def picture(self):
        """Return the net at this epoch: numbers for JSON, and a byte for each pixel.

        The pixels are GRID x GRID for what the net says, from 0 (class 0) to 255 (class 1), then
        as many for each hidden unit: the middle is 0 (of a sigmoid 0.5), 255 its largest size on
        the plane. The last ones are what the net says once more, stretched as far as it goes
        about the middle: even of a net that is nearly undecided they tell where the border is.
        """
        with rg.no_grad(), np.errstate(all="ignore"):
            units, p = self.forward(rg.Tensor(self.plane))
        says = np.nan_to_num(p.data[:, 0])
        pixels, ranges = [np.rint(255 * says).astype(np.uint8)], []
        for values in units:
            data = np.nan_to_num(values.data)
            low, high = data.min(axis=0), data.max(axis=0)
            if self.recipe.activation == "sigmoid":
                low, high = np.zeros_like(low), np.ones_like(high)
            else:  # 0 is the middle
                high = np.maximum(np.abs(low), np.abs(high))
                low = -high
            spread = np.where(high > low, high - low, 1.0)
            part = np.where(high > low, (data - low) / spread, 0.5)  # of a dead unit the middle
            pixels.extend(np.rint(255 * part).astype(np.uint8).T)
            ranges.append(np.stack([low, high], axis=1).tolist())
        off = (says - 0.5) / max(np.abs(says - 0.5).max(), 1e-300)
        pixels.append(np.rint(127.5 + 127.5 * off).astype(np.uint8))
        gradients = self.gradients()
        weights = {
            name: {"value": _finite(parameter.data), "gradient": _finite(gradients[name].data)}
            for name, parameter in self.net.named_parameters()
        }
        return {"epoch": self.epoch, "weights": weights, "ranges": ranges}, b"".join(
            np.ascontiguousarray(p).tobytes() for p in pixels
        )


def _finite(array):
    """Return nested lists that JSON can hold: a run that diverges is drawn once more."""
    return np.nan_to_num(array).tolist()

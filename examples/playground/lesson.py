"""What the page asks of Python: train, show, explain. It runs in the worker, under Pyodide.

`answer(request)` takes a request as JSON and returns JSON and pixels; everything that goes wrong
comes back as a sentence in "error". It runs in any Python as well, which is how it is tested.
"""

import json
import math
import re
import sys

import numpy as np
from recipe import Recipe, RecipeError
from session import EVERY, GRID, Diverged, Session

NUDGE = 1e-4  # how far a weight is moved to see whether its gradient is right
SECTIONS = {
    "forward": "computes what the net says, and its loss",
    "backward": "goes back through the same calls with the gradient of the loss",
    "update": "moves each weight a little against its gradient",
}


class Lesson(Session):
    """A run that tells of its derived program and of its weights."""

    _readable = None

    # The program

    def readable(self):
        """Return the derived program as it is from the second step on."""
        if self._readable is None:
            other = Session(self.recipe, self.folder)  # a twin, so that this run stays where it is
            with np.errstate(all="ignore"):
                other.module.step(other.x, other.y)
                other.module.step(other.x, other.y)
            self._readable = other.module.step.readable()
            sys.modules["net"] = self.module
        return self._readable

    def arrays(self):
        """Return copies of what the program is given besides x and y, as they are now."""
        names = {name.replace(".", "_"): p.data for name, p in self.net.named_parameters()}
        now = self.module.step.readable().arrays() if self.epoch else {}
        found = {}
        for p in self.readable().parameters:
            if p.name in names:
                found[p.name] = names[p.name].copy()
            elif p.role in ("state", "count") and p.name not in now:
                found[p.name] = np.zeros(p.shape, p.dtype)  # as every optimizer here begins
            elif p.role != "argument":
                found[p.name] = _copy(now.get(p.name, p.value))
        return found

    def program(self):
        """Return the lines of the program, and the script that it is derived from."""
        readable = self.readable()
        rows = [
            {
                "text": row.text, "section": row.section, "depth": row.depth,
                "shape": "" if row.shape is None else str(row.shape),
                "origin": row.origin.number if row.origin.file else 0,
                "targets": row.targets,
            }
            for row in readable.rows
        ]  # fmt: skip
        return {"rows": rows, "source": readable.source, "sections": SECTIONS}

    def run_program(self):
        """Run the program line by line on copies; return for each line its names and values."""
        readable = self.readable()
        space = {"np": np, "x": self.x.copy(), "y": self.y.copy()}
        for part in readable.helpers:
            exec(part, space)
        space.update(self.arrays())
        found = [{} for _ in readable.rows]
        rows = list(readable.rows)
        start = 0
        while start < len(rows):
            end = start + 1
            if rows[start].text.rstrip().endswith("("):  # the head of a loop, over several lines
                while end < len(rows) and not rows[end].text.startswith(")"):
                    end += 1
                end += 1
            while end < len(rows) and rows[end].depth > rows[start].depth:
                end += 1
            block = rows[start:end]
            before = {name: _copy(space.get(name)) for row in block for name in row.writes}
            with np.errstate(all="ignore"):
                exec("\n".join("    " * (row.depth - 1) + row.text for row in block), space)
            for i, row in enumerate(block, start):
                names = [*row.writes] if row.depth > 1 and row.writes else [*row.targets]
                found[i] = {name: (before.get(name), _copy(space.get(name))) for name in names}
            start = end
        return found

    def line(self, number):
        """Tell of a line of the program: its values now, its rule, where it comes from."""
        readable = self.readable()
        if not 0 <= number < len(readable.rows):
            raise RecipeError("There is no such line in this program.")
        row = readable.rows[number]
        values = []
        for name, (before, after) in self.run_program()[number].items():
            value = {"name": name, "shape": _shape(after), "value": _show(after)}
            if before is not None and isinstance(after, np.ndarray):
                value["before"] = _show(before)
            values.append(value)
        script = self.script.splitlines()
        origin = row.origin.number if row.origin.file else 0
        return {
            "number": number, "text": row.text, "section": row.section,
            "says": SECTIONS.get(row.section, ""), "values": values[:4],
            "left": len(values[4:]), "rule": self.rule(row),
            "origin": origin, "origin_text": script[origin - 1].strip() if origin else "",
            "place": self.place([*row.targets, *row.writes]),
        }  # fmt: skip

    def rule(self, row):
        """Return what the library's rule says for a line, as `rg.explain` shows it."""
        if row.section == "update":
            return self.module.optimizer.__class__.__name__ + ", in NumPy: " + row.text
        wanted = {name.removeprefix("d_") for name in row.targets}
        for entry in self.explain().entries():
            if row.section == "forward":
                if entry.title.split(" = ")[0] in wanted:
                    rules = [f"to {s.to}: {' '.join(s.rule)}" for s in entry.sent if s.rule]
                    sends = "; backward it sends " + "; ".join(rules) if rules else ""
                    return f"{entry.title}{sends}"
                continue
            for sent in entry.sent:
                if sent.to.replace(".", "_") in wanted:
                    call = entry.title.split(" = ", 1)[-1]
                    notes = [note for note in sent.notes if note.startswith("past")]
                    return f"{call} sends to {sent.to}: " + "; ".join([*sent.rule, *notes])
        if row.section == "backward":
            return "a part of the lines below, which read it"
        return "no gradient passes here"

    def place(self, names):
        """Say where in the net something stands, in words and as parts of the picture."""
        parts, words = [], []
        last = len(self.recipe.layers) + 1
        for name in names:
            plain = name.removeprefix("d_")
            what = "the gradient of " if plain != name else ""
            if match := re.match(r"fc(\d+)_(weight|bias)", plain):
                layer = int(match[1])
                parts.append(f"{match[2]}{layer}")
                kind = "weights" if match[2] == "weight" else "biases"
                words.append(f"{what}the {kind} into {_layer(layer, last)}")
            elif match := re.fullmatch(r"(fc|a)(\d+)", plain):
                layer = int(match[2])
                parts.append(f"layer{layer}")
                kind = "before" if match[1] == "fc" else "after"
                words.append(f"{what}{_layer(layer, last)}, {kind} its activation")
            elif plain == "p":
                parts.append(f"layer{last}")
                words.append(f"{what}what the net says: the probability of class 1")
            elif plain == "loss":
                parts.append(f"layer{last}")
                words.append("the loss: one number for all points")
        return {"parts": [*dict.fromkeys(parts)], "words": [*dict.fromkeys(words)]}

    # A weight

    def weight(self, name, place):
        """Explain the gradient of one weight or bias, and try it: move it and see the loss."""
        parameters = dict(self.net.named_parameters())
        place = tuple(place)
        if name not in parameters or not _is_place(parameters[name].data, place):
            raise RecipeError(f"This net has no {name}{list(place)}.")
        data = parameters[name].data
        explanation = self.explain(place)
        loss = explanation.graph.roots[0].value
        value, gradient = float(data[place]), float(self.gradients()[name].data[place])
        data[place] = value + NUDGE
        try:
            moved = self.graph().item()
        finally:
            data[place] = value
        text = str(explanation)
        said = next(
            (
                "\n".join(["its rule: " + " ".join(sent.rule), *sent.notes])
                for entry in explanation.entries() for sent in entry.sent if sent.to == name
            ),
            "",
        )  # fmt: skip
        return {
            "name": f"{name}[{', '.join(map(str, place))}]", "value": value, "gradient": gradient,
            "said": said, "text": text, "nudge": NUDGE, "loss": float(loss),
            "expected": NUDGE * gradient, "changed": moved - float(loss),
        }  # fmt: skip


def _copy(value):
    return value.copy() if isinstance(value, np.ndarray) else value


def _layer(layer, last):
    return "the output" if layer == last else f"hidden layer {layer}"


def _is_place(data, place):
    return len(place) == data.ndim and all(
        0 <= i < n for i, n in zip(place, data.shape, strict=True)
    )


def _shape(value):
    return str(value.shape) if isinstance(value, np.ndarray) else "()"


def _show(value):
    """Write a value down; + 0 makes 0 of -0."""
    if isinstance(value, np.ndarray) and value.ndim:
        return np.array2string(
            value + 0, precision=6, threshold=40, edgeitems=3, max_line_width=200
        )
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


# Requests

_session = None
_folder = "."


def start(settings):
    """Begin the run of some settings."""
    global _session
    _session = Lesson(Recipe.read(settings), _folder)
    return {
        "x": _session.x.tolist(), "y": _session.y[:, 0].tolist(), "side": _session.side,
        "grid": GRID, "program": _session.program(), "script": _session.script,
    }  # fmt: skip


def train(steps, seconds):
    """Do some steps; of a run that diverges tell those that it did, and why there are no more."""
    found = {}
    try:
        losses, accuracies = _session.train(steps, seconds)
    except Diverged as error:
        losses, accuracies, found = error.losses, error.accuracies, {"error": str(error)}
    lines = [*_session.lines, _session.last]
    return {"losses": losses, "accuracies": accuracies, "lines": lines, **found}


def answer(request):
    """Answer a request: JSON in; JSON and pixels out."""
    request = json.loads(request)
    pixels, found = b"", {}
    try:
        kind = request["do"]
        if kind == "start":
            found = start(request["settings"])
        elif _session is None:
            raise RecipeError("Nothing has been started yet: choose settings first.")
        elif kind == "train":
            found = train(request["steps"], request.get("seconds", math.inf))
        elif kind == "line":
            found = _session.line(request["number"])
        elif kind == "weight":
            found = _session.weight(request["name"], request["place"])
        elif kind == "script":
            found = {"script": _session.recipe.write_script(request["steps"], EVERY)}
        else:
            raise RecipeError(f"Nothing here answers {kind!r}.")
        if kind in ("start", "train"):
            picture, pixels = _session.picture()
            found.update(picture)
    except RecipeError as error:
        found = {"error": str(error)}
    except Exception as error:
        found = {"error": f"Python stopped with {type(error).__name__}: {error}"}
    return json.dumps(found), pixels

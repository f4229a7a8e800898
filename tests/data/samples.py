"""Data sets that workers read: at the top of a module, where those that are spawned find them."""

import os
import random
import signal
import threading

import numpy as np

import retrograd as rg

BESIDE = np.random.default_rng(0)


class Squares:
    """Dicts of a row and a number."""

    def __init__(self, count=12):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {"row": np.full((2, 3), index, np.float32), "square": index * index}


class Drawing(Squares):
    """Draws by every generator there is."""

    def __init__(self, count=12):
        super().__init__(count)
        self.steps = [{"rng": np.random.default_rng(0)}, random.Random(0)]
        self.legacy = np.random.RandomState(0)
        self.other = np.random.Generator(np.random.MT19937(0))

    def __getitem__(self, index):
        return index, np.array(
            [
                rg.random.generator().random(),
                self.steps[0]["rng"].random(),
                self.steps[1].random(),
                self.other.random(),
                random.random(),
                np.random.random(),  # noqa: NPY002
                self.legacy.random(),
                BESIDE.random(),
            ]
        )


class TwoWordsError(Exception):
    """Cannot be made from its message alone, and so not be unpickled."""

    def __init__(self, first, second):
        super().__init__(first + second)


class Faulty(Squares):
    """Does at one index what it is told to."""

    def __init__(self, fault, at=7, count=12):
        super().__init__(count)
        self.fault, self.at = fault, at

    def __getitem__(self, index):
        if index == self.at:
            if self.fault == "raise":
                raise FileNotFoundError(2, "no such picture", "7.png")
            if self.fault == "raise two":
                raise TwoWordsError("broken ", "picture")
            if self.fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "exit":
                os._exit(3)
            if self.fault == "hang":
                threading.Event().wait(60)
            if self.fault == "graph":
                return rg.Tensor(1.0, requires_grad=True) * index
            if self.fault == "function":
                return lambda: index
        return rg.Tensor(float(index)) if self.fault == "graph" else float(index)


class HangsAndIsKilled(Squares):
    """The worker of the first batch waits, that of the second one is killed."""

    def __getitem__(self, index):
        if index == 0:
            threading.Event().wait(60)
        os.kill(os.getpid(), signal.SIGKILL)


class Makes(Squares):
    """Tensors of the default dtype."""

    def __getitem__(self, index):
        return rg.Tensor([float(index)])


def first_of(samples):
    """Return the first sample as a batch."""
    return samples[0]


def row_and_sum(samples):
    """Return the rows of `Drawing`, and their sums as targets."""
    x = np.stack([row for _, row in samples])
    return x, x.sum(axis=1, keepdims=True)

"""Buckets: small parameters that are updated together, as one array.

A NumPy call costs about as much for ten numbers as for a thousand. An update of many small
parameters therefore runs on one array, of which theirs are views.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retrograd.engine import Array, Tensor, complex_of, stamps, touch
from retrograd.rules.joining import concat

# What an optimizer keeps of a parameter or of a bucket, by name.
State = dict[str, Any]
# The state that an optimizer needs, each with its first value.
Slots = Mapping[str, float]

# Parameters up to this many elements share an array. Joining the gradients of larger ones would
# cost more than it saves.
SMALL = 16384
_ndarray = np.ndarray


def cut(flat: Array, params: Sequence[Tensor]) -> list[Array]:
    """Return each parameter's part of an array that belongs to all of them, in its shape.

    Args:
        flat: the array of a bucket, or one number (shape `()`), which is whole in every part. Of
            complex parameters it has the real and the imaginary part of each number.
        params: the parameters of the bucket, in order.
    """
    if params[0].dtype.kind == "c" and flat.ndim:
        flat = flat.view(complex_of(flat.dtype))
        if len(params) == 1:
            return [flat.reshape(params[0].shape)]
    if len(params) == 1 or not flat.ndim:
        return [flat] * len(params)
    parts = np.split(flat, np.cumsum([p.size for p in params[:-1]]))
    return [part.reshape(p.shape) for part, p in zip(parts, params, strict=True)]


def as_reals(array: Any) -> Any:
    """Return complex numbers as a vector of their parts, in turn; of an array in its memory."""
    if isinstance(array, Tensor):
        return np.stack([np.real(array), np.imag(array)], axis=-1).reshape(-1)
    return np.ascontiguousarray(array).reshape(-1).view(array.real.dtype)


def bucket_of(params: list[Tensor]) -> Bucket:
    """Return a bucket of parameters of one dtype."""
    return (ComplexBucket if params[0].dtype.kind == "c" else Bucket)(params)


class Bucket:
    """Parameters that are updated as one array, with the state of that update.

    Args:
        params: Tensors of one dtype, whose arrays become views of the bucket's.

    Attributes:
        dtype: that of the parameters.
        data: the array: flat, or that of the parameter where there is only one.
        state: for each slot an array like `data`, or one number (shape `()`).
        count: how many updates there were.
        stamps: tell when the memory of each parameter was last written.
    """

    def __init__(self, params: list[Tensor]) -> None:
        self.params = params
        self.count = 0
        self.state: dict[str, Array] = {}
        self._copies: list[Array] = []
        self.gather()

    def gather(self) -> None:
        """Make `data` of the parameters' arrays: at first, and after one was replaced."""
        self.data = self.join([p._array for p in self.params])
        self.dtype = self.params[0].dtype
        views = cut(self.data, self.params)
        self._views = list(zip(self.params, views, strict=True))
        for p, view in self._views:
            p._array = view
        self.stamps = stamps(self.params)

    def join(self, arrays: Sequence[Any]) -> Any:
        """Return arrays or Tensors, one for each parameter, as one like `data`."""
        if len(arrays) == 1:
            return arrays[0]
        if isinstance(arrays[0], Tensor):
            return concat(*arrays, axis=None)
        return np.concatenate(arrays, axis=None)

    def is_current(self) -> bool:
        """Tell whether the parameters' arrays are the views that `gather` made of them."""
        return all(p._array is view for p, view in self._views)

    def gradient(self) -> Any:
        """Return the gradients as one array, or None where that takes more than joining them."""
        parts = []
        for p, view in self._views:
            g = p._grad
            if g.__class__ is not _ndarray or p._array is not view:
                return None
            parts.append(g.ravel())  # which np.concatenate(..., axis=None) does more slowly
        return np.concatenate(parts) if len(parts) > 1 else g

    def back_up(self) -> None:
        """Copy the array, the state and the count, for `put_back`."""
        if not self.is_current():
            self.gather()
        arrays = [self.data, *self.state.values()]
        if [(a.shape, a.dtype) for a in self._copies] != [(a.shape, a.dtype) for a in arrays]:
            self._copies = [np.empty_like(a) for a in arrays]
        for copy, array in zip(self._copies, arrays, strict=True):
            np.copyto(copy, array)
        self._count_then = self.count

    def is_finite(self) -> bool:
        """Tell whether all values are finite."""
        flat = self.data.ravel()
        # The sum of squares takes one pass and no array; it may overflow.
        return math.isfinite(flat.dot(flat)) or bool(np.isfinite(flat).all())

    def copies(self) -> dict[int, Array]:
        """Return the value that each parameter had at the last `back_up`, by its id."""
        parts = cut(self._copies[0], self.params)
        return {id(p): part for p, part in zip(self.params, parts, strict=True)}

    def put_back(self) -> None:
        """Put back what `back_up` copied, in place."""
        data, *state = self._copies
        for p, old in zip(self.params, cut(data, self.params), strict=True):
            p._array[...] = old
        for array, old in zip(self.state.values(), state, strict=False):
            array[...] = old
        self.count = self._count_then
        touch(*self.params)

    def retire(self) -> None:
        """Let programs that are compiled over this bucket hold no longer: they check `data`."""
        self.data = self.data[:0]

    def add_slots(self, slots: Slots, scalars: Sequence[str]) -> None:
        """Begin the state of slots that are not there yet; those in `scalars` are one number."""
        for slot, first in slots.items():
            if slot not in self.state:
                shape = () if slot in scalars else None
                self.state[slot] = np.full_like(self.data, first, shape=shape)

    def fill(self, slots: Slots, scalars: Sequence[str], entries: Mapping[int, State]) -> None:
        """Take the count and the state of each parameter from `entries`, by ids of parameters.

        What is not in there has its first value.
        """
        found = [entries.get(id(p), {}) for p in self.params]
        self.count = found[0].get("step", 0)
        self.add_slots(slots, scalars)
        for slot, first in slots.items():
            start = first if slot in scalars else self.both(first)
            for piece, entry in zip(cut(self.state[slot], self.params), found, strict=True):
                piece[...] = entry.get(slot, start)

    def both(self, first: float) -> Any:
        """Return the first value of a slot as one of an element of a parameter."""
        return first

    def entries(self) -> dict[int, State]:
        """Return the count and a copy of the state of each parameter, by its id."""
        parts = {slot: cut(flat, self.params) for slot, flat in self.state.items()}
        return {
            id(p): {"step": self.count, **{slot: each[i].copy() for slot, each in parts.items()}}
            for i, p in enumerate(self.params)
        }


class ComplexBucket(Bucket):
    """Complex parameters, updated as real numbers: each real and each imaginary part by itself.

    Its `data` is the memory of the parameters as such; so is that of its state.
    """

    def join(self, arrays: Sequence[Any]) -> Any:
        joined = super().join(arrays)
        if isinstance(joined, Tensor):
            return as_reals(joined)
        # made as reals, so that these own the memory: exported programs have views of the owner
        flat = np.empty(2 * joined.size, joined.real.dtype)
        flat.view(joined.dtype)[...] = joined.reshape(-1)
        return flat

    def gradient(self) -> Any:
        found = super().gradient()
        return None if found is None else as_reals(found)

    def both(self, first: float) -> Any:
        return complex(first, first)


class Buckets:
    """The buckets of one param group.

    They change only where they must, since compiled programs are made over their arrays: where a
    state is loaded, a parameter has another dtype, or some have a gradient and others do not.

    Args:
        scalars: the slots that are one number for a parameter, as in `Optimizer.scalars`.
        elementwise: whether parameters may share a bucket, as in `Optimizer.elementwise`.
    """

    def __init__(self, scalars: Sequence[str] = (), elementwise: bool = True) -> None:
        self.scalars = scalars
        self._small = SMALL if elementwise else -1
        self._buckets: list[Bucket] = []
        self._buckets_then: list[Bucket] = []  # at the last `back_up`

    def arrange(self, params: Sequence[Tensor], slots: Slots, entries: Mapping[int, State]) -> None:
        """Put parameters into buckets, with the state that `entries` has by their ids.

        Parameters share a bucket if they are small and of one dtype and have the same count and
        the same scalar state. Buckets that hold the right parameters already stay.
        """
        together: dict[Any, list[Tensor]] = {}
        for p in params:
            entry = entries.get(id(p), {})
            numbers = [float(entry.get(slot, 0)) for slot in ("step", *self.scalars)]
            key = (p.dtype, *numbers) if p.size <= self._small else id(p)
            together.setdefault(key, []).append(p)
        old = {tuple(map(id, bucket.params)): bucket for bucket in self._buckets}
        made = []
        for members in together.values():
            ids = tuple(map(id, members))
            bucket = old.pop(ids) if ids in old else bucket_of(members)
            bucket.fill(slots, self.scalars, entries)
            made.append(bucket)
        self._buckets = made
        for bucket in old.values():
            bucket.retire()

    def gradients(self, slots: Slots) -> list[tuple[Bucket, Any]]:
        """Return the buckets that have gradients, each with its gradient as one array."""
        found = []
        for bucket in self._buckets:
            g = bucket.gradient()
            # a slot may be missing, since an option was changed after the last step
            if g is None or (slots and not slots.keys() <= bucket.state.keys()):
                return self.rearrange(slots)
            found.append((bucket, g))
        return found

    def rearrange(self, slots: Slots) -> list[tuple[Bucket, Any]]:
        """Make the buckets fit the gradients that are there, and return what `gradients` does.

        In a recording, which must see the gradients, they are Tensors.
        """
        return [(bucket, bucket.join(grads)) for bucket, grads in self.parts(slots)]

    def parts(self, slots: Slots) -> list[tuple[Bucket, list[Any]]]:
        """Do what `rearrange` does, and return the gradient of each parameter by itself."""
        for bucket in [*self._buckets]:
            have = {p.grad is not None for p in bucket.params}
            dtypes = {p.dtype for p in bucket.params}
            if len(have) > 1 or (True in have and dtypes != {bucket.dtype}):
                self._part(bucket, slots)
        found: list[tuple[Bucket, list[Any]]] = []
        for bucket in self._buckets:
            bucket.add_slots(slots, self.scalars)
            grads = [p.grad for p in bucket.params]
            if grads[0] is None:
                continue
            if not bucket.is_current():
                bucket.gather()
            found.append((bucket, grads))
        return found

    def _part(self, bucket: Bucket, slots: Slots) -> None:
        """Put others in the place of a bucket: by dtype, and by who has a gradient."""
        parts: dict[Any, list[Tensor]] = {}
        for p in bucket.params:
            parts.setdefault((p.dtype, p._grad is None), []).append(p)
        entries, at = bucket.entries(), self._buckets.index(bucket)
        made = [bucket_of(params) for params in parts.values()]
        for each in made:
            each.fill(slots, self.scalars, entries)
        self._buckets[at : at + 1] = made
        bucket.retire()

    def back_up(self) -> None:
        """Copy the values of all parameters and their state, for `put_back`."""
        self._buckets_then = [*self._buckets]
        for bucket in self._buckets:
            bucket.back_up()

    def spoiled(self) -> list[Tensor]:
        """Return the parameters that were finite at the last `back_up` and are not any more."""
        suspects = [p for b in self._buckets if not b.is_finite() for p in b.params]
        if not suspects:
            return []
        before = {key: old for b in self._buckets_then for key, old in b.copies().items()}
        return [p for p in suspects if (np.isfinite(before[id(p)]) & ~np.isfinite(p._array)).any()]

    def put_back(self, slots: Slots) -> None:
        """Put back what `back_up` copied, in place; buckets that were made since go."""
        for bucket in self._buckets_then:
            bucket.put_back()
        if self._buckets != self._buckets_then:
            entries = {k: e for b in self._buckets_then for k, e in b.entries().items()}
            params = [p for bucket in self._buckets_then for p in bucket.params]
            self.arrange(params, slots, entries)

    def entries(self) -> dict[int, State]:
        """Return the state of each parameter that was ever updated, by its id."""
        return {
            key: entry
            for bucket in self._buckets
            if bucket.count
            for key, entry in bucket.entries().items()
        }

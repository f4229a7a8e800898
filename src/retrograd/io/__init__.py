"""State in files: `.npz` and `.safetensors`, never pickles.

A dict of arrays becomes a file of just these, for any program to open. Anything nested has JSON
beside its arrays that tells how to put them together.
"""

from retrograd.io.saving import load, save
from retrograd.later import public_names

__all__ = ["load", "save"]

__dir__ = public_names(__name__)

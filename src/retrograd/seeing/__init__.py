"""Seeing: the recorded graph and its gradients, for people to read.

1. `graph`: the graph as data, with what each call sends back to its arguments;
2. `names`: what a value is called.
"""

from retrograd.later import public_names
from retrograd.seeing.graph import Argument, Graph, Node
from retrograd.seeing.names import Names, label, name, user_frames

__all__ = ["Argument", "Graph", "Names", "Node", "label", "name", "user_frames"]

__dir__ = public_names(__name__)

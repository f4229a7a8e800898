"""Seeing: the recorded graph and its gradients, for people to read.

1. `graph`: the graph as data, with what each call sends back to its arguments;
2. `names`: what a value is called;
3. `folding`: which calls are one thing to a reader, of a Module or of a loop.
"""

from retrograd.later import public_names
from retrograd.seeing.folding import Group, fold
from retrograd.seeing.graph import Argument, Graph, Node
from retrograd.seeing.names import Names, label, name, user_frames

__all__ = ["Argument", "Graph", "Group", "Names", "Node", "fold", "label", "name", "user_frames"]

__dir__ = public_names(__name__)

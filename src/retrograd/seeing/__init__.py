"""Seeing: the recorded graph and its gradients, for people to read.

1. `graph`: the graph as data, with what each call sends back to its arguments;
2. `names`: what a value is called;
3. `folding`: which calls are one thing to a reader, of a Module or of a loop;
4. `drawing`: a picture, by way of a `diagram` (of a graph: `graph_diagram`, of a compiled step:
   `program_diagram`), of which `opening` says what is shown, `layout` and `layers` where, and
   `svg` how;
5. `explanation`: what each call sends back and why, in words (`formulas` finds what a rule says,
   `numbers` and `calls` write numbers and calls, `entries` what there is to say, `pages` the text);
6. `profiling`: what takes the time and the memory.
"""

from retrograd.later import public_names
from retrograd.seeing.drawing import Drawing, draw
from retrograd.seeing.explanation import Explanation, explain
from retrograd.seeing.folding import Group, fold
from retrograd.seeing.graph import Argument, Graph, Node
from retrograd.seeing.names import Names, label, name, user_frames
from retrograd.seeing.profiling import ProfileRow, profile

__all__ = [
    "Argument", "Drawing", "Explanation", "Graph", "Group", "Names", "Node", "ProfileRow", "draw",
    "explain", "fold", "label", "name", "profile", "user_frames",
]  # fmt: skip

__dir__ = public_names(__name__)

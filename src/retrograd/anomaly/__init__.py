"""The first nan: where it is born, what usually causes it, and what to write instead.

1. `cures`: the usual causes, by function;
2. `faults`: what was found at a place, and how it is told;
3. `watch`: a context that looks at all that is computed.
"""

from retrograd.anomaly.faults import AnomalyError, Fault
from retrograd.anomaly.watch import detect_anomaly
from retrograd.later import public_names

__all__ = ["AnomalyError", "Fault", "detect_anomaly"]

__dir__ = public_names(__name__)

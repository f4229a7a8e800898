"""Write values and derivatives of special functions, computed with 100 digits.

Run:    python tests/golden/make_special.py     (needs mpmath; the tests do not)
Writes: special.json beside it, one case a line: a function of `rg.special`, the parameters before
        its last argument, that argument, and there the value, the slope and the second derivative.
"""

import json
from pathlib import Path

import mpmath as mp

mp.mp.dps = 100
HERE = Path(__file__).parent


def share_of_gamma(lower, a, x):
    return mp.gammainc(a, 0, x, regularized=True) if lower else mp.gammainc(a, x, regularized=True)


FUNCTIONS = {
    "i0": lambda x: mp.besseli(0, x),
    "i0e": lambda x: mp.exp(-abs(x)) * mp.besseli(0, x),
    "i1": lambda x: mp.besseli(1, x),
    "i1e": lambda x: mp.exp(-abs(x)) * mp.besseli(1, x),
    "k0": lambda x: mp.besselk(0, x),
    "k1": lambda x: mp.besselk(1, x),
    "iv": mp.besseli,
    "ive": lambda v, x: mp.exp(-abs(x)) * mp.besseli(v, x),
    "jv": mp.besselj,
    "gammainc": lambda a, x: share_of_gamma(True, a, x),
    "gammaincc": lambda a, x: share_of_gamma(False, a, x),
    "beta": mp.beta,
    "betainc": lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True),
    "zeta": mp.zeta,
}
REAL = [-30.0, -2.5, -0.1, 0.25, 1.5, 7.0, 24.0, 80.0]
ABOVE = [0.001, 0.3, 1.0, 2.5, 11.0, 17.5, 19.0, 60.0]
SHARES = [0.001, 0.2, 0.5, 0.85, 0.99]
CASES = [
    *(("i0", [], REAL), ("i0e", [], REAL), ("i1", [], REAL), ("i1e", [], REAL)),
    *(("k0", [], ABOVE), ("k1", [], ABOVE)),
    *(("iv", [v], ABOVE) for v in (0.5, 2.0, 3.75, 12.0)),
    *(("ive", [v], ABOVE) for v in (0.5, 3.0, 40.0)),
    *(("jv", [v], ABOVE) for v in (0.0, 1.0, 0.5, 3.75, 12.0)),
    *((name, [a], ABOVE) for name in ("gammainc", "gammaincc") for a in (0.3, 1.0, 4.5, 15.0)),
    *(("beta", [a], ABOVE[1:5]) for a in (0.3, 2.0, 5.5)),
    *(("betainc", [a, b], SHARES) for a, b in ((0.5, 0.5), (2.0, 3.5), (30.0, 4.0))),
    *(("zeta", [x], ABOVE[1:]) for x in (1.5, 2.0, 7.25)),
]


def main():
    lines = []
    for name, parameters, points in CASES:
        for x in points:

            def f(t, name=name, parameters=parameters):
                return FUNCTIONS[name](*map(mp.mpf, parameters), t)

            found = [f(mp.mpf(x)), mp.diff(f, mp.mpf(x)), mp.diff(f, mp.mpf(x), 2)]
            lines.append(json.dumps([name, parameters, x, [float(v) for v in found]]))
    (HERE / "special.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()

"""The results as one picture: the works, and how a step's time grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONTROL = "NumPy by hand"
COLORS = {
    CONTROL: "#333333",
    "NumPy floor (out=)": "#999999",
    "retrograd eager": "#f4a261",
    "retrograd compiled": "#d1495b",
    "retrograd compiled model": "#e58a8f",
    "PyTorch eager": "#3a7ca5",
    "torch.compile": "#81b8d6",
    "JAX jit": "#4d9b6a",
    "autograd": "#8e6bbf",
    "MyGrad": "#b8a04a",
}
MARKERS = dict(zip(COLORS, "os^D<pvP*X", strict=True))


def bars(axes: Any, work: dict[str, Any]) -> None:
    """Draw microseconds a step of one work, a bar for each row, the control as a line."""
    rows = work["rows"]
    names = list(rows)[::-1]
    medians = [rows[name]["median"] for name in names]
    axes.barh(names, medians, color=[COLORS.get(name, "#777777") for name in names])
    for place, (name, median) in enumerate(zip(names, medians, strict=True)):
        text = f" {median:,.0f} us, {rows[name]['ratio']:.2f}x"
        axes.text(median, place, text, va="center", fontsize=8)
    axes.axvline(rows[CONTROL]["median"], color=COLORS[CONTROL], linestyle=":", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(min(medians) / 2, max(medians) * 8)
    axes.set_title(work["title"], fontsize=9)
    axes.set_xlabel("microseconds a step, median (times the control)")
    axes.tick_params(axis="y", labelsize=8)


def growth(axes: Any, axis: str, points: dict[str, Any], middle: dict[str, int]) -> None:
    """Draw how each row's time grows along one measure of the net."""
    values = [int(value) for value in points]
    for name in dict.fromkeys(name for rows in points.values() for name in rows):
        medians = [rows.get(name, {}).get("median", float("nan")) for rows in points.values()]
        marker = MARKERS.get(name, "o")
        axes.plot(values, medians, marker=marker, color=COLORS.get(name), label=name)
    rest = ", ".join(f"{key} {value}" for key, value in middle.items() if key != axis)
    axes.set_title(f"Growth with {axis} ({rest})", fontsize=9)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(values, [str(value) for value in values])
    axes.set_xlabel({"width": "hidden units", "depth": "hidden layers"}.get(axis, "batch size"))
    axes.set_ylabel("microseconds a step")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def draw(results: dict[str, Any], path: Path) -> bool:
    """Write the picture to `path`; return whether there was anything to draw and matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    by_threads = results.get("steps", {})
    threads = "1" if "1" in by_threads else next(iter(by_threads), None)
    works = list(by_threads[threads].values()) if threads else []
    scaled = results.get("scaling", {"axes": {}, "middle": {}})
    panels = len(works) + len(scaled["axes"])
    if not panels:
        return False
    columns = 2 if panels <= 4 else 4
    lines = -(-panels // columns)
    figure, grid = pyplot.subplots(
        lines, columns, figsize=(5.2 * columns, 3.9 * lines), squeeze=False, layout="constrained"
    )
    places = iter(grid.flat)
    for work in works:
        bars(next(places), work)
    for axis, points in scaled["axes"].items():
        growth(next(places), axis, points, scaled["middle"])
    for unused in places:
        unused.set_axis_off()
    setting = "one BLAS thread" if threads in ("1", None) else "default threads"
    facts = results["machine"]
    figure.suptitle(f"A training step: {setting}, {facts['cpu']}, NumPy {facts['numpy']}")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True

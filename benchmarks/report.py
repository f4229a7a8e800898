"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Results = dict[str, Any]


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, its first column to the left."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *body)] + [""]


def number(value: float | None) -> str:
    """Return `value` with three digits that count, or a dash for none."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine(facts: Results) -> list[str]:
    """Return what the numbers were measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["peers"].items())
    lines = [
        f"{facts['cpu']} ({facts['cores']} cores), {facts['system']}; Python {facts['python']}, "
        f"NumPy {facts['numpy']} with {facts['blas']}.",
        "",
        f"Measured: {versions}.",
    ]
    if facts["not_installed"]:
        lines.append(f"Not installed: {', '.join(facts['not_installed'])}.")
    return [*lines, ""]


def steps(by_threads: Results) -> list[str]:
    """Return a table of microseconds a step for each work and setting of threads."""
    lines = []
    for threads, works in by_threads.items():
        setting = "one BLAS thread" if threads == "1" else "default threads"
        for work in works.values():
            lines += [f"### {work['title']}: {setting}", ""]
            head = ["row", "us a step", "quartiles", "to NumPy by hand", "to PyTorch eager"]
            body = [
                [
                    name,
                    number(row["median"]),
                    f"{number(row['q1'])} to {number(row['q3'])}",
                    f"{row['ratio']:.2f}",
                    f"{row['ratio_torch']:.2f}" if "ratio_torch" in row else "-",
                ]
                for name, row in work["rows"].items()
            ]
            lines += table(head, body)
            lines += not_timed(work)
    return lines


def calls(result: Results) -> list[str]:
    """Return the microseconds a recorded call takes over raw NumPy."""
    rows, columns = result["shape"]
    operations = result["operations"]
    names = next(iter(operations.values()))
    head = ["us a call over raw NumPy", *operations]
    body = []
    for name in names:
        key = "median" if name == "NumPy" else "over_numpy"
        cells = [number(operations[operation][name][key]) for operation in operations]
        body.append([f"{name} (the call itself)" if key == "median" else name, *cells])
    return [f"### Recording a call on {rows}x{columns} float64", "", *table(head, body)]


def chain(result: Results) -> list[str]:
    """Return the nanoseconds a node of a chain, at the greatest length each peer survives."""
    head = ["ns a node", "calls", "forward", "backward", "drop", "drop unwalked", "beyond"]
    body = []
    for peer, by_length in result.items():
        survived = [length for length, row in by_length.items() if "failed" not in row]
        failed = [f"{int(n):,}: {r['failed']}" for n, r in by_length.items() if "failed" in r]
        row = by_length[survived[-1]] if survived else {}
        keys = ("forward", "backward", "drop", "drop_unwalked")
        cells = [number(row.get(key)) for key in keys]
        length = f"{int(survived[-1]):,}" if survived else "-"
        body.append([peer, length, *cells, "; ".join(failed) or "-"])
    return ["### A chain of calls", "", *table(head, body)]


def imports(result: Results) -> list[str]:
    """Return import times over NumPy and installed sizes."""
    head = ["package", "import over NumPy, ms", "installed, KB", "wheel, KB"]
    body = [
        [
            name,
            number(row["import_ms"]),
            number(row["installed"] / 1e3),
            number(row["wheel"] / 1e3) if "wheel" in row else "-",
        ]
        for name, row in result.items()
    ]
    note = (
        "Sizes are without dependencies (jax with jaxlib) and byte code; "
        "the wheel is the package's files deflated as a wheel stores them."
    )
    return ["### Import and size", "", *table(head, body), note, ""]


def first_call(result: Results) -> list[str]:
    """Return the milliseconds of the first steps of each compiler."""
    head = ["the record's step, ms", "first call", "second", "third", "fourth", "fifth"]
    body = []
    for name, row in result.items():
        if "failed" in row:
            body.append([name, row["failed"], *["-"] * 4])
        else:
            body.append([name, *map(number, row["milliseconds"])])
    return ["### First call (compilation included, imports not)", "", *table(head, body)]


def memory(result: Results) -> list[str]:
    """Return the peaks of memory of the larger net's step."""
    head = ["larger net, peak MiB", "first call", "later calls", "whole process"]
    keys = ("first_call_mib", "later_calls_mib", "process_mib")
    body = []
    for name, row in result.items():
        cells = [row["failed"], "-", "-"] if "failed" in row else [number(row[key]) for key in keys]
        body.append([name, *cells])
    note = (
        "First and later calls: arrays and objects by tracemalloc, weights and buffers included, "
        "batches not. Whole process: ru_maxrss."
    )
    return ["### Peak memory", "", *table(head, body), note, ""]


def scaling(result: Results) -> list[str]:
    """Return microseconds a step as the net grows in width, depth and batch."""
    middle = ", ".join(f"{name} {value}" for name, value in result["middle"].items())
    lines = [f"### Growth of the step (32-...-10, momentum; otherwise {middle})", ""]
    for axis, points in result["axes"].items():
        names = list(dict.fromkeys(name for rows in points.values() for name in rows))
        head = [f"us a step, {axis}", *points]
        body = [
            [name, *(number(rows.get(name, {}).get("median")) for rows in points.values())]
            for name in names
        ]
        lines += table(head, body)
    return lines


def hamiltonian(result: Results) -> list[str]:
    """Return microseconds a step of a net whose step makes a leaf and differentiates by it."""
    body = [
        [name, number(row["median"]), f"{row['ratio']:.2f}"] for name, row in result["rows"].items()
    ]
    programs = f"{result['programs']} program" + "s" * (result["programs"] != 1)
    lines = ["### A Hamiltonian net, 64x2-32-32-1, float64, Adam: a leaf made inside", ""]
    lines += table(["row", "us a step", "to retrograd eager"], body)
    lines += [f"All calls of the compiled step ran {programs}.", ""]
    return lines + not_timed(result)


def compiled_model(result: Results) -> list[str]:
    """Return microseconds a step of nets that are compiled in a loss that is not."""
    body = [
        [net, row, number(taken["median"]), f"{taken['ratio']:.2f}"]
        for net, rows in result["nets"].items()
        for row, taken in rows.items()
    ]
    lines = ["### A compiled model in an eager loss: 64 points, float64, Adam", ""]
    lines += table(["net", "row", "us a step", "to eager"], body)
    return lines + not_timed(result)


def not_timed(result: Results) -> list[str]:
    """Return the rows of a part that were not timed, and why."""
    reasons = "; ".join(f"{row}: {why}" for row, why in result["not_timed"].items())
    return [f"Not timed: {reasons}.", ""] if reasons else []


SECTIONS = {
    "steps": steps,
    "calls": calls,
    "chain": chain,
    "imports": imports,
    "first_call": first_call,
    "memory": memory,
    "scaling": scaling,
    "hamiltonian": hamiltonian,
    "compiled_model": compiled_model,
}


def markdown(results: Results) -> str:
    """Return the whole report."""
    lines = ["# Benchmarks", "", *machine(results["machine"])]
    lines += ["One BLAS thread unless a heading says otherwise; medians of interleaved rounds.", ""]
    for name, section in SECTIONS.items():
        if name in results:
            lines += section(results[name])
    return "\n".join(lines).rstrip() + "\n"

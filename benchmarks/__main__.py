"""Measure, print the tables, write `results.md`, `results.json` and `results.png`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import chart, machine, report
from benchmarks.process import Failed, call_in_process
from benchmarks.works import WORKS

HERE = Path(__file__).resolve().parent
SETTINGS = {"1": ["1"], "default": ["default"], "both": ["1", "default"]}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options, with what `--quick` leaves unsaid filled in."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--work", nargs="+", choices=WORKS, default=list(WORKS), metavar="NAME")
    parser.add_argument(
        "--part",
        nargs="+",
        choices=report.SECTIONS,
        default=list(report.SECTIONS),
        metavar="PART",
        help=f"what to measure: {', '.join(report.SECTIONS)} (all by default)",
    )
    parser.add_argument("--rounds", type=int, help="interleaved rounds (default 40)")
    parser.add_argument("--seconds", type=float, help="time for all rounds of a work (default 40)")
    parser.add_argument("--output", type=Path, default=HERE / "results", metavar="DIR")
    parser.add_argument("--threads", choices=SETTINGS, default="both", help="threads of BLAS")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: a trial run")
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = 3 if options.quick else 40
    if options.seconds is None:
        options.seconds = 1.0 if options.quick else 40.0
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds must be at least 1 and --seconds more than 0")
    return options


def say(message: str) -> None:
    """Print progress where it does not mix with the tables."""
    print(message, file=sys.stderr, flush=True)


def time_steps(options: argparse.Namespace) -> dict[str, Any]:
    """Return the main tables: each work, at each setting of threads, in a process of its own."""
    by_threads: dict[str, Any] = {}
    for threads in SETTINGS[options.threads]:
        by_threads[threads] = {}
        for work in options.work:
            say(f"steps: {work}, threads {threads}")
            asked = {"work": [work], "rounds": options.rounds, "seconds": options.seconds}
            by_threads[threads] |= call_in_process("steps:run", asked, threads)
    return by_threads


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the results of every part asked for; all but `steps` use one thread."""
    results: dict[str, Any] = {"machine": machine.describe()}
    asked = {
        "quick": options.quick,
        "rounds": min(options.rounds, 15),
        "seconds": options.seconds / 4,
    }
    for part in options.part:
        if part == "steps":
            results[part] = time_steps(options)
        else:
            say(part.replace("_", " "))
            results[part] = call_in_process(f"{part}:run", asked, "1")
    results["options"] = {"rounds": options.rounds, "seconds": options.seconds}
    return results


def main() -> int:
    """Run what the command line asks for."""
    options = parse()
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        results = measure(options)
    except Failed as failure:
        say(f"benchmarks: {failure}")
        return 1
    text = report.markdown(results)
    (options.output / "results.md").write_text(text)
    (options.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    if not chart.draw(results, options.output / "results.png"):
        say("no chart: it needs matplotlib and a timed work")
    print(text, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

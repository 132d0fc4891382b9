"""Compare this grader with others and with the floor, on this machine: `make bench`.

    python -m benchmarks [--only PART ...] [--long]

Parts: graders (this grader, otter-grader, nbgrader, a fresh kernel), floors, memory, sandboxes, cold_start, flat. Each
grader must give every submission full marks, or the run ends with an error. Results are printed, and written to
benchmarks/results/DATE-MACHINE.json and .md; with --only, the other parts of today's file stay as they are. No test
depends on these figures.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.assignment import CHAPTER_7, DEFINITIONS, path_of
from benchmarks.batches import most_memory, timed
from benchmarks.cold_start import cold_starts
from benchmarks.fresh_kernel import FreshKernel
from benchmarks.peers.environments import NBGRADER, OTTER
from benchmarks.peers.nbgrader import Nbgrader
from benchmarks.peers.otter import Otter
from benchmarks.peers.ours import Ours
from benchmarks.sandboxes import first_answers, memory_of_sandboxes
from benchmarks.tables import markdown
from grader.assignment import find_assignment

RESULTS = Path(__file__).parent / "results"
SIZES = (1, 10, 30)
_RUNS = 20
_SHARED = ["torch", "torchvision", "d2l", "numpy", "nbclient", "ipykernel"]


def main() -> None:
    """Run the chosen parts, print their results and save them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; may be given several times")
    parser.add_argument("--long", action="store_true", help="a class of 1,000 as well")
    arguments = parser.parse_args()
    file = RESULTS / f"{date.today().isoformat()}-{platform.node()}.json"
    results: dict[str, Any] = {"machine": {}, "parts": {"ran": {}}}
    if arguments.only and file.exists():
        results = json.loads(file.read_text("utf-8"))
    RESULTS.mkdir(exist_ok=True)
    OTTER.command("python")
    NBGRADER.command("python")
    results["machine"] = machine()
    parts = results["parts"]
    for name in arguments.only or PARTS:
        parts["ran"][name] = {"at": time.strftime("%H:%M"), "load": os.getloadavg()[0]}
        say(f"{name}:")
        parts[name] = PARTS[name](arguments.long)
        file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    text = markdown(json.loads(file.read_text("utf-8")))
    file.with_suffix(".md").write_text(text, "utf-8")
    print(text)


def graders(_: bool) -> dict[str, Any]:
    """Grade classes with every grader."""
    found = [timed(Ours(), CHAPTER_7, SIZES, say), timed(Ours(), DEFINITIONS, SIZES[1:], say)]
    found += [timed(Otter(), CHAPTER_7, SIZES, say), timed(Nbgrader(), CHAPTER_7, SIZES, say)]
    # Not 1: that would start only one process, and the start of the second would count as a submission's cost.
    found.append(timed(FreshKernel(), CHAPTER_7, (2, 10), say))
    return {"batches": [asdict(batch) for batch in found]}


def floors(_: bool) -> dict[str, Any]:
    """Run the cells of both notebooks with exec and nothing else."""
    found = {}
    for name in (CHAPTER_7, DEFINITIONS):
        command = [sys.executable, "-m", "benchmarks.floor", str(path_of(name)), str(_RUNS)]
        command += find_assignment("hw2").packages
        runs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        found[name] = {
            floor: {kind: statistics.median(run[kind] for run in each) for kind in ("cpu", "wall")}
            for floor, each in runs.items()
        }
        say(f"{name}: CPU {found[name]['warm']['cpu']:.3f} s, in a fork {found[name]['forked']['cpu']:.3f} s")
    return found


def memory(_: bool) -> dict[str, float]:
    """Grade a small class while its memory is sampled."""
    found = {
        f"{grader.name}, two at once": most_memory(grader, CHAPTER_7, 4, say)
        for grader in (Ours(), Otter(), Nbgrader(), FreshKernel())
    }
    return {**found, "this grader, one at once": most_memory(Ours(jobs=1), CHAPTER_7, 2, say)}


def sandboxes(_: bool) -> dict[str, Any]:
    """Measure the memory of live sandboxes and the time to a new one's first answer."""
    sizes = {name: memory_of_sandboxes(name, (1, 2, 4), say) for name in (CHAPTER_7, DEFINITIONS)}
    return {"memory": sizes, "first answer": first_answers(_RUNS)}


def cold_start(_: bool) -> dict[str, Any]:
    """Time a cold start of `grader check`."""
    return {name: asdict(usage) for name, usage in cold_starts(CHAPTER_7, 3, say).items()}


def flat(long: bool) -> dict[str, Any]:
    """Grade larger and larger classes."""
    sizes = (10, 100, 1000) if long else (10, 100)
    return {"batches": [asdict(timed(Ours(), CHAPTER_7, sizes, say))]}


PARTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "graders": graders,
    "floors": floors,
    "memory": memory,
    "sandboxes": sandboxes,
    "cold_start": cold_start,
    "flat": flat,
}


def machine() -> dict[str, str]:
    """Describe this machine and the versions in use."""
    processor = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    shared = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _SHARED)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.node()}, {platform.system()} {platform.release()}",
        "processor": f"{processor.partition(': ')[2]}, {len(os.sched_getaffinity(0))} cores",
        "this grader": commit.stdout.strip(),
        "Python": platform.python_version(),
        "packages": shared,
        "peers": f"otter-grader {OTTER.version}, nbgrader {NBGRADER.version}, each in an environment of its own with "
        "its own versions of Jupyter's packages; torch, torchvision and d2l are the ones above, through a path file",
    }


def say(text: str) -> None:
    """Print progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    main()

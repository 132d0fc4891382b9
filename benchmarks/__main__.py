"""Time one submission against the floor, side by side in one run.

    python -m benchmarks [NOTEBOOK ...] [--runs 10]

Prints, for each notebook: CPU and wall seconds from file to report with a warm zygote and all layers on; the floor (the
same cells exec'd in one warm process, one tensor thread, no isolation, no tests); and how long a warm kernel takes to
answer its first cell. Nothing is decided by these figures; they are for reading.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from grader.assignment import Assignment, find_assignment
from grader.grade import grade
from grader.sandbox.execution import Execution, Watch, run_notebook
from grader.sandbox.sandbox import Zygote
from grader.submission import Cell, Notebook, read_submission

EXAMPLES = Path(__file__).parents[1] / "examples"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(EXAMPLES.glob("*.ipynb")))
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    assignment = find_assignment("hw2")
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}, {arguments.runs} runs")
    with Zygote(assignment.packages) as zygote:
        first_cell(zygote, assignment, 2)
        times = first_cell(zygote, assignment, arguments.runs)
        print(f"first cell answered: median {1000 * statistics.median(times):.0f} ms, worst {1000 * max(times):.0f} ms")
        print(f"{'notebook':32}{'CPU s':>8}{'wall s':>8}{'floor CPU s':>13}{'ratio':>7}   (medians)")
        for path in arguments.notebooks:
            cpu, wall = whole_submission(zygote, assignment, path, arguments.runs)
            least = floor(path, assignment, arguments.runs)
            print(f"{path.name[:31]:32}{cpu:8.3f}{wall:8.3f}{least:13.3f}{cpu / least:7.1f}")


def first_cell(zygote: Zygote, assignment: Assignment, runs: int) -> list[float]:
    """Return the seconds from asking for a sandbox until a kernel in it has run a cell."""
    notebook = Notebook("one.ipynb", "", (Cell(0, "code", "1 + 1"),), {})
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        with zygote.sandbox(assignment.limits) as sandbox:
            deadline = time.monotonic() + 60
            run_notebook(sandbox, notebook, Watch((), 0), assignment.limits, deadline, Execution())
            times.append(time.perf_counter() - started)
    return times


def whole_submission(zygote: Zygote, assignment: Assignment, path: Path, runs: int) -> tuple[float, float]:
    """Return the median CPU and wall seconds of reading, running, judging and reporting, ours and the sandbox's."""
    cpu, wall = [], []
    for run in range(runs + 1):
        started, cpu_before = time.perf_counter(), time.process_time() + zygote.cpu_seconds()
        grade(read_submission([path]), assignment, zygote).to_json()
        elapsed = time.perf_counter() - started
        if run:  # the first one imports the rubric
            wall.append(elapsed)
            cpu.append(time.process_time() + zygote.cpu_seconds() - cpu_before)
    return statistics.median(cpu), statistics.median(wall)


def floor(path: Path, assignment: Assignment, runs: int) -> float:
    """Return the median CPU seconds of exec'ing the cells in one warm process."""
    command = [sys.executable, "-m", "benchmarks.floor", str(path), str(runs), *assignment.packages]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return statistics.median(float(line) for line in done.stdout.splitlines())


if __name__ == "__main__":
    main()

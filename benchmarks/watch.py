"""Time the verdicts of `grader check --watch` after a save.

    python -m benchmarks.watch [NOTEBOOK] [--name pool2d] [--saves 10]

Changes one function of the notebook repeatedly, and prints the times of the first check and the median after a save:
from the save until the verdicts of the changed function's items are shown, the part of it that is grade() (and in that,
the notebook's cells), and the overhead of watching. No test depends on these figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from grader.assignment import find_assignment
from grader.grading.grade import grade
from grader.results.report import Report
from grader.sandbox.host.sandbox import Zygote
from grader.self_check.watch import CheckedState, watch_submission
from grader.submission.submission import Submission

EXAMPLE = Path(__file__).parents[1] / "examples" / "hw2.ipynb"
POLL = 0.1


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebook", nargs="?", type=Path, default=EXAMPLE)
    parser.add_argument("--name", default="pool2d", help="the function that is changed")
    parser.add_argument("--saves", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    content = json.loads(arguments.notebook.read_text(encoding="utf-8"))
    assignment = find_assignment("hw2")
    grading: list[tuple[float, float]] = []

    started = time.perf_counter()
    with Zygote(assignment.packages) as zygote, tempfile.TemporaryDirectory() as folder:
        _ = zygote.missing
        print(f"packages imported in {time.perf_counter() - started:.2f} s, once")

        def graded(submission: Submission, only: Collection[str], progress: Callable[[str], None]) -> Report:
            started = time.perf_counter()
            report = grade(submission, assignment, zygote, only=only, progress=progress)
            grading.append((time.perf_counter() - started, float(report.timing["cells_seconds"])))
            return report

        path = Path(folder) / arguments.notebook.name
        path.write_text(json.dumps(content), encoding="utf-8")
        events = watch_submission([path], assignment.items, graded, poll=POLL, quiet=60)
        first = next(events)
        assert isinstance(first, CheckedState)
        print(f"first check: {first.seconds:.3f} s, {len(first.judged)} items")
        rows, judged = [], 0
        used = time.process_time() + zygote.cpu_seconds()
        for number in range(arguments.saves):
            path.write_text(json.dumps(changed(content, arguments.name, number)), encoding="utf-8")
            saved, before = time.perf_counter(), len(grading)
            checked = next(events)
            waited = time.perf_counter() - saved
            assert isinstance(checked, CheckedState)
            whole, cells = (sum(part) for part in zip(*grading[before:], strict=True))
            judged = len(checked.judged)
            rows.append((waited, checked.seconds, whole, cells))
        used = (time.process_time() + zygote.cpu_seconds() - used) / arguments.saves
        waited, seconds, whole, cells = (statistics.median(column) for column in zip(*rows, strict=True))
        slowest = max(row[0] for row in rows)
        print(f"after a save: {waited:.3f} s (slowest {slowest:.3f}), CPU {used:.3f} s; {judged} items judged")
        print(f"  of which grade() {whole:.3f} s, in that the cells {cells:.3f} s")
        print(f"  noticing it {waited - seconds:.3f} s (polled every {POLL} s), else {1000 * (seconds - whole):.1f} ms")


def changed(content: dict[str, Any], name: str, number: int) -> dict[str, Any]:
    """Return a notebook in which a function has one more statement, which does nothing.

    Args:
        content: the notebook.
        name: the function's name.
        number: makes each change different.
    """
    copy: dict[str, Any] = json.loads(json.dumps(content))
    for cell in copy["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and f"def {name}(" in source:
            head, _, body = source.partition(f"def {name}(")
            signature, _, rest = body.partition(":\n")
            cell["source"] = f"{head}def {name}({signature}:\n    changed = {number}\n{rest}"
            return copy
    raise SystemExit(f"no cell defines {name}: give another --name")


if __name__ == "__main__":
    main()

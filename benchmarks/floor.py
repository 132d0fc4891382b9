"""The floors: `python -m benchmarks.floor NOTEBOOK RUNS PACKAGE ...` prints CPU and wall seconds of each run as JSON.

`warm` runs a notebook's cells with exec in one warm process with one tensor thread. `forked` does the same in a fork of
that process, and checks each answer after its cell. Neither isolates anything or survives an endless loop.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import sys
import time
from pathlib import Path
from types import CodeType
from typing import Any

from benchmarks.assignment import question_of

Seconds = dict[str, float]


def main(path: Path, runs: int, packages: list[str]) -> None:
    """Print the seconds of each run."""
    os.environ["MPLBACKEND"] = "agg"
    for package in packages:
        importlib.import_module(package)
    sys.modules["torch"].set_num_threads(1)
    cells = compiled(path, checked=False)
    warm = [in_this_process(cells) for _ in range(runs)]
    cells = compiled(path, checked=True)
    gc.collect()
    gc.freeze()
    print(json.dumps({"warm": warm, "forked": [in_a_fork(cells) for _ in range(runs)]}))


def compiled(path: Path, *, checked: bool) -> list[CodeType]:
    """Return the code of a notebook's cells; if `checked`, each answer is followed by its check."""
    found = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            found.append(compile("".join(cell["source"]), "<cell>", "exec"))
            if checked and (question := question_of(cell)):
                found.append(compile(f"{question.definition}\n{question.call}", f"<{question.name}>", "exec"))
    return found


def run(cells: list[CodeType]) -> None:
    """Run cells in a new namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in cells:
            exec(cell, namespace)


def in_this_process(cells: list[CodeType]) -> Seconds:
    """Return the CPU and wall seconds of one run."""
    started, cpu = time.perf_counter(), time.process_time()
    run(cells)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - started}


def in_a_fork(cells: list[CodeType]) -> Seconds:
    """Return the CPU and wall seconds of forking and one run, of both processes."""
    started, cpu = time.perf_counter(), time.process_time()
    child = os.fork()
    if child == 0:
        try:
            sys.modules["torch"].set_num_threads(1)
            run(cells)
            os._exit(0)
        finally:
            os._exit(1)
    _, status, usage = os.wait4(child, 0)
    assert status == 0, "an answer was wrong"
    used = time.process_time() - cpu + usage.ru_utime + usage.ru_stime
    return {"cpu": used, "wall": time.perf_counter() - started}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

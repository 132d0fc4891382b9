"""The process that runs a notebook and judges it. It writes what happens to a pipe, an event a line, as JSON.

It is a process of its own because some code cannot be interrupted: a loop that catches every exception, a call that
waits inside C code, a crash. The command (`command.py`) watches the events, and starts another process without the
statement that hung.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from grader.authoring.bundling.check.book_package import install
from grader.authoring.bundling.check.bundle import Bundle
from grader.authoring.bundling.check.cells import CellState, NotebookCell, NotebookRun, Statement, read_notebook_cells
from grader.authoring.bundling.check.judging import judge_item
from grader.authoring.bundling.check.results import ItemCheck

__all__ = ["NotebookStep", "main", "run_notebooks"]


@dataclass(frozen=True)
class NotebookStep:
    """What is about to run, and may have to be stopped: a statement, or the check of an item.

    Attributes:
        key: tells this step from all others of the same notebooks: the number of the notebook, of the statement, and
            the id of the item, "" for the statement itself.
        file: the notebook.
        place: the statement, in words.
    """

    key: tuple[int, int, str]
    file: str
    place: str


def run_notebooks(
    bundle: Bundle, paths: Sequence[Path], seconds: float, skipped: Collection[tuple[int, int, str]] = ()
) -> Iterator[NotebookStep | ItemCheck | str]:
    """Run notebooks in this process, and judge each definition as it stands and again at the end.

    Args:
        bundle: the recorded cases.
        paths: the notebooks.
        seconds: the time limit for each statement and each case.
        skipped: the keys of steps that must not run.

    Yields:
        Each step before it runs, each result, and a sentence on each statement that did not end well.

    Raises:
        ValueError: a file is not a notebook.
    """
    for number, (path, cells) in enumerate([(path, read_notebook_cells(path)) for path in paths]):
        yield from _run_notebook(bundle, number, path.name, cells, seconds, skipped)


def _run_notebook(
    bundle: Bundle, number: int, name: str, cells: Sequence[NotebookCell], seconds: float, skipped: Collection[Any]
) -> Iterator[NotebookStep | ItemCheck | str]:
    statements = {statement for file, statement, item in skipped if file == number and not item}
    place = ""
    for event in NotebookRun(cells, bundle.used, seconds, statements).run():
        if isinstance(event, Statement):
            place = event.place
            yield NotebookStep((number, event.number, ""), name, place)
        elif isinstance(event, CellState):
            for item in bundle.find_changed(event.names, event.changed):
                step = NotebookStep((number, event.statement, item["id"]), name, event.place)
                if step.key not in skipped:
                    yield step
                    yield replace(judge_item(item, event.names, seconds), place=event.place)
        else:
            yield f"{name}, {event}"


def main(path: str, options: str) -> None:
    """Run notebooks as the options say, and write the events to what was standard output.

    Args:
        path: the bundle, a zip or a folder.
        options: the other arguments of `run_notebooks`, as JSON.
    """
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # what the notebook prints from C code or from its own processes is shown to no one
    os.dup2(silence, 2)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 (as long as the process)
    os.environ.setdefault("MPLBACKEND", "agg")  # draw plots without opening windows
    warnings.simplefilter("ignore")
    install()
    given = json.loads(options)
    skipped = {(file, statement, item) for file, statement, item in given["skipped"]}
    paths = [Path(name) for name in given["paths"]]
    try:
        for event in run_notebooks(Bundle.read(Path(path)), paths, given["seconds"], skipped):
            _write(pipe, {"notice": event} if isinstance(event, str) else {type(event).__name__: asdict(event)})
        _write(pipe, {"ended": True})
    except ValueError as error:
        _write(pipe, {"refused": str(error)})
    os._exit(0)  # threads of the notebook would keep the process alive


def _write(pipe: Any, event: dict[str, Any]) -> None:
    pipe.write(json.dumps(event) + "\n")
    pipe.flush()

"""Run a notebook's cells statement by statement, and report each statement that changes a definition."""

from __future__ import annotations

import _thread
import ast
import contextlib
import io
import json
import re
import signal
import sys
import threading
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from grader.models import modules
from grader.place import describe_cell

__all__ = [
    "CellState",
    "NotebookCell",
    "NotebookRun",
    "Statement",
    "TimeUp",
    "find_place",
    "limit_time_and_output",
    "read_notebook_cells",
]

_PACKAGES = re.compile(modules.PACKAGES_PATTERN)
_CELL_MAGIC = re.compile(r"\s*%%(time|timeit|capture|prun)\b.*\n")
_MAGIC = re.compile(r"^(\s*)[%!]")
_FILE = re.compile(r"<(cell \d+ of \d+)>")  # what the code of a cell is compiled as


class TimeUp(Exception):
    """The time limit was exceeded."""


@dataclass(frozen=True)
class NotebookCell:
    """A code cell: its index among all cells from 0, their number, and its source without magics."""

    index: int
    total: int
    source: str


def read_notebook_cells(path: Path) -> list[NotebookCell]:
    """Return a notebook's code cells.

    Raises:
        ValueError: it is not a notebook; the message says what to do.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
        sources = [(index, cell["source"]) for index, cell in enumerate(cells) if cell["cell_type"] == "code"]
        return [NotebookCell(index, len(cells), _remove_magics("".join(source))) for index, source in sources]
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError):
        raise ValueError(f"{path} is not a notebook: give an .ipynb file, or save it again in Jupyter") from None


@dataclass(frozen=True)
class Statement:
    """A statement that is about to run: its number among the statements of a notebook, and where it stands."""

    number: int
    place: str


@dataclass(frozen=True)
class CellState:
    """The definitions after a statement that changed some of them.

    Attributes:
        statement: the number of the statement, -1 at the end of the notebook, where every definition counts as changed.
        place: its cell, in words; "" at the end of the notebook.
        changed: the names whose definitions changed.
        names: the definitions by name.
    """

    statement: int
    place: str
    changed: tuple[str, ...]
    names: Mapping[str, Any]


class NotebookRun:
    """Run the cells of a notebook in this process, statement by statement, as a stand-in for `__main__`.

    Args:
        cells: the code cells, in order.
        names: the names of the definitions to follow.
        seconds: the time limit for each statement.
        skipped: the numbers of statements that must not run.
    """

    def __init__(
        self, cells: Sequence[NotebookCell], names: Sequence[str], seconds: float, skipped: Collection[int]
    ) -> None:
        self._cells = cells
        self._names = names
        self._seconds = seconds
        self._skipped = skipped
        self._module = ModuleType("__main__")
        self._fingerprints: dict[str, Any] = {}
        self._number = 0

    def run(self) -> Iterator[Statement | CellState | str]:
        """Yield each statement before it runs, the state after each change of a definition, and what went wrong.

        A statement that raises ends nothing but itself, as in the course's grader.
        """
        before = sys.modules["__main__"]
        sys.modules["__main__"] = self._module  # dataclasses and pickle look up a notebook's definitions there
        try:
            for cell in self._cells:
                yield from self._run_cell(cell)
            last = self._get_definitions()
            yield CellState(-1, "", tuple(last), last)
        finally:
            sys.modules["__main__"] = before

    def _run_cell(self, cell: NotebookCell) -> Iterator[Statement | CellState | str]:
        place = describe_cell(cell.index, cell.total)
        try:
            statements = ast.parse(cell.source).body
        except SyntaxError as error:
            yield f"{place}, line {error.lineno}: SyntaxError: {error.msg}; nothing in it ran"
            return
        for statement in statements:
            self._number += 1
            if self._number in self._skipped:
                continue
            at = f"{place}, line {statement.lineno}"
            yield Statement(self._number, at)
            try:
                self._run_statement(statement, place)
            except TimeUp:
                yield f"{at}: stopped after {self._seconds:g} seconds"
            except (Exception, SystemExit) as error:
                yield f"{find_place(error) or at}: raises {type(error).__name__}: {error}"
            yield from self._find_changes(place)

    def _run_statement(self, statement: ast.stmt, place: str) -> None:
        code = compile(ast.Module([statement], []), f"<{place}>", "exec", dont_inherit=True)
        with limit_time_and_output(self._seconds):
            exec(code, vars(self._module))

    def _find_changes(self, place: str) -> Iterator[CellState]:
        now = {name: _fingerprint(vars(self._module).get(name)) for name in self._names}
        changed = tuple(name for name, mark in now.items() if mark and mark != self._fingerprints.get(name))
        self._fingerprints = now
        if changed:
            yield CellState(self._number, place, changed, self._get_definitions())

    def _get_definitions(self) -> dict[str, Any]:
        return {name: vars(self._module)[name] for name, fingerprint in self._fingerprints.items() if fingerprint}


def find_place(error: BaseException) -> str:
    """Return the last line of a notebook's cells that an exception passed through, in words; "" if there is none."""
    found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        match = _FILE.match(frame.f_code.co_filename)
        found = f"{match[1]}, line {line}" if match else found
    return found


@contextlib.contextmanager
def limit_time_and_output(seconds: float) -> Iterator[None]:
    """Interrupt code that takes longer than `seconds`, and discard what it prints.

    The interrupt is a SIGINT. Python's own handler is installed meanwhile, because a job that a shell starts in the
    background inherits SIGINT as ignored, and nothing would be interrupted.

    Raises:
        TimeUp: the block took longer.
    """
    is_over = threading.Event()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        is_over.set()
        _thread.interrupt_main()

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    except KeyboardInterrupt:
        if not is_over.is_set():
            raise
        raise TimeUp from None
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, handler or signal.SIG_DFL)  # None if it was not installed from Python


def _remove_magics(source: str) -> str:
    """Remove IPython's magics and shell commands from a cell: they define nothing."""
    source = _CELL_MAGIC.sub("", source, count=1) if _CELL_MAGIC.match(source) else source
    if source.lstrip().startswith("%%"):
        return ""
    return "\n".join(_MAGIC.sub(r"\1pass  # \g<0>", line) for line in source.split("\n"))


def _fingerprint(value: Any) -> Any:
    """Return what changes if a name is rebound or its class is patched; None if the notebook does not define it."""
    if not callable(value) or _PACKAGES.match(modules.find_module_name(value)):
        return None
    classes = [cls for cls in getattr(value, "__mro__", ()) if cls.__module__ == "__main__"]
    attributes = ((name, id(attribute)) for cls in classes for name, attribute in list(vars(cls).items()))
    return (id(value), *attributes)

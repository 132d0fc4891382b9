"""Runs a notebook's cells one statement after the other, and tells of each that defines something."""

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from grader.models import modules

__all__ = ["Cell", "CellState", "TimeUp", "limit_time_and_output", "read_notebook_cells", "run_notebook_cells"]

# A cell's index among all cells, and its source.
Cell = tuple[int, str]

_PACKAGES = re.compile(modules.PACKAGES_PATTERN)
_CELL_MAGIC = re.compile(r"\s*%%(time|timeit|capture|prun)\b.*\n")
_MAGIC = re.compile(r"^(\s*)[%!]")


class TimeUp(Exception):
    """Something ran for longer than it may."""


def read_notebook_cells(path: Path) -> list[Cell]:
    """Return a notebook's code cells.

    Raises:
        ValueError: it is no notebook; the message says what to do.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
        sources = [(number, cell["source"]) for number, cell in enumerate(found) if cell["cell_type"] == "code"]
        return [(number, _without_magics("".join(source))) for number, source in sources]
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError):
        raise ValueError(f"{path} is no notebook: give an .ipynb file, or save it again in Jupyter") from None


@dataclass(frozen=True)
class CellState:
    """What a statement changed: its cell, and what is defined of the names that are looked for.

    The last moment of a notebook has no cell: there everything counts as changed.
    """

    cell: int | None
    changed: tuple[str, ...]
    names: Mapping[str, Any]


def run_notebook_cells(cells: Sequence[Cell], names: Sequence[str], seconds: float) -> Iterator[CellState | str]:
    """Run cells, and give each moment at which a name was bound or changed, and a sentence for what ends a cell early.

    Args:
        cells: in order.
        names: those that are looked for.
        seconds: how long a statement may take.
    """
    module, before = ModuleType("__main__"), sys.modules["__main__"]
    sys.modules["__main__"] = module  # where dataclasses and pickles look for what a notebook defines
    try:
        yield from _run(module, cells, names, seconds)
    finally:
        sys.modules["__main__"] = before


def _run(module: ModuleType, cells: Sequence[Cell], names: Sequence[str], seconds: float) -> Iterator[CellState | str]:
    marks: dict[str, Any] = {}
    for number, source in cells:
        try:
            for statement in ast.parse(source).body:
                code = compile(ast.Module([statement], []), f"<cell {number}>", "exec", dont_inherit=True)
                with limit_time_and_output(seconds):
                    exec(code, vars(module))
                now = {name: _mark(vars(module).get(name)) for name in names}
                changed = tuple(name for name, mark in now.items() if mark and mark != marks.get(name))
                marks = now
                if changed:
                    yield CellState(number, changed, _defined(module, marks))
        except TimeUp:
            yield f"cell {number} was stopped after {seconds:g} seconds"
        except (Exception, SystemExit) as error:
            yield f"cell {number} raises {type(error).__name__}: {error}"
    last = _defined(module, marks)
    yield CellState(None, tuple(last), last)


def _defined(module: ModuleType, marks: Mapping[str, Any]) -> dict[str, Any]:
    return {name: vars(module)[name] for name, mark in marks.items() if mark}


@contextlib.contextmanager
def limit_time_and_output(seconds: float) -> Iterator[None]:
    """Interrupt code that takes longer than `seconds`, and discard what it prints.

    The interrupt is a SIGINT. Python's own handler is installed meanwhile, because a job that a shell starts in the
    background inherits SIGINT as ignored, and nothing would be interrupted.

    Raises:
        TimeUp: it took longer.
    """
    over = threading.Event()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        over.set()
        _thread.interrupt_main()

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    except KeyboardInterrupt:
        if not over.is_set():
            raise
        raise TimeUp from None
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, handler or signal.SIG_DFL)  # None if it was not installed from Python


def _without_magics(source: str) -> str:
    """Take IPython's commands out of a cell: they install and show things, and define nothing."""
    source = _CELL_MAGIC.sub("", source, count=1) if _CELL_MAGIC.match(source) else source
    if source.lstrip().startswith("%%"):
        return ""
    return "\n".join(_MAGIC.sub(r"\1pass  # \g<0>", line) for line in source.split("\n"))


def _mark(thing: Any) -> Any:
    """Return what changes when a name is bound anew or its class is patched; None for what is not written here."""
    if not callable(thing) or _PACKAGES.match(modules.find_module_name(thing)):
        return None
    classes = [each for each in getattr(thing, "__mro__", ()) if each.__module__ == "__main__"]
    return (id(thing), *((name, id(value)) for each in classes for name, value in list(vars(each).items())))

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
    """The time limit was exceeded."""


def read_notebook_cells(path: Path) -> list[Cell]:
    """Return a notebook's code cells.

    Raises:
        ValueError: it is not a notebook; the message says what to do.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
        sources = [(number, cell["source"]) for number, cell in enumerate(cells) if cell["cell_type"] == "code"]
        return [(number, _remove_magics("".join(source))) for number, source in sources]
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError):
        raise ValueError(f"{path} is not a notebook: give an .ipynb file, or save it again in Jupyter") from None


@dataclass(frozen=True)
class CellState:
    """The definitions after a statement that changed some of them.

    Attributes:
        cell: the cell, None for the state at the end of the notebook, in which every definition counts as changed.
        changed: the names whose definitions changed.
        names: the definitions by name.
    """

    cell: int | None
    changed: tuple[str, ...]
    names: Mapping[str, Any]


def run_notebook_cells(cells: Sequence[Cell], names: Sequence[str], seconds: float) -> Iterator[CellState | str]:
    """Run cells. Yield the state after each change of a definition, and a sentence for each cell that ends early.

    Args:
        cells: the cells, in order.
        names: the names of the definitions to follow.
        seconds: the time limit for each statement.
    """
    module, before = ModuleType("__main__"), sys.modules["__main__"]
    sys.modules["__main__"] = module  # dataclasses and pickle look up a notebook's definitions there
    try:
        yield from _run(module, cells, names, seconds)
    finally:
        sys.modules["__main__"] = before


def _run(module: ModuleType, cells: Sequence[Cell], names: Sequence[str], seconds: float) -> Iterator[CellState | str]:
    fingerprints: dict[str, Any] = {}
    for number, source in cells:
        try:
            for statement in ast.parse(source).body:
                code = compile(ast.Module([statement], []), f"<cell {number}>", "exec", dont_inherit=True)
                with limit_time_and_output(seconds):
                    exec(code, vars(module))
                now = {name: _fingerprint(vars(module).get(name)) for name in names}
                changed = tuple(name for name, mark in now.items() if mark and mark != fingerprints.get(name))
                fingerprints = now
                if changed:
                    yield CellState(number, changed, _get_definitions(module, fingerprints))
        except TimeUp:
            yield f"cell {number} was stopped after {seconds:g} seconds"
        except (Exception, SystemExit) as error:
            yield f"cell {number} raises {type(error).__name__}: {error}"
    last = _get_definitions(module, fingerprints)
    yield CellState(None, tuple(last), last)


def _get_definitions(module: ModuleType, fingerprints: Mapping[str, Any]) -> dict[str, Any]:
    return {name: vars(module)[name] for name, fingerprint in fingerprints.items() if fingerprint}


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

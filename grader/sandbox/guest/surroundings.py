"""What a notebook finds around it: stand-ins for Colab and the keyboard, bounded output."""

from __future__ import annotations

import builtins
import getpass
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grader.sandbox.guest import drawing
from grader.sandbox.guest.internals.ipykernel import replace_exit, replace_keyboard
from grader.sandbox.guest.internals.ipython import show_nothing
from grader.sandbox.guest.internals.replacement import replace_attribute

__all__ = ["FrameworkMissing", "OutputFlood", "install_stand_ins"]


class FrameworkMissing(ModuleNotFoundError):
    """The notebook asked for a framework that the course does not use."""


class OutputFlood(RuntimeError):
    """A cell printed more than it may."""


def install_stand_ins(shell: Any, cell_output_bytes: int, order: Mapping[str, Any]) -> None:
    """Prepare the surroundings of one kernel.

    Args:
        shell: IPython's.
        cell_output_bytes: what a cell may print.
        order: what the trusted side sends for a kernel run (`host/kernel_run.py`).
    """
    replace_exit(shell, _ignore_exit)
    replace_keyboard(shell, _answer_nothing)
    replace_attribute(builtins, "input", _answer_nothing)
    replace_attribute(getpass, "getpass", _answer_nothing)
    _offer_colab()
    drawing.defer_drawing(shell)
    if not order["shown"]:
        show_nothing(shell)  # the output is not kept, and making figures takes longer than most cells
    sys.meta_path.append(_MissingFrameworks())
    _bound_output(shell, cell_output_bytes)


def _ignore_exit() -> None:
    print("exit() and quit() do nothing while this is graded")


def _answer_nothing(prompt: object = "", *_: object, **__: object) -> str:
    """Answer every question with an empty line."""
    print(f"{prompt}(there is no keyboard while this is graded: the answer is empty)")
    return ""


def _offer_colab() -> None:
    """Offer the parts of google.colab that homework uses. They do nothing."""
    google = sys.modules.setdefault("google", types.ModuleType("google"))
    colab = types.ModuleType("google.colab")
    drive = types.ModuleType("google.colab.drive")
    drive.mount = lambda *_, **__: print("no Drive is mounted while this is graded")  # type: ignore[attr-defined]
    drive.flush_and_unmount = lambda *_, **__: None  # type: ignore[attr-defined]
    files = types.ModuleType("google.colab.files")
    files.upload = lambda *_, **__: {}  # type: ignore[attr-defined]
    files.download = lambda *_, **__: None  # type: ignore[attr-defined]
    google.colab = colab  # type: ignore[attr-defined]
    for module in (colab, drive, files):
        sys.modules[module.__name__] = module
    colab.drive, colab.files = drive, files  # type: ignore[attr-defined]


class _MissingFrameworks(importlib.abc.MetaPathFinder):
    """Says at once why keras and tensorflow cannot be imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise FrameworkMissing for these frameworks. All other finders have been asked before."""
        if name in ("keras", "tensorflow"):
            raise FrameworkMissing(f"{name} is no package of this course", name=name)
        return None


def _bound_output(shell: Any, cell_output_bytes: int) -> None:
    """End a cell that prints too much. The runner has a bound of its own for output that avoids this one."""
    left = cell_output_bytes

    def refill(*_: object) -> None:
        nonlocal left
        left = cell_output_bytes

    def bound(write: Callable[[str], int | None]) -> Callable[[str], int | None]:
        def write_within_bound(text: str) -> int | None:
            nonlocal left
            if left <= 0:
                raise OutputFlood(f"this cell printed more than {cell_output_bytes} bytes; the rest is cut")
            written = write(text[:left])
            left -= len(text)
            return written

        return write_within_bound

    for stream in (sys.stdout, sys.stderr):
        replace_attribute(stream, "write", bound(stream.write))
    shell.events.register("pre_run_cell", refill)

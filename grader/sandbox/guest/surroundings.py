"""What a notebook finds around it: stand-ins for Colab and keyboard input, data sets, bounded output."""

from __future__ import annotations

import builtins
import getpass
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grader.sandbox.guest import data_sets, drawing

__all__ = ["FrameworkMissing", "OutputFlood", "install_stand_ins"]


class FrameworkMissing(ModuleNotFoundError):
    """The notebook asked for a framework that the course does not use."""


class OutputFlood(RuntimeError):
    """A cell printed more than it may."""


def install_stand_ins(shell: Any, cell_output_bytes: int, order: Mapping[str, Any]) -> None:
    """Put the stand-ins in place for one kernel; `order` is what `execution.Watch` says."""
    # ipykernel would stop a moment later, in the middle of whichever cell runs then.
    shell.ask_exit = lambda: print("exit() and quit() do nothing while this is graded")
    builtins.input = shell.kernel.raw_input = _no_keyboard
    getpass.getpass = shell.kernel.getpass = _no_keyboard
    _offer_colab()
    drawing.defer_drawing(shell)
    if not order["shown"]:
        _write_nothing(shell)
    if data_sets.offer_data_sets(order["mode"], order["data_sets"]):
        from grader.sandbox.guest.trainings import (
            loading,  # needs torchvision; the zygote imported it if a course has that
        )

        loading.install_fast_loading(shell, order["mode"])
    sys.meta_path.append(_OtherFrameworks())
    _bound_output(shell, cell_output_bytes)


def _write_nothing(shell: Any) -> None:
    """Make neither texts nor pictures of what cells show: nobody sees them, and figures take longer than most cells."""
    shell.display_formatter.format = lambda *_, **__: ({}, {})


def _no_keyboard(prompt: object = "", *_: object, **__: object) -> str:
    """Answer every question with an empty line."""
    print(f"{prompt}(nobody is at the keyboard while this is graded: the answer is empty)")
    return ""


def _offer_colab() -> None:
    """Offer the parts of google.colab that homework uses, doing nothing."""
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


class _OtherFrameworks(importlib.abc.MetaPathFinder):
    """Says at once why keras and tensorflow cannot be imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise for these frameworks; asked only after every other finder has found nothing."""
        if name in ("keras", "tensorflow"):
            raise FrameworkMissing(f"{name} is no package of this course, and {data_sets.WITHHELD}", name=name)
        return None


def _bound_output(shell: Any, cell_output_bytes: int) -> None:
    """End a cell that floods its output; the runner has a bound of its own for what gets around this one."""
    left = cell_output_bytes

    def refill(*_: object) -> None:
        nonlocal left
        left = cell_output_bytes

    def bounded(write: Callable[[str], int | None]) -> Callable[[str], int | None]:
        def write_within_bound(text: str) -> int | None:
            nonlocal left
            if left <= 0:
                raise OutputFlood(f"this cell printed more than {cell_output_bytes} bytes; the rest is cut")
            written = write(text[:left])
            left -= len(text)
            return written

        return write_within_bound

    for stream in (sys.stdout, sys.stderr):
        stream.write = bounded(stream.write)  # type: ignore[method-assign]
    shell.events.register("pre_run_cell", refill)

"""Prepare what a notebook finds around it, in the warm process and in each kernel."""

from __future__ import annotations

import builtins
import getpass
import sys
from collections.abc import Callable, Mapping
from typing import Any

from grader.sandbox.guest import drawing
from grader.sandbox.guest.internals.ipykernel import replace_exit, replace_keyboard
from grader.sandbox.guest.internals.ipython import offer_removed_names, show_nothing
from grader.sandbox.guest.internals.matplotlib_inline import show_figures_inline
from grader.sandbox.guest.internals.replacement import replace_attribute
from grader.sandbox.guest.surroundings.colab import offer_colab
from grader.sandbox.guest.surroundings.environment import serve_environment_lines
from grader.sandbox.guest.surroundings.figures import draw_no_figures, keep_figures_inline
from grader.sandbox.guest.surroundings.missing_packages import offer_stand_ins
from grader.sandbox.guest.surroundings.versions import watch_versions
from grader.sandbox.protocol.stops import StopKind

__all__ = ["OutputFlood", "install_surroundings", "prepare_surroundings"]

Notify = Callable[[str, str, str], None]


class OutputFlood(RuntimeError):
    """A cell printed more than it may."""

    stop_kind = StopKind.FLOODED


def prepare_surroundings(shell: Any) -> None:
    """Prepare in the warm process what is the same for all kernels."""
    show_figures_inline(shell)
    offer_removed_names()
    offer_colab()


def install_surroundings(shell: Any, cell_output_bytes: int, order: Mapping[str, Any], notify: Notify) -> None:
    """Prepare the surroundings of one kernel.

    Args:
        shell: IPython's.
        cell_output_bytes: what a cell may print.
        order: what the trusted side sends for a kernel run (`host/kernel_run.py`).
        notify: takes a notice for the report, its kind and its subject.
    """
    replace_exit(shell, _ignore_exit)
    replace_keyboard(shell, _answer_nothing)
    replace_attribute(builtins, "input", _answer_nothing)
    replace_attribute(getpass, "getpass", _answer_nothing)
    keep_figures_inline(shell)
    offer_stand_ins(notify)
    serve_environment_lines(shell, notify)
    watch_versions(shell, notify)
    drawing.defer_drawing(shell)
    if not order["shown"]:
        show_nothing(shell)
        draw_no_figures()
    _bound_output(shell, cell_output_bytes)


def _ignore_exit() -> None:
    print("exit() and quit() do nothing while this is graded")


def _answer_nothing(prompt: object = "", *_: object, **__: object) -> str:
    """Answer every question with an empty line."""
    print(f"{prompt}(there is no keyboard while this is graded: the answer is empty)")
    return ""


def _bound_output(shell: Any, cell_output_bytes: int) -> None:
    """End a cell that prints too much. The runner has a bound of its own for output that avoids this one."""
    left = cell_output_bytes

    def refill(*_: object) -> None:
        nonlocal left
        left = cell_output_bytes

    def bound(stream: Any) -> Callable[[str], int | None]:
        write: Callable[[str], int | None] = stream.write

        def write_within_bound(text: str) -> int | None:
            nonlocal left
            if stream.is_mute:  # a test, what it prints is dropped
                return write(text)
            if left <= 0:
                raise OutputFlood(f"this cell printed more than {cell_output_bytes} bytes; the rest is cut")
            written = write(text[:left])
            left -= len(text)
            return written

        return write_within_bound

    for stream in (sys.stdout, sys.stderr):
        replace_attribute(stream, "write", bound(stream))
    shell.events.register("pre_run_cell", refill)

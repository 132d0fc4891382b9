"""IPython's shell: its options, its statements, and what it does to the text of cells before it runs them."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from IPython.core import debugger
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from IPython.external.pickleshare import PickleShareDB
from traitlets.config import Config

from grader.sandbox.guest.internals.replacement import replace_attribute

__all__ = [
    "LIKE_A_MAGIC",
    "add_working_folder",
    "configure",
    "keep_stored_values_in",
    "replace_debugger_prompt",
    "set_option",
    "show_lines_in_tracebacks",
    "show_nothing",
    "transform_magics_only",
    "wrap_statements",
]

# A line that begins like one of IPython's commands, an assignment of one, or a question mark anywhere.
LIKE_A_MAGIC = re.compile(r"^\s*[%!,;/]|=[\s\\]*[%!]|\?", re.MULTILINE)

_MOST_FRAMES = 8  # at each end of a traceback


def set_option(config: Config, kind: Any, name: str, value: Any) -> None:
    """Configure an option of a class.

    Raises:
        AttributeError: the class has no such option. traitlets itself would ignore it.
    """
    if name not in kind.class_trait_names(config=True):
        raise AttributeError(f"{kind.__module__}.{kind.__name__} has no option {name!r}")
    config[kind.__name__][name] = value


def configure(config: Config) -> None:
    """Keep no history, and keep tracebacks short until `show_lines_in_tracebacks`."""
    set_option(config, HistoryManager, "enabled", False)
    # The default walks and highlights the source of every frame: 0.2 s for one error inside d2l.
    set_option(config, InteractiveShell, "xmode", "Plain")
    set_option(config, InteractiveShell, "colors", "nocolor")


def transform_magics_only(shell: Any) -> None:
    """Skip IPython's token transforms (`%magic`, `!command`, `help?`) for cells that have nothing like them.

    Saves 0.08 ms a cell. A transformer that the notebook adds is always asked.
    """
    transformers = shell.input_transformer_manager
    stock = list(transformers.token_transformers)

    def transform_if_needed(lines: list[str]) -> list[str]:
        needed = transformers.token_transformers != stock or LIKE_A_MAGIC.search("".join(lines))
        transformed: list[str] = transform(lines) if needed else lines
        return transformed

    transform = replace_attribute(transformers, "do_token_transforms", transform_if_needed)


def wrap_statements(shell: Any, wrap: Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]) -> None:
    """Replace the function that runs each statement of a cell by `wrap` of it.

    The function takes the statement's code and IPython's result, whose `error_in_exec` it sets, and returns whether
    the statement failed.
    """
    replace_attribute(shell, "run_code", wrap(shell.run_code))


def add_working_folder(path: list[str]) -> None:
    """Add the working folder to the import path where IPython does, after the standard library."""
    folders = ("site-packages", "dist-packages")
    path.insert(next((i for i, entry in enumerate(path) if os.path.basename(entry) in folders), 0), "")  # noqa: PTH119


def keep_stored_values_in(shell: Any, folder: Path) -> None:
    """Let `%store` and `%bookmark` keep their values below this folder."""
    replace_attribute(shell, "_db", PickleShareDB(folder / ".ipython" / "profile_default" / "db"))


def replace_debugger_prompt(instead: Callable[[], None]) -> None:
    """Call `instead` where a debugger would ask for commands, and go on."""

    def interaction(stopped: Any, *_: Any) -> None:
        instead()
        stopped.set_continue()

    for kind in (debugger.Pdb, debugger.OldPdb):
        replace_attribute(kind, "interaction", interaction)


def show_lines_in_tracebacks(shell: Any) -> None:
    """Show the code around each line of a traceback, as Jupyter does.

    The middle of a long one is left out: Jupyter itself takes eight seconds for an endless recursion.
    """
    tracebacks = shell.InteractiveTB

    def get_fewer_records(trace: Any, *args: Any, **options: Any) -> Any:
        return get_records(_shorten(trace), *args, **options)

    get_records = replace_attribute(tracebacks, "get_records", get_fewer_records)
    tracebacks.set_mode("Context")


def _shorten(trace: TracebackType) -> TracebackType:
    """Return a copy of a traceback without its middle, or a short traceback itself."""
    places: list[TracebackType] = []
    place: TracebackType | None = trace
    while place is not None:
        places.append(place)
        place = place.tb_next
    if len(places) <= 2 * _MOST_FRAMES:
        return trace
    shortened = None
    for place in reversed(places[:_MOST_FRAMES] + places[-_MOST_FRAMES:]):
        shortened = TracebackType(shortened, place.tb_frame, place.tb_lasti, place.tb_lineno)
    return shortened or trace


def show_nothing(shell: Any) -> None:
    """Make neither text nor pictures of what cells display."""
    replace_attribute(shell.display_formatter, "format", lambda *_, **__: ({}, {}))

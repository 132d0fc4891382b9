"""Lines about a notebook's environment, not about its work: extensions, magics, folders of other machines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError

from grader.sandbox.guest.internals.replacement import replace_attribute
from grader.sandbox.guest.surroundings.missing_packages import find_missing
from grader.sandbox.guest.surroundings.students_code import is_handled, is_students

__all__ = ["serve_environment_lines"]

Notify = Callable[[str, str, str], None]

# Extensions that would start a server and wait for it; their magics do nothing.
_SERVERS = ("tensorboard",)


def serve_environment_lines(shell: Any, notify: Notify) -> None:
    """Let lines about the environment do nothing if they cannot do what they are for, and say so in the cell.

    Args:
        shell: IPython's.
        notify: takes a notice, its kind and its subject.
    """
    _serve_extensions(shell, notify)
    _serve_magics(shell)
    _serve_folders()


def _serve_extensions(shell: Any, notify: Notify) -> None:
    manager = shell.extension_manager
    named: set[str] = set()
    load = manager.load_extension

    def load_extension(name: str) -> Any:
        if name in _SERVERS:
            shell.register_magic_function(lambda *_: _say(f"%{name} shows nothing while this is graded"), "line", name)
            return None
        try:
            return load(name)
        except ModuleNotFoundError as error:
            missing = find_missing(error.name or "")
            if missing is None:
                raise
            text = f"{missing} is not installed here: %load_ext {name} does nothing"
            if missing not in named:
                named.add(missing)
                notify(text, "missing package", missing)
            return _say(text)

    replace_attribute(manager, "load_extension", load_extension)


def _serve_magics(shell: Any) -> None:
    """Report a magic that is unknown or used wrongly in the cell, and go on. It binds no name."""
    run_line, run_cell = shell.run_line_magic, shell.run_cell_magic

    def run_line_magic(magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        try:
            return run_line(magic_name, line, _stack_depth + 1)
        except UsageError as error:
            return _say(str(error))
        except Exception as error:
            if magic_name not in ("gui", "pylab"):  # of a toolkit that is not there
                raise
            return _say(f"%{magic_name} {line}: {error}")

    def run_cell_magic(magic_name: str, line: str, cell: str) -> Any:
        try:
            return run_cell(magic_name, line, cell)
        except UsageError as error:
            _say(str(error))
        if shell.find_cell_magic(magic_name) is None and _is_python(shell, cell):
            shell.run_statements(cell)  # most magics of packages run their cell and look at it
        return None

    def run_magic(line: str) -> Any:
        name, _, rest = line.lstrip("%").partition(" ")
        return shell.run_line_magic(name, rest)

    shell.magic = run_magic  # which IPython had before version 9
    replace_attribute(shell, "run_line_magic", run_line_magic)
    replace_attribute(shell, "run_cell_magic", run_cell_magic)


def _is_python(shell: Any, cell: str) -> bool:
    try:
        compile(shell.transform_cell(cell), "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _serve_folders() -> None:
    """Stay where we are if a notebook changes to a folder that is not here, as that of a mounted Drive."""
    change = os.chdir

    def change_if_there(path: Any) -> None:
        try:
            change(path)
        except FileNotFoundError:
            caller = sys._getframe(1)
            if not is_students(caller) or is_handled(caller, FileNotFoundError):
                raise
            _say(f"there is no folder {os.fspath(path)!s:.200} here: the notebook stays in {os.getcwd()}")

    replace_attribute(os, "chdir", change_if_there)


def _say(text: str) -> None:
    print(f"({text})")

"""Start an assignment: write a small one that works, for the author to change (docs/authoring.md)."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

from grader.errors import InputError

__all__ = ["new_assignment", "refuse_unfit"]

# An assignment like any other, so that tests verify the very files that are copied.
TEMPLATE = Path(__file__).resolve().parent / "template"

_SUFFIXES = (".ipynb", ".py", ".toml")  # without caches and backups of Python and editors


def new_assignment(name: str, folder: Path) -> list[Path]:
    """Write an assignment into a new folder, and return its files.

    Args:
        name: the name of the assignment and of its folder.
        folder: an existing folder to create that folder in.

    Raises:
        InputError: the name is not allowed or is taken, or the files cannot be written.
    """
    refuse_unfit(name)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: create it first, or give an existing one with --into")
    target = folder / name
    try:
        target.mkdir()
    except FileExistsError:
        raise InputError(f"{target} exists already, and nothing was changed: give another name") from None
    except OSError as error:
        raise InputError(f"cannot create {target}: {error.strerror}; give another name, or another folder") from None
    try:
        return [_copy(source, target) for source in sorted(TEMPLATE.rglob("*")) if source.suffix in _SUFFIXES]
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)  # we created it, and half an assignment is of no use
        raise InputError(f"cannot write to {target}: {error.strerror}; give another folder with --into") from None


def refuse_unfit(name: str) -> None:
    """Refuse a name that an assignment cannot have.

    Raises:
        InputError: it is not a plain folder name, or is the name of a Python module.
    """
    if not re.fullmatch(r"[^\W_][\w-]*", name):
        raise InputError(f"{name!r} cannot be the name of an assignment: use letters, digits, _ and -, as in hw3")
    # An assignment is importable under its own name, and would hide the module (grader/judging/solution.py).
    if importlib.util.find_spec(name) is not None:
        raise InputError(f"{name} is a Python module, which the assignment could no longer import: give another name")


def _copy(source: Path, target: Path) -> Path:
    path = target / source.relative_to(TEMPLATE)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(source.read_bytes())  # the content without the mode: installed files may be read-only
    return path

"""Starts an assignment: writes a small one that works, to be changed into one's own (docs/authoring.md)."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

from grader.errors import InputError

__all__ = ["new_assignment", "refuse_unfit"]

# An assignment as any other, so that tests verify the very files that are copied.
TEMPLATE = Path(__file__).resolve().parent / "template"

_KINDS = (".ipynb", ".py", ".toml")  # not what Python or an editor leaves beside them


def new_assignment(name: str, folder: Path) -> list[Path]:
    """Write an assignment into a new folder, and return the files it consists of.

    Args:
        name: the assignment's, and its folder's.
        folder: where that folder is made; it exists.

    Raises:
        InputError: the name is none for an assignment or is taken, or nothing can be written there.
    """
    refuse_unfit(name)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: make it first, or give with --into one that exists")
    target = folder / name
    try:
        target.mkdir()
    except FileExistsError:
        raise InputError(f"{target} exists already, and nothing was changed: give another name") from None
    except OSError as error:
        raise InputError(f"cannot make {target}: {error.strerror}; give another name, or another folder") from None
    try:
        return [_copied(source, target) for source in sorted(TEMPLATE.rglob("*")) if source.suffix in _KINDS]
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)  # ours alone, and half an assignment is none
        raise InputError(f"cannot write to {target}: {error.strerror}; give another folder with --into") from None


def refuse_unfit(name: str) -> None:
    """Refuse what cannot be the name of an assignment.

    Raises:
        InputError: it is no folder's name, or is that of a Python module.
    """
    if not re.fullmatch(r"[^\W_][\w-]*", name):
        raise InputError(
            f"{name!r} is no name for an assignment: give letters and digits, _ and - among them, as in hw3"
        )
    # What an assignment imports under its own name is itself (grader/judging/solution.py).
    if importlib.util.find_spec(name) is not None:
        raise InputError(
            f"{name} is a Python module, which the assignment could not import any more: give another name"
        )


def _copied(source: Path, target: Path) -> Path:
    path = target / source.relative_to(TEMPLATE)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(source.read_bytes())  # the content only: installed files may be read-only
    return path

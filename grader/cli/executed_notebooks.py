"""Write the executed notebooks of `grader check --executed`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grader.errors import InputError
from grader.submission.executed_notebook import ExecutedNotebook

__all__ = ["refuse_folder", "write_executed"]


def refuse_folder(folder: Path, notebooks: Sequence[Path]) -> None:
    """Refuse a folder for executed notebooks before any work is done.

    Raises:
        InputError: it is a file, or it is the folder of the submitted notebooks.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--executed {folder}: it is a file; give a folder")
    if any(path.resolve().parent == folder.resolve() for path in notebooks):
        raise InputError(f"--executed {folder}: it holds the submitted notebooks; give another folder")


def write_executed(folder: Path, notebooks: Sequence[ExecutedNotebook]) -> None:
    """Write each executed notebook under its own name, with a number in front if two have the same name.

    Raises:
        InputError: they cannot be written there.
    """
    names = [Path(notebook.name).stem for notebook in notebooks]
    if len(set(names)) < len(names):
        names = [f"{number}-{name}" for number, name in enumerate(names, 1)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, notebook in zip(names, notebooks, strict=True):
            (folder / f"{name}.ipynb").write_text(notebook.to_json(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the executed notebooks to {folder}: {error.strerror}") from None

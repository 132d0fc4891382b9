"""Which definitions are the student's own: those of the notebook, and of modules that came with it or that it wrote."""

from __future__ import annotations

import inspect
import os
import site
import sys
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

__all__ = ["find_source_file", "is_own_module", "lies_among_packages"]

_MAX_PATH = 200


@cache
def _find_package_folders() -> frozenset[Path]:
    ours = Path(__file__).parents[3]
    roots = (*map(Path, (sys.prefix, sys.base_prefix, *site.getsitepackages())), Path(os.__file__).parent, ours)
    return frozenset(folder for root in roots for folder in (root, root.resolve()))


@cache
def is_own_module(name: str) -> bool:
    """Return whether a module is the notebook itself, or was read from a file that belongs to no installed package.

    Modules without a file, such as stand-ins for packages that are not installed, are not the student's.
    """
    path = getattr(sys.modules.get(name), "__file__", None)
    return name == "__main__" or (isinstance(path, str) and _is_own_file(Path(path).absolute()))


def find_source_file(value: Any, home: Path) -> str:
    """Return the file that a function or a class was read from, or "" if it stands in a notebook.

    Args:
        value: a function, a class or an object.
        home: the working folder. Files inside it are named by their path there, others by their name.
    """
    kind = value if isinstance(value, type | FunctionType) else type(value)
    functions = [inspect.unwrap(kind)] if isinstance(kind, FunctionType) else list(vars(kind).values())
    paths = (Path(item.__code__.co_filename).absolute() for item in functions if isinstance(item, FunctionType))
    path = next(filter(_is_own_file, paths), None)
    if path is None:
        return ""
    return str(path.relative_to(home) if path.is_relative_to(home) else path.name)[:_MAX_PATH]


def lies_among_packages(file: str) -> bool:
    """Return whether a file belongs to Python, to an installed package, or to the grader."""
    return file.startswith("<frozen ") or not _find_package_folders().isdisjoint(Path(file).absolute().parents)


def _is_own_file(path: Path) -> bool:
    return path.suffix == ".py" and path.is_file() and not lies_among_packages(str(path))

"""Loads an assignment's test modules, once for each revision."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from grader.assignment import Assignment, revision_of
from grader.errors import AssignmentError

__all__ = ["load_tests"]

_loaded: dict[str, dict[Path, ModuleType]] = {}


def load_tests(assignment: Assignment) -> dict[Path, ModuleType]:
    """Return the modules of an assignment's test_*.py by path, sorted.

    They are kept for as long as the revision is the same: a worker grades many submissions with one rubric.

    Raises:
        AssignmentError: a file cannot be imported, or changed since the assignment was loaded.
    """
    key = hashlib.sha256(f"{assignment.folder}\n{assignment.revision}".encode()).hexdigest()[:16]
    if key not in _loaded:
        if revision_of(assignment.folder, assignment.reference) != assignment.revision:
            raise AssignmentError(f"{assignment.folder} has changed since it was loaded: load the assignment again")
        _forget(assignment.reference)
        _loaded[key] = _load(assignment.folder, f"_rubric_{key}")
    return _loaded[key]


def _load(folder: Path, package: str) -> dict[Path, ModuleType]:
    # A package of its own, so that two assignments may have files of one name, and a test may import a file beside it.
    parent = ModuleType(package)
    parent.__path__ = [str(folder)]
    sys.modules[package] = parent
    return {path: _import(path, f"{package}.{path.stem}") for path in sorted(folder.glob("test_*.py"))}


def _import(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AssignmentError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise AssignmentError(
            f"{path.name}{where} cannot be imported: {type(error).__name__}: {getattr(error, 'msg', error)}"
        ) from error
    return module


def _forget(reference: Path | None) -> None:
    """Let a changed reference be imported anew, where an older revision of it was imported before."""
    if reference is None or not _loaded:
        return
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(reference):
            del sys.modules[name]

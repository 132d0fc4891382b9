"""Load an assignment's test modules and misconceptions, once for each revision."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from grader.assignment import Assignment
from grader.errors import AssignmentError
from grader.judging.misconceptions import find_misconceptions, write_mutant
from grader.judging.plugin import RubricPlugin
from grader.judging.right_texts import RightTexts
from grader.judging.solution import Solution, list_own_packages, load_solution
from grader.revision import compute_revision
from grader.testing.arguments import Argument
from grader.testing.misconceptions import Misconception

__all__ = ["Rubric", "load_rubric"]


class Rubric:
    """The Python code of an assignment.

    Attributes:
        assignment: the declarations of its rubric.toml.
        tests: the modules of its test_*.py by path, sorted.
        misconceptions: the typical mistakes that it declares.
    """

    def __init__(self, assignment: Assignment, package: str) -> None:
        self.assignment = assignment
        self._package = package
        self._namespaces: dict[str, dict[str, Any]] = {}
        self._plugin: RubricPlugin | None = None
        self.tests = _load(assignment.folder, package, "test_*.py")
        mistakes = _load(assignment.folder / "misconceptions", f"{package}.misconceptions", "*.py")
        self.misconceptions = find_misconceptions(assignment, mistakes.values())

    @property
    def own_packages(self) -> tuple[str, ...]:
        """The names under which the assignment's own code may import itself. Students do not have these packages."""
        return list_own_packages(self.assignment)

    @cached_property
    def solution(self) -> Solution:
        """The model solution."""
        return load_solution(self.assignment)

    @cached_property
    def right_names(self) -> Mapping[str, Any]:
        """The names that the model solution binds."""
        return self.solution.namespace()

    @cached_property
    def right_texts(self) -> RightTexts:
        """The texts of right definitions, none if there is no model solution."""
        return RightTexts(self.assignment, self.solution if self.assignment.reference else Solution(()))

    @cached_property
    def filled_in(self) -> Mapping[str, Sequence[str]]:
        """The names of the parameters that an item's tests can fill in, by the item's id."""
        names: dict[str, set[str]] = {}
        for test in (value for module in self.tests.values() for value in vars(module).values()):
            if hasattr(test, "filled_in"):
                names.setdefault(test.item, set()).update(test.filled_in)
        return {identifier: sorted(filled_in) for identifier, filled_in in names.items()}

    def find_arguments(self, identifier: str) -> tuple[Argument, ...]:
        """Return the arguments that the tests of an item can pass to the student's code."""
        tests = (value for module in self.tests.values() for value in vars(module).values() if hasattr(value, "item"))
        return next((test.arguments for test in tests if test.item == identifier), ())

    @contextmanager
    def lend_plugin(self) -> Iterator[RubricPlugin]:
        """Lend the plugin with the collected tests. After an exception the next call collects them again.

        Raises:
            AssignmentError: a test cannot be collected, or cannot judge anything.
        """
        plugin, self._plugin = self._plugin or RubricPlugin(self.assignment.folder, self.tests), None
        yield plugin
        self._plugin = plugin

    def namespace(self, misconception: Misconception) -> dict[str, Any]:
        """Return the model solution's definitions, with one replaced by a misconception."""
        if misconception.id not in self._namespaces:
            mutated = self.solution.with_definitions(write_mutant(misconception, self.own_packages))
            self._namespaces[misconception.id] = mutated.namespace()
        return self._namespaces[misconception.id]


_loaded: dict[str, Rubric] = {}


def load_rubric(assignment: Assignment) -> Rubric:
    """Return an assignment's test modules and misconceptions.

    They stay loaded as long as the revision is the same, because a worker grades many submissions with one rubric.

    Raises:
        AssignmentError: a file cannot be imported, or has changed since the assignment was loaded.
    """
    key = hashlib.sha256(f"{assignment.folder}\n{assignment.revision}".encode()).hexdigest()[:16]
    if key not in _loaded:
        if compute_revision(assignment.folder, assignment.reference) != assignment.revision:
            raise AssignmentError(f"{assignment.folder} has changed since it was loaded: load the assignment again")
        _forget(assignment.reference)
        with _write_no_bytecode():
            _import_reference(assignment.reference)
            _loaded[key] = Rubric(assignment, f"_rubric_{key}")
    return _loaded[key]


@contextmanager
def _write_no_bytecode() -> Iterator[None]:
    """Import without bytecode files.

    Python compares file times in whole seconds, so a file that changes twice within a second could be loaded as it was.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _load(folder: Path, package: str, pattern: str) -> dict[Path, ModuleType]:
    # Each assignment is a package of its own, so that two may have files of the same name and a test may import a file
    # beside it.
    parent = ModuleType(package)
    parent.__path__ = [str(folder)]
    sys.modules[package] = parent
    return {path: _import(path, f"{package}.{path.stem}") for path in sorted(folder.glob(pattern))}


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


def _import_reference(reference: Path | None) -> None:
    """Import a reference that is a package, so that rubric tests find it under the name of its folder.

    The folder need not be on `sys.path`: an assignment is data, and no installed package. If a package of that name was
    imported from another folder, for example the reference of another assignment, the new one replaces it.
    """
    if reference is None or not (reference / "__init__.py").is_file():
        return
    name = reference.name
    file = getattr(sys.modules.get(name), "__file__", None)
    if file and Path(file).resolve().parent == reference:
        return
    for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[module]
    _import(reference / "__init__.py", name)


def _forget(reference: Path | None) -> None:
    """Drop the modules of an older revision of a reference, so that the changed files are imported."""
    if reference is None or not _loaded:
        return
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(reference):
            del sys.modules[name]

"""Finds out what is to be imported: a notebook, a folder or a zip of another grader's. Nothing of it runs."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.authoring.importing.nbgrader import is_nbgrader, read_nbgrader
from grader.authoring.importing.otter import carries_tests, is_master, read_otter
from grader.authoring.importing.questions import ForeignAssignment
from grader.errors import InputError
from grader.submission.notebook_json import DEFAULT_BOUNDS, Document, parse

__all__ = ["read_source"]

_MOST_FILES = 1000
_TEST_BYTES = 2**20
_STUDENT = ("", "dist/student", "student")  # where otter puts what students get
_IGNORED = {"otter_config.json", "requirements.txt", "environment.yml"}


@dataclass
class _Files:
    """Notebooks and test files by their paths, and the names of settings that are not read."""

    notebooks: dict[str, Document] = field(default_factory=dict)
    tests: dict[str, str] = field(default_factory=dict)
    settings: list[str] = field(default_factory=list)

    def add(self, name: str, data: bytes) -> None:
        path = PurePosixPath(name)
        if path.suffix == ".ipynb":
            self.notebooks[name] = parse(name, data, DEFAULT_BOUNDS)
        elif path.suffix == ".py" and path.parent.name == "tests" and path.name != "__init__.py":
            try:
                self.tests[name] = data.decode()
            except UnicodeDecodeError:
                raise InputError(f"{name}: it is no text in UTF-8: save it so") from None
        elif path.name in _IGNORED:
            self.settings.append(name)


def read_source(path: Path, *, hidden: bool) -> ForeignAssignment:
    """Read an assignment of another grader.

    Args:
        path: a notebook of nbgrader's or with otter's tests in it, a folder or a zip of otter's.
        hidden: whether hidden tests are taken too.

    Raises:
        InputError: it is nothing of this kind, or has no tests.
    """
    if path.is_dir():
        files = _first_with_tests(path)
    elif zipfile.is_zipfile(path):
        files = _from_zip(path)
    elif path.is_file():
        files = _Files()
        files.add(
            path.name if path.suffix == ".ipynb" else f"{path.name}.ipynb", _read(path, DEFAULT_BOUNDS.file_bytes)
        )
    else:
        raise InputError(f"{path} does not exist: give a notebook, a folder or a zip of nbgrader or otter-grader")
    return _source(path, files, hidden)


def _source(path: Path, files: _Files, hidden: bool) -> ForeignAssignment:
    of_nbgrader = {name: each for name, each in files.notebooks.items() if is_nbgrader(each)}
    if files.tests or any(carries_tests(each) or is_master(each) for each in files.notebooks.values()):
        source = read_otter(files.notebooks, files.tests, hidden=hidden)
    elif len(of_nbgrader) > 1:
        names = ", ".join(sorted(of_nbgrader))
        raise InputError(f"{path} has {len(of_nbgrader)} notebooks of nbgrader ({names}): import one at a time")
    elif of_nbgrader:
        source = read_nbgrader(*next(iter(of_nbgrader.items())), hidden=hidden)
    else:
        beside = (
            " beside it is a folder tests: give the folder that both are in,"
            if (path.parent / "tests").is_dir()
            else ""
        )
        raise InputError(
            f"{path} has no tests:{beside} no cell has nbgrader's metadata, and there are no tests/*.py and no "
            "metadata of otter-grader"
        )
    if not source.questions:
        raise InputError(f"{path} has no tests: no cell and no file of it earns points")
    settings = tuple(f"{name}: otter-grader's settings" for name in files.settings)
    return ForeignAssignment(source.grader, source.title, source.cells, source.questions, (*source.left, *settings))


def _first_with_tests(folder: Path) -> _Files:
    found = _Files()
    for below in _STUDENT:
        files = _from_folder(folder / below) if (folder / below).is_dir() else _Files()
        if files.tests or any(is_nbgrader(each) or carries_tests(each) for each in files.notebooks.values()):
            return files
        found = files if files.notebooks else found
    return found


def _from_folder(folder: Path) -> _Files:
    files = _Files()
    paths = [
        *sorted(folder.glob("*.ipynb")),
        *sorted(folder.glob("tests/*.py")),
        *map(folder.joinpath, sorted(_IGNORED)),
    ]
    if len(paths) > _MOST_FILES:
        raise InputError(f"{folder} has more than {_MOST_FILES} notebooks and tests: give the folder of one assignment")
    for path in paths:
        if path.is_file():
            most = DEFAULT_BOUNDS.file_bytes if path.suffix == ".ipynb" else _TEST_BYTES
            files.add(path.relative_to(folder).as_posix(), _read(path, most))
    return files


def _from_zip(path: Path) -> _Files:
    files = _Files()
    try:
        with zipfile.ZipFile(path) as archive:
            for name, data in _members(path, archive):
                files.add(name, data)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read ({error}): make the zip again with `otter generate`") from None
    return files


def _members(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    wanted = [each for each in archive.infolist() if _is_wanted(PurePosixPath(each.filename))]
    if len(wanted) > _MOST_FILES:
        raise InputError(f"{path} has more than {_MOST_FILES} notebooks and tests: give the zip of one assignment")
    for each in wanted:
        most = DEFAULT_BOUNDS.file_bytes if each.filename.endswith(".ipynb") else _TEST_BYTES
        with archive.open(each) as member:
            data = member.read(most + 1)
        yield each.filename, _bounded(f"{path}, {each.filename}", data, most)


def _is_wanted(path: PurePosixPath) -> bool:
    if path.parts[0] == "__MACOSX" or ".ipynb_checkpoints" in path.parts:
        return False
    return path.suffix == ".ipynb" or (path.suffix == ".py" and path.parent.name == "tests") or path.name in _IGNORED


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(str(path), file.read(most + 1), most)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions") from None


def _bounded(name: str, data: bytes, most: int) -> bytes:
    if len(data) > most:
        raise InputError(f"{name} has more than {most / 2**20:g} MiB, which no test or notebook has")
    return data

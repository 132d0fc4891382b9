"""Find out what to import: a notebook, a folder or a zip of another grader. No code runs."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.authoring.importing.nbgrader import is_nbgrader, read_nbgrader
from grader.authoring.importing.otter import has_otter_tests, is_master, read_otter
from grader.authoring.importing.questions import ForeignAssignment
from grader.errors import InputError
from grader.submission.notebook_json import DEFAULT_BOUNDS, Document, parse

__all__ = ["read_source"]

_MAX_FILES = 1000
_MAX_TEST_BYTES = 2**20
_STUDENT_FOLDERS = ("", "dist/student", "student")  # where otter writes the students' files
_SETTINGS = {"otter_config.json", "requirements.txt", "environment.yml"}


@dataclass
class _SourceFiles:
    """Notebooks and test files by path, and the names of settings, which are not read."""

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
                raise InputError(f"{name}: it is not UTF-8 text: save it as UTF-8") from None
        elif path.name in _SETTINGS:
            self.settings.append(name)


def read_source(path: Path, *, hidden: bool) -> ForeignAssignment:
    """Read an assignment of another grader.

    Args:
        path: a notebook of nbgrader, a notebook with otter's tests in its metadata, or a folder or a zip of otter.
        hidden: import hidden tests too.

    Raises:
        InputError: it is none of these, or has no tests.
    """
    if path.is_dir():
        files = _find_folder_with_tests(path)
    elif zipfile.is_zipfile(path):
        files = _read_zip(path)
    elif path.is_file():
        files = _SourceFiles()
        name = path.name if path.suffix == ".ipynb" else f"{path.name}.ipynb"
        files.add(name, _read_file(path, DEFAULT_BOUNDS.file_bytes))
    else:
        raise InputError(f"{path} does not exist: give a notebook, a folder or a zip of nbgrader or otter-grader")
    return _read_files(path, files, hidden)


def _read_files(path: Path, files: _SourceFiles, hidden: bool) -> ForeignAssignment:
    of_nbgrader = {name: document for name, document in files.notebooks.items() if is_nbgrader(document)}
    if files.tests or any(has_otter_tests(document) or is_master(document) for document in files.notebooks.values()):
        source = read_otter(files.notebooks, files.tests, hidden=hidden)
    elif len(of_nbgrader) > 1:
        names = ", ".join(sorted(of_nbgrader))
        raise InputError(f"{path} has {len(of_nbgrader)} notebooks of nbgrader ({names}): import one at a time")
    elif of_nbgrader:
        source = read_nbgrader(*next(iter(of_nbgrader.items())), hidden=hidden)
    elif (path.parent / "tests").is_dir():
        raise InputError(f"{path} has no tests, but there is a folder tests beside it: give the folder that holds both")
    else:
        raise InputError(
            f"{path} has no tests: no cell has nbgrader's metadata, and there are no tests/*.py and no metadata of "
            "otter-grader"
        )
    if not source.questions:
        raise InputError(f"{path} has no tests: no cell and no file in it earns points")
    settings = tuple(f"{name}: otter-grader's settings" for name in files.settings)
    skipped = (*source.skipped, *settings)
    return ForeignAssignment(source.grader, source.title, source.cells, source.questions, skipped)


def _find_folder_with_tests(folder: Path) -> _SourceFiles:
    """Return the files of the first student folder with tests, else of the last one with notebooks."""
    best = _SourceFiles()
    for name in _STUDENT_FOLDERS:
        files = _read_folder(folder / name) if (folder / name).is_dir() else _SourceFiles()
        documents = files.notebooks.values()
        if files.tests or any(is_nbgrader(document) or has_otter_tests(document) for document in documents):
            return files
        best = files if files.notebooks else best
    return best


def _read_folder(folder: Path) -> _SourceFiles:
    files = _SourceFiles()
    paths = [
        *sorted(folder.glob("*.ipynb")),
        *sorted(folder.glob("tests/*.py")),
        *map(folder.joinpath, sorted(_SETTINGS)),
    ]
    if len(paths) > _MAX_FILES:
        raise InputError(f"{folder} has more than {_MAX_FILES} notebooks and tests: give the folder of one assignment")
    for path in paths:
        if path.is_file():
            limit = DEFAULT_BOUNDS.file_bytes if path.suffix == ".ipynb" else _MAX_TEST_BYTES
            files.add(path.relative_to(folder).as_posix(), _read_file(path, limit))
    return files


def _read_zip(path: Path) -> _SourceFiles:
    files = _SourceFiles()
    try:
        with zipfile.ZipFile(path) as archive:
            for name, data in _read_members(path, archive):
                files.add(name, data)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read ({error}): make the zip again with `otter generate`") from None
    return files


def _read_members(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    members = [member for member in archive.infolist() if _is_relevant(PurePosixPath(member.filename))]
    if len(members) > _MAX_FILES:
        raise InputError(f"{path} has more than {_MAX_FILES} notebooks and tests: give the zip of one assignment")
    for member in members:
        limit = DEFAULT_BOUNDS.file_bytes if member.filename.endswith(".ipynb") else _MAX_TEST_BYTES
        with archive.open(member) as file:
            data = file.read(limit + 1)
        yield member.filename, _check_size(f"{path}, {member.filename}", data, limit)


def _is_relevant(path: PurePosixPath) -> bool:
    if path.parts[0] == "__MACOSX" or ".ipynb_checkpoints" in path.parts:
        return False
    return path.suffix == ".ipynb" or (path.suffix == ".py" and path.parent.name == "tests") or path.name in _SETTINGS


def _read_file(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return _check_size(str(path), file.read(limit + 1), limit)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions") from None


def _check_size(name: str, data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise InputError(f"{name} has more than {limit / 2**20:g} MiB, too much for a test or a notebook")
    return data

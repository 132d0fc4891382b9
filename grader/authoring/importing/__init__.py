"""Import assignments of nbgrader and otter-grader: their visible tests become items (docs/importing.md)."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.assignment import PACKAGES, load_assignment
from grader.authoring.importing.names import Bindings
from grader.authoring.importing.questions import ForeignAssignment, Question, QuestionKind
from grader.authoring.importing.refusal import Untranslatable
from grader.authoring.importing.sources import read_source
from grader.authoring.importing.translation import TranslatedTest, translate
from grader.authoring.importing.writer import ImportedItem, render_note, render_rubric, render_tests
from grader.authoring.new import refuse_unfit
from grader.errors import InputError

__all__ = ["ImportedAssignment", "import_assignment"]


@dataclass(frozen=True)
class ImportedAssignment:
    """The result of an import.

    Attributes:
        files: the files that were written.
        by_tests, by_person: the ids of the items, by how they are judged.
        gaps: why items with tests are marked by a person all the same, a sentence each.
        skipped: what was not imported, a sentence each.
        points: the points of all items.
    """

    files: tuple[Path, ...]
    by_tests: tuple[str, ...]
    by_person: tuple[str, ...]
    gaps: tuple[str, ...]
    skipped: tuple[str, ...]
    points: float


def import_assignment(
    path: Path, name: str, folder: Path | None = None, *, hidden: bool = False, strict: bool = False
) -> ImportedAssignment:
    """Write an assignment made from one of nbgrader or otter-grader, without running any of its code.

    Args:
        path: a notebook, a folder or a zip.
        name: the name of the new assignment.
        folder: the folder to create, which must have that name; by default in the current folder.
        hidden: import hidden tests too, as items that show no inputs.
        strict: fail if a test cannot be translated.

    Raises:
        InputError: there is nothing to import, the files cannot be written, or `strict` is set and a test cannot be
            translated.
    """
    refuse_unfit(name)
    folder = folder if folder is not None else Path(name)
    if folder.name != name:
        raise InputError(f"{folder}: an assignment has the name of its folder: give --out .../{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns about the syntax of code that is not ours
        try:
            source = _drop_worthless(read_source(path, hidden=hidden))
            items = _make_items(source)
            gaps = _list_gaps(path, items, strict=strict)
            contents = _render_files(name, source, items)
        except RecursionError:
            raise InputError(f"{path}: its code is nested too deeply: remove generated code from it") from None
    return ImportedAssignment(
        files=_write(folder, contents),
        by_tests=tuple(item.id for item in items if item.tests),
        by_person=tuple(item.id for item in items if not item.tests),
        gaps=gaps,
        skipped=source.skipped,
        points=load_assignment(folder).points,
    )


def _drop_worthless(source: ForeignAssignment) -> ForeignAssignment:
    """Return the source without the questions that earn no points: a rubric has no such items."""
    worthless = [question for question in source.questions if question.points <= 0]
    skipped = (*source.skipped, *(f"{question.location}: {question.id} earns no points" for question in worthless))
    questions = tuple(question for question in source.questions if question.points > 0)
    return replace(source, questions=questions, skipped=skipped)


def _list_gaps(path: Path, items: Sequence[ImportedItem], *, strict: bool) -> tuple[str, ...]:
    """Return why items with tests are marked by a person all the same.

    Raises:
        InputError: there are such items and `strict` is set, or no item can be judged by a test.
    """
    gaps = tuple(f"{item.question.location}: {item.id} {item.reason}" for item in items if item.reason)
    if strict and gaps:
        raise InputError(f"{gaps[0]} ({len(gaps)} such in all): leave --strict out to have a person mark it")
    if not any(item.tests for item in items):
        reason = f" ({gaps[0]})" if gaps else ""
        raise InputError(f"{path} has no tests that can be run apart from the student's code{reason}")
    return gaps


def _render_files(name: str, source: ForeignAssignment, items: Sequence[ImportedItem]) -> dict[str, str]:
    """Return the content of each file of the assignment, by file name."""
    packages = _list_packages(source)
    return {
        "rubric.toml": render_rubric(source.title or name, items, packages),
        f"test_{re.sub(r'[^0-9A-Za-z_]', '_', name)}.py": render_tests(source, items),
        "IMPORTED.md": render_note(source, name, items, packages),
    }


def _make_items(source: ForeignAssignment) -> list[ImportedItem]:
    notebook = Bindings(source.cells)
    items: list[ImportedItem] = []
    tests: list[TranslatedTest]
    for question in source.questions:
        identifier = _make_id(question, [item.id for item in items])
        tests, reason = [], question.reason
        if question.kind is not QuestionKind.PERSON:
            try:
                tests = [translate(part, question, notebook) for part in question.parts]
            except Untranslatable as error:
                reason = str(error)
        items.append(ImportedItem(identifier, question, tuple(tests), reason))
    return items


def _make_id(question: Question, taken: Sequence[str]) -> str:
    """Return an id that gradebooks accept and that is not among `taken`."""
    plain = re.sub(r"[^\w.-]+", "_", question.id)[:100].strip("_") or "question"
    numbered = (f"{plain}_{number}" for number in range(2, len(taken) + 3))
    return plain if plain not in taken else next(name for name in numbered if name not in taken)


def _list_packages(source: ForeignAssignment) -> list[str]:
    """Return which of the course's packages the notebook imports, always with torch and numpy."""
    code = "\n".join(source.cells)
    used = [name for name in PACKAGES if re.search(rf"\b(import|from)\s+{re.escape(name.partition('.')[0])}\b", code)]
    return list(dict.fromkeys(["torch", "numpy", *used]))


def _write(folder: Path, contents: dict[str, str]) -> tuple[Path, ...]:
    try:
        folder.mkdir()
    except FileExistsError:
        raise InputError(f"{folder} exists already, and nothing was changed: give another --name or --out") from None
    except OSError as error:
        raise InputError(f"cannot create {folder}: {error.strerror}; give another folder with --out") from None
    try:
        for name, content in contents.items():
            (folder / name).write_bytes(content.encode("utf-8", "replace"))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # we created it, and half an assignment is of no use
        raise InputError(f"cannot write to {folder}: {error.strerror}; give another folder with --out") from None
    return tuple(folder / name for name in contents)

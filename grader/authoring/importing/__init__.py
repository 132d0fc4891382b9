"""Imports assignments of nbgrader and otter-grader: their visible tests become items (docs/importing.md)."""

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
from grader.authoring.importing.translation import Translated, translate
from grader.authoring.importing.writer import Taken, render_note, render_rubric, render_tests
from grader.authoring.new import refuse_unfit
from grader.errors import InputError

__all__ = ["Imported", "import_assignment"]


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    Attributes:
        files: what was written.
        by_tests, by_person: the ids of the items.
        gaps: why items that had tests are marked by a person, a sentence each.
        left: what was not taken, a sentence each.
        points: of all items.
    """

    files: tuple[Path, ...]
    by_tests: tuple[str, ...]
    by_person: tuple[str, ...]
    gaps: tuple[str, ...]
    left: tuple[str, ...]
    points: float


def import_assignment(
    path: Path, name: str, folder: Path | None = None, *, hidden: bool = False, strict: bool = False
) -> Imported:
    """Write an assignment of ours from one of nbgrader or otter-grader; nothing of it is run.

    Args:
        path: a notebook, a folder or a zip.
        name: what it is to be called.
        folder: the folder to make, which has that name; by default here.
        hidden: take hidden tests too, as items that show no inputs.
        strict: refuse where a test cannot be translated.

    Raises:
        InputError: there is nothing to import, or nothing can be written, or a test cannot be translated and `strict`.
    """
    refuse_unfit(name)
    folder = folder if folder is not None else Path(name)
    if folder.name != name:
        raise InputError(f"{folder}: an assignment is called as its folder: give --out .../{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's, about the syntax of code that is not ours
        try:
            source = _worth_points(read_source(path, hidden=hidden))
            taken = _taken(source)
            gaps = _gaps(path, taken, strict=strict)
            contents = _contents(name, source, taken)
        except RecursionError:
            raise InputError(f"{path}: its code is nested too deeply: take what is generated out of it") from None
    return Imported(
        files=_written(folder, contents),
        by_tests=tuple(each.id for each in taken if each.tests),
        by_person=tuple(each.id for each in taken if not each.tests),
        gaps=gaps,
        left=source.left,
        points=load_assignment(folder).points,
    )


def _worth_points(source: ForeignAssignment) -> ForeignAssignment:
    """Return a source without the questions that earn nothing, which no rubric has."""
    worthless = [each for each in source.questions if each.points <= 0]
    left = (*source.left, *(f"{each.place}: {each.id} earns no points" for each in worthless))
    return replace(source, questions=tuple(each for each in source.questions if each.points > 0), left=left)


def _gaps(path: Path, taken: Sequence[Taken], *, strict: bool) -> tuple[str, ...]:
    """Return what has tests and is marked by a person all the same."""
    gaps = tuple(f"{each.question.place}: {each.id} {each.why}" for each in taken if each.why)
    if strict and gaps:
        raise InputError(f"{gaps[0]} ({len(gaps)} such in all): leave --strict out to have a person mark it")
    if not any(each.tests for each in taken):
        why = f" ({gaps[0]})" if gaps else ""
        raise InputError(f"{path} has no tests that can be run apart from the student's code{why}")
    return gaps


def _contents(name: str, source: ForeignAssignment, taken: Sequence[Taken]) -> dict[str, str]:
    packages = _packages(source)
    return {
        "rubric.toml": render_rubric(source.title or name, taken, packages),
        f"test_{re.sub(r'[^0-9A-Za-z_]', '_', name)}.py": render_tests(source, taken),
        "IMPORTED.md": render_note(source, name, taken, packages),
    }


def _taken(source: ForeignAssignment) -> list[Taken]:
    notebook = Bindings(source.cells)
    taken: list[Taken] = []
    made: list[Translated]
    for question in source.questions:
        identifier = _identifier(question, [each.id for each in taken])
        made, why = [], question.why
        if question.form is not QuestionKind.PERSON:
            try:
                made = [translate(part, question, notebook) for part in question.parts]
            except Untranslatable as error:
                why = str(error)
        taken.append(Taken(identifier, question, tuple(made), why))
    return taken


def _identifier(question: Question, others: Sequence[str]) -> str:
    """Return a question's id as gradebooks can have it, and no two the same."""
    plain = re.sub(r"[^\w.-]+", "_", question.id)[:100].strip("_") or "question"
    numbers = (f"{plain}_{number}" for number in range(2, len(others) + 3))
    return plain if plain not in others else next(each for each in numbers if each not in others)


def _packages(source: ForeignAssignment) -> list[str]:
    """Return which of the course's packages the notebook imports, torch and numpy at least."""
    code = "\n".join(source.cells)
    used = [each for each in PACKAGES if re.search(rf"\b(import|from)\s+{re.escape(each.partition('.')[0])}\b", code)]
    return list(dict.fromkeys(["torch", "numpy", *used]))


def _written(folder: Path, contents: dict[str, str]) -> tuple[Path, ...]:
    try:
        folder.mkdir()
    except FileExistsError:
        raise InputError(f"{folder} exists already, and nothing was changed: give another --name or --out") from None
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror}; give another folder with --out") from None
    try:
        for name, content in contents.items():
            (folder / name).write_bytes(content.encode("utf-8", "replace"))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # ours alone, and half an assignment is none
        raise InputError(f"cannot write to {folder}: {error.strerror}; give another folder with --out") from None
    return tuple(folder / name for name in contents)

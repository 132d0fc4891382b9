"""Reads assignments of otter-grader: test files in OK's format, those that raise, and tests in a notebook."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

from grader.authoring.importing.questions import ForeignAssignment, Headings, Question, QuestionKind
from grader.authoring.importing.refusal import NOT_PYTHON
from grader.errors import InputError
from grader.submission.notebook_json import Document

__all__ = ["carries_tests", "is_master", "read_otter"]

_CHECK = re.compile(r"\.\s*check\(\s*[\"']([^\"']+)[\"']")
_MASTER = re.compile(r"^\s*#\s*(BEGIN QUESTION|ASSIGNMENT CONFIG)\b", re.MULTILINE)
_HEADER = ("OK_FORMAT", "name", "points", "test", "all_or_nothing")


@dataclass(frozen=True)
class _Case:
    """One test case of a file; `points` is None where its author does not say."""

    form: QuestionKind
    code: str
    hidden: bool
    points: float | None
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class _File:
    """One test file."""

    place: str
    name: str
    cases: tuple[_Case, ...]
    points: float | Sequence[float] | None
    whole: bool  # all of its points or none


def carries_tests(document: Document) -> bool:
    """Tell whether a notebook has otter's tests in its metadata."""
    return bool(_tests_of(document))


def is_master(document: Document) -> bool:
    """Tell whether otter makes other notebooks from this one."""
    return any(cell.get("cell_type") == "raw" and _MASTER.search(str(cell["source"])) for cell in document.cells)


def read_otter(notebooks: Mapping[str, Document], files: Mapping[str, str], *, hidden: bool) -> ForeignAssignment:
    """Read an assignment of otter-grader.

    Args:
        notebooks: those that are there by name; the first has the sections.
        files: the sources of the test files by name.
        hidden: whether hidden cases are taken too.

    Raises:
        InputError: a test file is none, or the notebook is a master from which otter has not made any.
    """
    found = [_from_source(name, source) for name, source in sorted(files.items(), key=lambda each: _natural(each[0]))]
    for notebook, document in notebooks.items():
        if is_master(document):
            raise InputError(
                f"{notebook}: it is a master: run `otter assign`, and import the folder dist/student it makes"
            )
        found += [_from_metadata(f"{notebook}, test {name}", spec) for name, spec in _tests_of(document).items()]
    first = next(iter(notebooks.values()), None)
    title, sections = _sections(first)
    questions: list[Question] = []
    left: list[str] = []
    for file in {each.name: each for each in found}.values():
        each_taken, each_left = _questions(file, sections.get(file.name, ""), hidden=hidden)
        questions += each_taken
        left += each_left
    cells = [str(cell["source"]) for cell in first.cells if cell.get("cell_type") == "code"] if first else []
    return ForeignAssignment("otter-grader", title, tuple(cells), tuple(questions), tuple(left))


def _tests_of(document: Document) -> Mapping[str, Any]:
    metadata = document.metadata.get("otter")
    tests = metadata.get("tests") if isinstance(metadata, dict) else None
    return tests if isinstance(tests, dict) else {}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort q2 before q10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _sections(document: Document | None) -> tuple[str, dict[str, str]]:
    """Return the title of a notebook, and the heading above the cell that checks each question."""
    headings = Headings()
    sections: dict[str, str] = {}
    for cell in document.cells if document else ():
        source = str(cell["source"])
        if cell.get("cell_type") == "markdown":
            headings.read(source)
        elif cell.get("cell_type") == "code":
            sections |= {match[1]: headings.last for match in _CHECK.finditer(source) if match[1] not in sections}
    return headings.first, sections


def _from_metadata(place: str, spec: Any) -> _File:
    if isinstance(spec, str):
        return _from_source(place, spec)
    if isinstance(spec, dict):
        return _from_specification(place, spec)
    raise InputError(f"{place}: it is no test of otter: make the notebook again with `otter assign`")


def _from_source(place: str, source: str) -> _File:
    """Read a test file without running it."""
    try:
        tree = ast.parse(source)
    except NOT_PYTHON as error:
        raise InputError(f"{place}: it is no Python ({error}): give a folder whose tests/*.py are otter's") from None
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in _HEADER
    }
    if "test" in values:
        return _from_specification(place, _literal(place, "test", values["test"]))
    cases = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _marked(node) is not None]
    if not cases or "name" not in values:
        raise InputError(
            f"{place}: it has neither `test = ...` nor a name and @test_case functions, as otter's tests have"
        )
    before = [node for node in tree.body if node not in cases and not _is_header(node)]
    points = _literal(place, "points", values["points"]) if "points" in values else None
    sources = tuple(ast.unparse(node) for node in before)
    made = tuple(_case(place, node, sources) for node in cases)
    return _File(place, str(_literal(place, "name", values["name"])), made, points, whole=False)


def _literal(place: str, name: str, node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise InputError(f"{place}: its {name} is computed, and nothing is run to import it: write it out") from None


def _is_header(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] == "otter"
    names = (
        [target.id for target in node.targets if isinstance(target, ast.Name)] if isinstance(node, ast.Assign) else []
    )
    return bool(set(names) & set(_HEADER))


def _marked(node: ast.FunctionDef) -> ast.expr | None:
    """Return the decorator that makes a function a test case."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(called).rpartition(".")[2] == "test_case":
            return decorator
    return None


def _case(place: str, node: ast.FunctionDef, before: tuple[str, ...]) -> _Case:
    decorator = _marked(node)
    options: dict[str, Any] = {}
    if isinstance(decorator, ast.Call):
        order = ("name", "points", "hidden")
        given = [*zip(order, decorator.args, strict=False)]
        given += [(each.arg, each.value) for each in decorator.keywords if each.arg in order]
        options = {name: _literal(place, name, value) for name, value in given}
    code = "\n".join(ast.unparse(each) for each in _without_environment(node).body)
    hidden, points = options.get("hidden", False), options.get("points")
    return _Case(QuestionKind.STATEMENTS, code, bool(hidden), points, before)


class _Environment(ast.NodeTransformer):
    """Writes `env["name"]` as `name`: both are the student's."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        key = node.slice
        named = isinstance(node.value, ast.Name) and node.value.id == "env"
        if named and isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isidentifier():
            return ast.copy_location(ast.Name(key.value, node.ctx), node)
        return node


def _without_environment(node: ast.FunctionDef) -> ast.FunctionDef:
    changed: ast.FunctionDef = _Environment().visit(node)
    return changed


def _from_specification(place: str, spec: Any) -> _File:
    """Read a test in OK's format, of which otter takes one suite of doctests."""
    suites = spec.get("suites") if isinstance(spec, dict) else None
    if not isinstance(suites, list) or len(suites) != 1 or not isinstance(suites[0], dict) or "name" not in spec:
        raise InputError(f"{place}: otter takes tests with a name and one suite, and this is none")
    suite = suites[0]
    if suite.get("type", "doctest") != "doctest" or suite.get("setup") or suite.get("teardown"):
        raise InputError(
            f"{place}: otter takes suites of doctests without setup and teardown: move them into the cases"
        )
    listed = suite.get("cases")
    if not isinstance(listed, list) or not all(isinstance(each, dict) and "code" in each for each in listed):
        raise InputError(f"{place}: its cases have no code")
    cases = tuple(
        _Case(QuestionKind.EXAMPLES, dedent(str(each["code"])), bool(each.get("hidden", True)), each.get("points"))
        for each in listed
    )
    return _File(place, str(spec["name"]), cases, spec.get("points"), bool(spec.get("all_or_nothing", True)))


def _questions(file: _File, section: str, *, hidden: bool) -> tuple[list[Question], list[str]]:
    """Return what a test file asks, and what of it is left out."""
    points = _points(file)
    numbered = list(enumerate(zip(file.cases, points, strict=True), start=1))
    dropped = [number for number, (case, _) in numbered if case.hidden and not hidden]
    if file.whole or len(file.cases) == 1:
        taken = [case for number, (case, _) in numbered if number not in dropped]
        left = [f"{file.place}: {_cases(dropped)} of {file.name}, hidden; it keeps its points"] if dropped else []
        return [_whole(file, section, taken, sum(points))], left
    questions = [
        Question(
            f"{file.name}.{number}",
            section,
            worth,
            f"{file.place}, case {number}",
            case.form,
            (case.code,),
            case.before,
            case.hidden,
        )
        for number, (case, worth) in numbered
        if number not in dropped
    ]
    lost = sum(points[number - 1] for number in dropped)
    return questions, [
        f"{file.place}: {_cases(dropped)} of {file.name}, hidden, with {lost:g} points"
    ] if dropped else []


def _cases(numbers: Sequence[int]) -> str:
    return f"{'case' if len(numbers) == 1 else 'cases'} {', '.join(map(str, numbers))}"


def _whole(file: _File, section: str, cases: Sequence[_Case], points: float) -> Question:
    if not cases:
        why = "all of its cases are hidden: --hidden takes them"
        return Question(file.name, section, points, file.place, QuestionKind.PERSON, why=why)
    parts = tuple(case.code for case in cases)
    hidden = any(case.hidden for case in cases)
    return Question(file.name, section, points, file.place, cases[0].form, parts, cases[0].before, hidden)


def _points(file: _File) -> list[float]:
    """Return what each case is worth: what is said of it, or an even share of what is left of the file's points."""
    said: list[float | None] = [case.points for case in file.cases]
    total: float | None = None
    if isinstance(file.points, list | tuple):
        if len(file.points) != len(said):
            raise InputError(f"{file.place}: it has {len(file.points)} points for {len(said)} cases: give as many")
        said = list(file.points)
    else:
        total = file.points  # type: ignore[assignment]  # whatever its author wrote; looked at below
    for value in (*said, total):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise InputError(f"{file.place}: its points are {value!r:.40}: give numbers")
    open_cases = said.count(None)
    spent = sum(value for value in said if value is not None)
    if total is None:  # a file that says nothing is worth one point
        total = spent or 1
    if spent > total:
        raise InputError(f"{file.place}: its cases have {spent:g} points, and it has {total:g}: make them agree")
    share = (total - spent) / open_cases if open_cases else 0
    return [share if value is None else value for value in said]

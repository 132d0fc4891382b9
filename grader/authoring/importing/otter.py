"""Read assignments of otter-grader: test files in OK's format, test files that raise, and tests in a notebook."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

from grader.authoring.importing.otter_manual import read_manual_questions
from grader.authoring.importing.questions import ForeignAssignment, Headings, Question, QuestionKind
from grader.authoring.importing.refusal import NOT_PYTHON
from grader.errors import InputError
from grader.submission.notebook_json import Document

__all__ = ["has_otter_tests", "is_master", "read_otter"]

_CHECK = re.compile(r"\.\s*check\(\s*[\"']([^\"']+)[\"']")
_MASTER = re.compile(r"^\s*#\s*(BEGIN QUESTION|ASSIGNMENT CONFIG)\b", re.MULTILINE)
_HEADER = ("OK_FORMAT", "name", "points", "test", "all_or_nothing")


@dataclass(frozen=True)
class _TestCase:
    """One case of a test file; `points` is None if the author gives none."""

    kind: QuestionKind
    code: str
    hidden: bool
    points: float | None
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class _TestFile:
    """One test file; `all_or_nothing` says whether only all cases together earn points."""

    location: str
    name: str
    cases: tuple[_TestCase, ...]
    points: float | Sequence[float] | None
    all_or_nothing: bool


def has_otter_tests(document: Document) -> bool:
    """Tell whether a notebook has otter's tests in its metadata."""
    return bool(_get_tests(document))


def is_master(document: Document) -> bool:
    """Tell whether the notebook is a master, from which `otter assign` makes the students' notebook."""
    return any(cell.get("cell_type") == "raw" and _MASTER.search(str(cell["source"])) for cell in document.cells)


def read_otter(notebooks: Mapping[str, Document], files: Mapping[str, str], *, hidden: bool) -> ForeignAssignment:
    """Read an assignment of otter-grader.

    Args:
        notebooks: the notebooks by name; title and sections are those of the first.
        files: the sources of the test files by name.
        hidden: import hidden cases too.

    Raises:
        InputError: a test file is not one of otter's, or a notebook is a master.
    """
    in_order = sorted(files.items(), key=lambda file: _split_numbers(file[0]))
    test_files = [_read_test_source(name, source) for name, source in in_order]
    for notebook, document in notebooks.items():
        if is_master(document):
            raise InputError(
                f"{notebook}: it is a master: run `otter assign`, and import the folder dist/student it makes"
            )
        test_files += [_read_metadata(f"{notebook}, test {name}", spec) for name, spec in _get_tests(document).items()]
    first = next(iter(notebooks.values()), None)
    title, sections = _read_sections(first)
    questions: list[Question] = []
    skipped: list[str] = []
    for file in {file.name: file for file in test_files}.values():
        from_file, skipped_in_file = _make_questions(file, sections.get(file.name, ""), hidden=hidden)
        questions += from_file
        skipped += skipped_in_file
    if first:
        questions += read_manual_questions(next(iter(notebooks)), first)
    cells = [str(cell["source"]) for cell in first.cells if cell.get("cell_type") == "code"] if first else []
    return ForeignAssignment("otter-grader", title, tuple(cells), tuple(questions), tuple(skipped))


def _get_tests(document: Document) -> Mapping[str, Any]:
    metadata = document.metadata.get("otter")
    tests = metadata.get("tests") if isinstance(metadata, dict) else None
    return tests if isinstance(tests, dict) else {}


def _split_numbers(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts q2 before q10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _read_sections(document: Document | None) -> tuple[str, dict[str, str]]:
    """Return the title of a notebook, and by question the heading above the cell that checks it."""
    headings = Headings()
    sections: dict[str, str] = {}
    for cell in document.cells if document else ():
        source = str(cell["source"])
        if cell.get("cell_type") == "markdown":
            headings.read(source)
        elif cell.get("cell_type") == "code":
            sections |= {match[1]: headings.last for match in _CHECK.finditer(source) if match[1] not in sections}
    return headings.first, sections


def _read_metadata(location: str, spec: Any) -> _TestFile:
    if isinstance(spec, str):
        return _read_test_source(location, spec)
    if isinstance(spec, dict):
        return _read_specification(location, spec)
    raise InputError(f"{location}: it is not a test of otter: make the notebook again with `otter assign`")


def _read_test_source(location: str, source: str) -> _TestFile:
    """Read a test file without running it."""
    try:
        tree = ast.parse(source)
    except NOT_PYTHON as error:
        raise InputError(f"{location}: it is not Python ({error}): give a folder with otter's tests/*.py") from None
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in _HEADER
    }
    if "test" in values:
        return _read_specification(location, _evaluate(location, "test", values["test"]))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _find_decorator(node) is not None]
    if not functions or "name" not in values:
        raise InputError(
            f"{location}: otter's tests have `test = ...`, or a name and @test_case functions; this has neither"
        )
    others = [node for node in tree.body if node not in functions and not _is_header(node)]
    points = _evaluate(location, "points", values["points"]) if "points" in values else None
    before = tuple(ast.unparse(node) for node in others)
    cases = tuple(_read_case(location, node, before) for node in functions)
    name = str(_evaluate(location, "name", values["name"]))
    return _TestFile(location, name, cases, points, all_or_nothing=False)


def _evaluate(location: str, name: str, node: ast.expr) -> Any:
    """Return the value of a literal.

    Raises:
        InputError: it is not a literal.
    """
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise InputError(
            f"{location}: its {name} is computed, but no code is run to import it: write the value out"
        ) from None


def _is_header(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] == "otter"
    names = (
        [target.id for target in node.targets if isinstance(target, ast.Name)] if isinstance(node, ast.Assign) else []
    )
    return bool(set(names) & set(_HEADER))


def _find_decorator(node: ast.FunctionDef) -> ast.expr | None:
    """Return the decorator that makes a function a test case."""
    for decorator in node.decorator_list:
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(function).rpartition(".")[2] == "test_case":
            return decorator
    return None


def _read_case(location: str, node: ast.FunctionDef, before: tuple[str, ...]) -> _TestCase:
    decorator = _find_decorator(node)
    options: dict[str, Any] = {}
    if isinstance(decorator, ast.Call):
        order = ("name", "points", "hidden")
        arguments = [*zip(order, decorator.args, strict=False)]
        arguments += [(keyword.arg, keyword.value) for keyword in decorator.keywords if keyword.arg in order]
        options = {name: _evaluate(location, name, value) for name, value in arguments}
    code = "\n".join(ast.unparse(statement) for statement in _replace_environment(node).body)
    hidden, points = options.get("hidden", False), options.get("points")
    return _TestCase(QuestionKind.STATEMENTS, code, bool(hidden), points, before)


class _EnvironmentReplacer(ast.NodeTransformer):
    """Write `env["name"]` as `name`: both stand for what the student defined."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        key = node.slice
        is_environment = isinstance(node.value, ast.Name) and node.value.id == "env"
        if is_environment and isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isidentifier():
            return ast.copy_location(ast.Name(key.value, node.ctx), node)
        return node


def _replace_environment(node: ast.FunctionDef) -> ast.FunctionDef:
    replaced: ast.FunctionDef = _EnvironmentReplacer().visit(node)
    return replaced


def _read_specification(location: str, spec: Any) -> _TestFile:
    """Read a test in OK's format. Like otter, accept one suite of doctests."""
    suites = spec.get("suites") if isinstance(spec, dict) else None
    if not isinstance(suites, list) or len(suites) != 1 or not isinstance(suites[0], dict) or "name" not in spec:
        raise InputError(f"{location}: otter's tests have a name and one suite, and this has not")
    suite = suites[0]
    if suite.get("type", "doctest") != "doctest" or suite.get("setup") or suite.get("teardown"):
        raise InputError(
            f"{location}: otter accepts suites of doctests without setup and teardown: move them into the cases"
        )
    listed = suite.get("cases")
    if not isinstance(listed, list) or not all(isinstance(case, dict) and "code" in case for case in listed):
        raise InputError(f"{location}: its cases have no code")
    cases = tuple(
        _TestCase(QuestionKind.EXAMPLES, dedent(str(case["code"])), bool(case.get("hidden", True)), case.get("points"))
        for case in listed
    )
    return _TestFile(location, str(spec["name"]), cases, spec.get("points"), bool(spec.get("all_or_nothing", True)))


def _make_questions(file: _TestFile, section: str, *, hidden: bool) -> tuple[list[Question], list[str]]:
    """Return the questions of a test file, and what of it was skipped, a sentence each."""
    points = _share_points(file)
    numbered = list(enumerate(zip(file.cases, points, strict=True), start=1))
    dropped = [number for number, (case, _) in numbered if case.hidden and not hidden]
    described = f"{file.location}: {_describe_cases(dropped)} of {file.name}, hidden"
    if file.all_or_nothing or len(file.cases) == 1:
        cases = [case for number, (case, _) in numbered if number not in dropped]
        skipped = [f"{described}; it keeps its points"] if dropped else []
        return [_combine(file, section, cases, sum(points))], skipped
    questions = [
        Question(
            f"{file.name}.{number}",
            section,
            worth,
            f"{file.location}, case {number}",
            case.kind,
            (case.code,),
            case.before,
            case.hidden,
        )
        for number, (case, worth) in numbered
        if number not in dropped
    ]
    lost = sum(points[number - 1] for number in dropped)
    return questions, [f"{described}, with {lost:g} points"] if dropped else []


def _describe_cases(numbers: Sequence[int]) -> str:
    return f"{'case' if len(numbers) == 1 else 'cases'} {', '.join(map(str, numbers))}"


def _combine(file: _TestFile, section: str, cases: Sequence[_TestCase], points: float) -> Question:
    """Return one question made of several cases."""
    if not cases:
        reason = "has hidden cases only: --hidden imports them"
        return Question(file.name, section, points, file.location, QuestionKind.PERSON, reason=reason)
    parts = tuple(case.code for case in cases)
    hidden = any(case.hidden for case in cases)
    return Question(file.name, section, points, file.location, cases[0].kind, parts, cases[0].before, hidden)


def _share_points(file: _TestFile) -> list[float]:
    """Return the points of each case: its own, or an even share of the rest of the file's points."""
    own: list[float | None] = [case.points for case in file.cases]
    total: float | None = None
    if isinstance(file.points, list | tuple):
        if len(file.points) != len(own):
            raise InputError(f"{file.location}: it has {len(file.points)} points for {len(own)} cases: give as many")
        own = list(file.points)
    else:
        total = file.points  # type: ignore[assignment]  # any value the author wrote; checked below
    for value in (*own, total):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise InputError(f"{file.location}: its points are {value!r:.40}: give numbers")
    open_cases = own.count(None)
    spent = sum(value for value in own if value is not None)
    if total is None:  # a file without points is worth one point
        total = spent or 1
    if spent > total:
        raise InputError(f"{file.location}: its cases have {spent:g} points, and it has {total:g}: make them agree")
    share = (total - spent) / open_cases if open_cases else 0
    return [share if value is None else value for value in own]

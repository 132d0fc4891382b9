"""Write an imported assignment: rubric.toml, the tests, and a page that lists what was imported and what was not."""

from __future__ import annotations

import ast
import json
import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grader.assignment import AnswerCells
from grader.authoring.importing.questions import ForeignAssignment, Question
from grader.authoring.importing.scopes import wrap_in_function
from grader.authoring.importing.translation import TranslatedTest

__all__ = ["ImportedItem", "render_note", "render_rubric", "render_tests"]


@dataclass(frozen=True)
class ImportedItem:
    """A question that becomes an item. Without tests a person marks it, and `reason` says why."""

    id: str
    question: Question
    tests: tuple[TranslatedTest, ...]
    reason: str = ""

    @property
    def names(self) -> list[str]:
        """The student's names that its tests use."""
        return list(dict.fromkeys(name for test in self.tests for name in test.names))


def render_rubric(title: str, items: Sequence[ImportedItem], packages: Sequence[str]) -> str:
    """Return rubric.toml."""
    sections = dict.fromkeys(_get_section(item) for item in items)
    keys = {section: f"s{number}" for number, section in enumerate(sections, 1)}
    variables = sorted({name for item in items for test in item.tests for name in test.variables})
    lines = [
        f"title = {_quote_toml(title)}",
        f"points = {_format_number(math.fsum(item.question.points for item in items))}",
        f"packages = {_quote_toml(list(packages))}",
        *([f"variables = {_quote_toml(variables)}"] if variables else []),
        "",
        "[sections]",
        *(f"{key} = {_quote_toml(section)}" for section, key in keys.items()),
    ]
    for item in items:
        lines += ["", "[[items]]", f"id = {_quote_toml(item.id)}", f"section = {_quote_toml(keys[_get_section(item)])}"]
        lines += [f"title = {_quote_toml(item.question.id)}", f"points = {_format_number(item.question.points)}"]
        if not item.tests:
            lines += ['marked_by = "person"', *_render_answer(item.question.answer)]
            continue
        lines += [f"names = {_quote_toml(item.names)}"] if item.names else []
        lines += ["visible = false"] if item.question.hidden else []
    return "\n".join(lines) + "\n"


def _render_answer(answer: AnswerCells) -> list[str]:
    """Return the line of rubric.toml that names the cells with an answer, if they are known."""
    ids = f"cell_ids = {_quote_toml(list(answer.cell_ids))}" if answer.cell_ids else ""
    below = f"below = {_quote_toml(answer.below)}" if answer.below else ""
    keys = [key for key in (ids, below) if key]
    return [f"answer = {{{', '.join(keys)}}}"] if keys else []


def render_tests(source: ForeignAssignment, items: Sequence[ImportedItem]) -> str:
    """Return the file with the tests."""
    pairs = [(item, test) for item in items for test in item.tests]
    functions = [_render_function(number, item, test) for number, (item, test) in enumerate(pairs, 1)]
    imports = ["as_written", "item"]
    if any("Shown(" in function for function in functions):
        imports.insert(0, "Shown")
    head = f'"""Tests imported from {source.grader}. IMPORTED.md lists what was imported and what was not."""\n\n'
    bodies = "".join(f"\n\n{function}" for function in functions)
    return head + f"from grader.testing import {', '.join(imports)}\n" + bodies


def _render_function(number: int, item: ImportedItem, test: TranslatedTest) -> str:
    name = f"test_{number:02}_{re.sub(r'[^0-9a-z]+', '_', item.id.lower()).strip('_')}".rstrip("_")
    readable = ", ".join(map(_quote_python, test.readable))
    location = " ".join(item.question.location.split()).replace("\\", "/").replace('"', "'")
    signature = f"def {name}({', '.join(test.names)}):"
    head = f'@item({_quote_python(item.id)})\n@as_written({readable})\n{signature}\n    """{location}."""\n'
    return head + textwrap.indent("".join(_render_body(test)), "    ", lambda line: bool(line.strip()))


def _render_body(test: TranslatedTest) -> Iterator[str]:
    """Yield the copied statements and the test's own, the latter in the author's formatting if possible."""
    code = test.code.strip("\n")
    indented = textwrap.indent(code, "    ", lambda line: bool(line.strip()))
    try:
        is_unchanged = _dump(f"def test():\n{indented}\n") == _dump(wrap_in_function(test.body))
    except SyntaxError:
        is_unchanged = False
    yield _unparse(test.copied) + ("\n" if test.copied else "")
    yield code + "\n" if is_unchanged else _unparse(test.body)


def _dump(function: str) -> str:
    return ast.dump(ast.parse(function))


def _unparse(statements: Sequence[ast.stmt]) -> str:
    return "".join(f"{ast.unparse(ast.fix_missing_locations(statement))}\n" for statement in statements)


def render_note(source: ForeignAssignment, name: str, items: Sequence[ImportedItem], packages: Sequence[str]) -> str:
    """Return IMPORTED.md."""
    points = math.fsum(item.question.points for item in items)
    by_tests = [item for item in items if item.tests]
    by_person = [item for item in items if not item.tests]
    lines = [f"# {_escape(name)}, imported from {source.grader}", ""]
    lines += [f"{len(items)} items with {_format_number(points)} points.", ""]
    lines += ["## Judged by tests", ""]
    for item in by_tests:
        names = ", ".join(item.names) or "nothing the student defines"
        hidden = ", hidden" if item.question.hidden else ""
        lines.append(f"- {_describe(item)}{hidden}, from {_escape(item.question.location)}; uses {_escape(names)}")
    if by_person:
        lines += ["", "## Marked by a person", ""]
        for item in by_person:
            reason = _escape(item.reason or "as in the source")
            lines.append(f"- {_describe(item)}, {_escape(item.question.location)}: {reason}")
    if source.skipped:
        lines += ["", "## Not imported", "", *(f"- {_escape(sentence)}" for sentence in source.skipped)]
    lines += ["", "## Before you grade a class", ""]
    lines += [
        "Grade a solution and an empty notebook: the first must get all points that tests give, the second none.",
        "",
    ]
    lines += ["    grader check SOLUTION.ipynb --assignment FOLDER", ""]
    lines += [f"Packages that are imported before the clock starts: {', '.join(packages) or 'none'}."]
    return "\n".join(lines) + "\n"


def _describe(item: ImportedItem) -> str:
    points = item.question.points
    return f"{_escape(item.id)}: {_format_number(points)} {'point' if points == 1 else 'points'}"


def _get_section(item: ImportedItem) -> str:
    return item.question.section or "Questions"


def _format_number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _quote_python(text: str) -> str:
    return json.dumps(text)


def _quote_toml(value: str | list[str]) -> str:
    """Return a string or a list of strings in TOML, whose basic strings differ from JSON's in one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _escape(text: str) -> str:
    """Return text on one line, with Markdown's markup escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))

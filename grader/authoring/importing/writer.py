"""Writes an imported assignment: rubric.toml, the tests, and a page that says what was taken and what was not."""

from __future__ import annotations

import ast
import json
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.authoring.importing.questions import ForeignAssignment, Question
from grader.authoring.importing.scopes import wrap_in_function
from grader.authoring.importing.translation import Translated

__all__ = ["Taken", "render_note", "render_rubric", "render_tests"]


@dataclass(frozen=True)
class Taken:
    """A question that becomes an item; without tests a person has to judge it, and `why` says for what reason."""

    id: str
    question: Question
    tests: tuple[Translated, ...]
    why: str = ""

    @property
    def names(self) -> list[str]:
        """Return the student's names that its tests use."""
        return list(dict.fromkeys(name for test in self.tests for name in test.names))


def render_rubric(title: str, taken: Sequence[Taken], packages: Sequence[str]) -> str:
    """Return rubric.toml."""
    keys = {section: f"s{number}" for number, section in enumerate(dict.fromkeys(_section(each) for each in taken), 1)}
    variables = sorted({name for each in taken for test in each.tests for name in test.variables})
    lines = [
        f"title = {_toml(title)}",
        f"points = {_number(math.fsum(each.question.points for each in taken))}",
        f"packages = {_toml(list(packages))}",
        *([f"variables = {_toml(variables)}"] if variables else []),
        "",
        "[sections]",
        *(f"{key} = {_toml(section)}" for section, key in keys.items()),
    ]
    for each in taken:
        lines += ["", "[[items]]", f"id = {_toml(each.id)}", f"section = {_toml(keys[_section(each)])}"]
        lines += [f"title = {_toml(each.question.id)}", f"points = {_number(each.question.points)}"]
        if not each.tests:
            lines.append('marked_by = "person"')
            continue
        lines += [f"names = {_toml(each.names)}"] if each.names else []
        lines += ["visible = false"] if each.question.hidden else []
    return "\n".join(lines) + "\n"


def render_tests(source: ForeignAssignment, taken: Sequence[Taken]) -> str:
    """Return the file of tests."""
    pairs = [(each, test) for each in taken for test in each.tests]
    functions = [_function(number, each, test) for number, (each, test) in enumerate(pairs, 1)]
    ours = ["as_written", "item"]
    if any("Shown(" in function for function in functions):
        ours.insert(0, "Shown")
    head = f'"""Tests imported from {source.grader}: what was taken and what was not is in IMPORTED.md."""\n\n'
    return head + f"from grader.testing import {', '.join(ours)}\n" + "".join(f"\n\n{each}" for each in functions)


def _function(number: int, taken: Taken, test: Translated) -> str:
    name = f"test_{number:02}_{re.sub(r'[^0-9a-z]+', '_', taken.id.lower()).strip('_')}".rstrip("_")
    readable = ", ".join(map(_python, test.readable))
    place = " ".join(taken.question.place.split()).replace("\\", "/").replace('"', "'")
    signature = f"def {name}({', '.join(test.names)}):"
    head = f'@item({_python(taken.id)})\n@as_written({readable})\n{signature}\n    """{place}."""\n'
    return head + textwrap.indent("".join(_bodies(test)), "    ", lambda line: bool(line.strip()))


def _bodies(test: Translated) -> Iterable[str]:
    """Give the statements, those of the author as they were written where that is possible."""
    code = test.code.strip("\n")
    indented = textwrap.indent(code, "    ", lambda line: bool(line.strip()))
    try:
        written = _dumped(f"def test():\n{indented}\n")
        as_it_was = written == _dumped(wrap_in_function(test.body))
    except SyntaxError:
        as_it_was = False
    yield _unindented(test.copied) + ("\n" if test.copied else "")
    yield code + "\n" if as_it_was else _unindented(test.body)


def _dumped(function: str) -> str:
    return ast.dump(ast.parse(function))


def _unindented(statements: Sequence[ast.stmt]) -> str:
    return "".join(f"{ast.unparse(ast.fix_missing_locations(each))}\n" for each in statements)


def render_note(source: ForeignAssignment, name: str, taken: Sequence[Taken], packages: Sequence[str]) -> str:
    """Return IMPORTED.md."""
    by_tests = [each for each in taken if each.tests]
    by_person = [each for each in taken if not each.tests]
    lines = [f"# {_plain(name)}, imported from {source.grader}", ""]
    lines += [f"{len(taken)} items with {_number(math.fsum(each.question.points for each in taken))} points.", ""]
    lines += ["## Judged by tests", ""]
    for each in by_tests:
        about = ", ".join(each.names) or "nothing of the student's"
        hidden = ", hidden" if each.question.hidden else ""
        lines.append(f"- {_line(each)}{hidden}, from {_plain(each.question.place)}; uses {_plain(about)}")
    if by_person:
        lines += ["", "## Marked by a person", ""]
        lines += [
            f"- {_line(each)}, {_plain(each.question.place)}: {_plain(each.why or 'as in the source')}"
            for each in by_person
        ]
    if source.left:
        lines += ["", "## Not taken", "", *(f"- {_plain(each)}" for each in source.left)]
    lines += ["", "## Before a class is graded", ""]
    lines += [
        "Grade a solution and an empty notebook: the first must get every point that tests give, the second none.",
        "",
    ]
    lines += ["    grader check SOLUTION.ipynb --assignment FOLDER", ""]
    lines += [f"Packages that are imported before the clock starts: {', '.join(packages) or 'none'}."]
    return "\n".join(lines) + "\n"


def _line(taken: Taken) -> str:
    points = taken.question.points
    return f"{_plain(taken.id)}: {_number(points)} {'point' if points == 1 else 'points'}"


def _section(taken: Taken) -> str:
    return taken.question.section or "Questions"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _python(text: str) -> str:
    return json.dumps(text)


def _toml(value: str | list[str]) -> str:
    """Return a string, or a list of them, in TOML, whose basic strings are JSON's but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(text: str) -> str:
    """Return text that is one line and no markup in Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))

"""Where the source of a submission's cells binds a name, read without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from grader.submission.submission import Cell

__all__ = ["CellSource", "Mention", "hide_magics", "parse_cell", "read_cell"]

_LONGEST = 200_000  # characters of a cell that is parsed
_PYTHON_MAGICS = ("capture", "prun", "time", "timeit")
_BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

Position = Literal["top", "block", "function", "class", "comment", "text", "unparsed", "prose"]


@dataclass(frozen=True)
class Mention:
    """A line that binds a name, or would if it were run.

    Attributes:
        name: the name.
        line: counts from 1 within the cell.
        first, last: the lines of the top-level statement that it belongs to.
        place: "top" (a statement of its own), "block" (under if, for, with or try), inside a "function" or "class"; or
            in something that is not run: a "comment", a "text" in quotes, the "prose" of a cell that is no code, or a
            cell that is not valid Python ("unparsed").
        inside: the name of the function or class around it.
        module: the module that it is imported from, or "".
    """

    name: str
    line: int
    first: int
    last: int
    place: Position
    inside: str = ""
    module: str = ""


@dataclass(frozen=True)
class CellSource:
    """A cell's bindings, and the syntax error for which there are only guesses: its line and text."""

    kind: str
    mentions: tuple[Mention, ...]
    error: tuple[int, str] | None = None

    def find(self, name: str) -> Iterator[Mention]:
        """Yield where a name is bound, with `from x import *` as a binding of every name."""
        return (mention for mention in self.mentions if mention.name in (name, "*"))


def read_cell(cell: Cell) -> CellSource:
    """Read a cell's source."""
    source = cell.source[:_LONGEST]
    if cell.kind != "code":
        return CellSource(cell.kind, tuple(_guess(source.split("\n"), "prose")))
    lines = hide_magics(source.split("\n"))
    commented = list(_find_comments(lines))
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError as error:
        reason = (error.lineno or 1, f"{type(error).__name__}: {error.msg or 'invalid syntax'}")
        return CellSource("code", (*_guess(lines, "unparsed"), *commented), reason)
    except (MemoryError, RecursionError, ValueError):
        return CellSource("code", (*_guess(lines, "unparsed"), *commented), (1, "it cannot be read"))
    found = [mention for statement in tree.body for mention in _read_statement(statement)]
    return CellSource("code", (*found, *commented))


def parse_cell(cell: Cell) -> ast.Module | None:
    """Return the statements of a cell of code without its magics, or None if it is no Python."""
    try:
        return ast.parse("\n".join(hide_magics(cell.source[:_LONGEST].split("\n"))))
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        return None


def hide_magics(lines: Sequence[str]) -> list[str]:
    """Return the lines with magics and shell commands replaced by `pass`, so that no other line moves."""
    hidden: list[str] = []
    for number, line in enumerate(lines):
        magic = re.match(r"%%(\w+)", line)
        if magic and not any(entry.strip() for entry in hidden):
            if magic[1] not in _PYTHON_MAGICS:
                return [*hidden, *("#" for _ in lines[number:])]  # the body is no Python of the notebook
            hidden.append("")
        elif re.match(r"\s*(%|!|\?|[\w.]+\?{1,2}\s*$)", line):
            hidden.append(re.sub(r"\S.*", "pass", line))
        else:
            hidden.append(re.sub(r"^(\s*[\w., ]+=\s*)[%!].*", r"\1None", line))
    return hidden


def _read_statement(statement: ast.stmt) -> Iterator[Mention]:
    last = statement.end_lineno or statement.lineno
    decorators = statement.decorator_list if isinstance(statement, ast.FunctionDef | ast.ClassDef) else []
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    waiting: list[tuple[ast.AST, Position, str]] = [(statement, "top", "")]
    while waiting:
        node, place, inside = waiting.pop()
        for name, module in _list_bound(node):
            yield Mention(name, getattr(node, "lineno", first), first, last, place, inside, module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value:
            for guess in _guess(node.value.split("\n"), "text"):
                line = node.lineno + guess.line - 1
                yield Mention(guess.name, line, first, last, "text")
        if isinstance(node, _FUNCTIONS):
            place, inside = "function", getattr(node, "name", "")
        elif isinstance(node, ast.ClassDef):
            place, inside = "class", node.name
        elif isinstance(node, _BLOCKS) and place == "top":
            place = "block"
        waiting += [(child, place, inside) for child in reversed(list(ast.iter_child_nodes(node)))]


def _list_bound(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that a node binds itself, each with the module that it is imported from."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, ""
        case ast.Name(id=name, ctx=ast.Store()):
            yield name, ""
        case ast.Import(names=names):
            yield from ((alias.asname or alias.name.partition(".")[0], alias.name) for alias in names)
        case ast.ImportFrom(module=module, names=names):
            yield from ((alias.asname or alias.name, module or ".") for alias in names)


_BINDING = re.compile(r"\s*(?:(?:async\s+)?def|class)\s+(\w+)|\s*(\w+)\s*=(?!=)")


def _guess(lines: Sequence[str], place: Position) -> Iterator[Mention]:
    """Yield what looks like a definition, each with the lines up to the next one at the margin."""
    found = [(number, match) for number, line in enumerate(lines, start=1) if (match := _BINDING.match(line[:500]))]
    for index, (number, match) in enumerate(found):
        following = (other for other, _ in found[index + 1 :] if not lines[other - 1][:1].isspace())
        yield Mention(match[1] or match[2], number, number, next(following, len(lines) + 1) - 1, place)


def _find_comments(lines: Sequence[str]) -> Iterator[Mention]:
    """Yield the definitions that are commented out."""
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith("#") and (found := _BINDING.match(text.lstrip("# ")[:500])):
            yield Mention(found[1] or found[2], number, number, number, "comment")

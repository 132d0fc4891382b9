"""The definitions in a submission's cells, read without running them, and the places of their nodes."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass

from grader.judging.cell_sources import hide_magics
from grader.judging.normal_form import Definition
from grader.judging.right_texts import list_extended
from grader.judging.text_differences import TextDifference
from grader.place import Place
from grader.results.evidence import clip
from grader.submission.submission import Notebook

__all__ = ["StudentText", "StudentTexts"]

_CELL = 1_000_000  # a line number also has the index of its cell, because a class may be written in several cells
_LONGEST = 50_000  # characters of a cell that is read
_LONGEST_CODE = 160  # characters of a quoted line


@dataclass(frozen=True)
class StudentText:
    """A definition of the student's. The lines of its nodes also have the index of their cell."""

    file: str
    cell: int
    definition: Definition


class StudentTexts:
    """Reads the definitions in a submission.

    Args:
        notebooks: its notebooks.
    """

    def __init__(self, notebooks: Sequence[Notebook]) -> None:
        self._lines = {
            (book.name, cell.index): cell.source.split("\n")
            for book in notebooks
            for cell in book.cells
            if cell.kind == "code" and len(cell.source) <= _LONGEST
        }
        self._statements: dict[tuple[str, int], list[ast.stmt]] = {}

    def find_at(self, name: str, place: Place) -> StudentText | None:
        """Return the definition of a name in a cell: the one in that line, else the last one."""
        found = [s for s in self._read(place.file, place.cell) if isinstance(s, Definition) and s.name == name]
        line = [definition for definition in found if definition.lineno % _CELL == place.line]
        return self._make(place.file, place.cell, (line or found)[-1]) if found else None

    def find_last(self, name: str, user: StudentText) -> StudentText | None:
        """Return the last definition of a name in the notebook of a definition that uses it."""
        for file, cell in sorted(self._lines, reverse=True):
            if file == user.file:
                found = [s for s in self._read(file, cell) if isinstance(s, Definition) and s.name == name]
                if found:
                    return self._make(file, cell, found[-1])
        return None

    def locate(self, text: StudentText, difference: TextDifference) -> Place:
        """Return the place of a difference."""
        number = difference.line or text.definition.lineno
        cell, line = divmod(number, _CELL)
        lines = self._lines.get((text.file, cell), [])
        code = clip(lines[line - 1].strip(), _LONGEST_CODE) if 0 < line <= len(lines) else ""
        return Place(text.file, cell, line, code, text.definition.name)

    def quote(self, text: StudentText, node: ast.AST) -> str:
        """Return a node's text as the student wrote it, in one line."""
        if not isinstance(node, ast.expr | ast.stmt | ast.keyword):
            return ast.unparse(node)
        cell, first = divmod(node.lineno, _CELL)
        last = (node.end_lineno or node.lineno) % _CELL
        lines = self._lines.get((text.file, cell), [])[first - 1 : last]
        if not lines:
            return ast.unparse(node)
        parts = [line.encode() for line in lines]  # offsets count bytes
        parts[-1] = parts[-1][: node.end_col_offset]
        parts[0] = parts[0][node.col_offset :]
        return " ".join(part.decode(errors="replace").strip() for part in parts)

    def _make(self, file: str, cell: int, definition: Definition) -> StudentText:
        """Return a definition with the methods that the notebook adds to it from outside."""
        added = [
            statement
            for other_file, other in sorted(self._lines)
            if other_file == file
            for statement in self._read(file, other)
            if definition.name in list_extended(statement)
        ]
        if added and isinstance(definition, ast.ClassDef):
            definition = copy.deepcopy(definition)
            definition.body += added
        return StudentText(file, cell, definition)

    def _read(self, file: str, cell: int) -> list[ast.stmt]:
        if (file, cell) not in self._statements:
            source = "\n".join(hide_magics(self._lines.get((file, cell), [])))
            try:
                tree = ast.parse(source)
            except (SyntaxError, MemoryError, RecursionError, ValueError):
                tree = ast.Module([], [])
            ast.increment_lineno(tree, cell * _CELL)
            self._statements[file, cell] = tree.body
        return self._statements[file, cell]

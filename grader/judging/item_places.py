"""Where an item stands in a submission: the line that binds its name, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from grader.assignment import Item
from grader.judging.cell_sources import CellSource, Mention, hide_magics, read_cell
from grader.judging.states import CandidateState
from grader.place import Place
from grader.results.evidence import clip
from grader.student import Definition, Work
from grader.submission.submission import Cell, Notebook

__all__ = ["ItemPlaces"]

_LONGEST_CODE = 160  # characters of a quoted line
_DISPLAYED = "_"  # what a displayed value is called
_BINDING = ("top", "block", "unparsed")  # mentions that make a global name when the cell runs


class ItemPlaces:
    """Finds the places of items in one submission.

    Args:
        work: the submission, after its cells have run.
        notebooks: its notebooks. Without them, or if a definition is in none of them, no lines are known.
    """

    def __init__(self, work: Work, notebooks: Sequence[Notebook] = ()) -> None:
        self._work = work
        self._cells = {(book.name, cell.index): cell for book in notebooks for cell in book.cells}
        self._sources: dict[tuple[str, int], CellSource] = {}

    def find_item(self, item: Item, state: CandidateState) -> Place | None:
        """Return where the student's definition of an item's main name stands in a state, None if in no definition."""
        if state.definition is None:
            return None
        if state.found_as is not None:
            return self._locate(state.definition, state.found_as, 0)
        name = item.names[0] if item.names else ""
        earlier = [
            definition
            for definition in (self._work.definitions([name]) if name else ())
            if definition.file == state.definition.file and _is_before(definition, state.definition)
        ]
        if not earlier:
            return self._locate(state.definition, name, 0)
        return self._locate(earlier[-1], name, 0 if state.definition.at_end else self._count(name, earlier))

    def read_cell(self, place: Place) -> str:
        """Return the source of the cell of a place, "" if there is none."""
        cell = self._cells.get((place.file, place.cell))
        return cell.source if cell else ""

    def complete(self, place: Place, name: str = "") -> Place:
        """Return a place with its line of code, and with the line that binds a name if it has no line.

        Args:
            place: the place. A line that its cell does not have is left out.
            name: the name that is bound there; "_" for the value that the cell displays.
        """
        cell = self._cells.get((place.file, place.cell))
        line = place.line
        if cell is not None and line is None:
            line = _find_displayed(cell) if name == _DISPLAYED else self._find_line(cell, place.file, name, 0)
        code = _quote(cell, line)
        return Place(place.file, place.cell, line if code else None, code, place.function)

    def _count(self, name: str, earlier: Sequence[Definition]) -> int:
        """Return which of its cell's definitions the last of `earlier` is, 0 if it is unclear which line that is."""
        last = earlier[-1]
        defined = [
            d for d in self._work.definitions([name]) if (d.file, d.cell, d.at_end) == (last.file, last.cell, False)
        ]
        cell = self._cells.get((last.file, last.cell))
        mentions = self._find_mentions(cell, last.file, name) if cell else []
        return sum(d.part <= last.part for d in defined) if len(defined) == len(mentions) else 0

    def _locate(self, definition: Definition, name: str, number: int) -> Place:
        """Return the place of the `number`-th definition of a name in a cell, from 1; 0 for the last one."""
        cell = self._cells.get((definition.file, definition.cell))
        line = self._find_line(cell, definition.file, name, number) if cell else None
        code = _quote(cell, line)
        return Place(definition.file, definition.cell, line if code else None, code)

    def _find_line(self, cell: Cell, file: str, name: str, number: int) -> int | None:
        mentions = self._find_mentions(cell, file, name)
        return mentions[number - 1].line if mentions else None

    def _find_mentions(self, cell: Cell, file: str, name: str) -> list[Mention]:
        """Return where a cell binds a name, preferably by itself (not by an import with *) and as a global name."""
        if (file, cell.index) not in self._sources:
            self._sources[file, cell.index] = read_cell(cell)
        mentions = list(self._sources[file, cell.index].find(name))
        mentions = [mention for mention in mentions if mention.name == name] or mentions
        return [mention for mention in mentions if mention.place in _BINDING] or mentions


def _is_before(definition: Definition, state: Definition) -> bool:
    """Return whether a definition was made before a state, or is the one that the state was made for."""
    if state.at_end or definition.at_end:
        return definition.at_end and state.at_end
    return (definition.cell, definition.part) <= (state.cell, state.part)


def _find_displayed(cell: Cell) -> int | None:
    """Return the line of the statement that a cell displays: its last one."""
    try:
        body = ast.parse("\n".join(hide_magics(cell.source.split("\n")))).body
    except (SyntaxError, MemoryError, RecursionError, ValueError):
        return None
    return body[-1].lineno if body and isinstance(body[-1], ast.Expr) else None


def _quote(cell: Cell | None, line: int | None) -> str:
    """Return the text of a line, "" if the cell does not have it."""
    lines = cell.source.split("\n") if cell else []
    return clip(lines[line - 1].strip(), _LONGEST_CODE) if line and line <= len(lines) else ""

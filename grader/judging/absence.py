"""Why a name is not there: read from the submission's source and from how its cells ended.

How a cell ended is what the student's process said, so a reason is a help for the student and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from grader.judging.cell_sources import CellSource, Mention, read_cell
from grader.judging.near_names import is_near
from grader.judging.syntax import describe_syntax_error, is_syntax_error
from grader.models.error_words import explain_error
from grader.models.failed_layer import Spot
from grader.place import Place, describe_cell
from grader.results.notice import CellStop, Notice, NoticeKind
from grader.results.report import CellResult
from grader.submission.submission import Notebook

__all__ = ["AbsenceReasons"]

_MOST_CAUSES = 3  # names that are missing because of names that are missing
_ENDED = {
    "timed out": "ran past its time",
    "flooded": "printed more than it may",
    "out of memory": "ran out of memory",
    "ended the kernel": "ended the kernel",
    "broke the run": "broke the run",
    "training withheld": "stopped where it asks for training data",
    "interrupted": "was interrupted",
}
_LETHAL = ("ended the kernel", "broke the run", "out of memory", "timed out")
_RUN = ("top", "block", "unparsed")  # the parts of a cell whose statements are run, one by one
_MISSING_NAME = re.compile(r"NameError\b.*?: name '(\w+)' is not defined")
_MISSING_MODULE = re.compile(r"(?:ModuleNotFoundError|ImportError): (?:No module named '([\w.]+)'|([\w.]+) is not)")


@dataclass(frozen=True)
class _Place:
    """A mention of a name in a cell, and how that cell ended."""

    file: str
    cell: int
    mention: Mention
    source: CellSource
    result: CellResult | None


class AbsenceReasons:
    """Says what happened to names that a submission does not define.

    Args:
        notebooks: the submission's.
        results: how their cells ended.
        notices: what else was noticed about the submission.
    """

    def __init__(
        self,
        notebooks: Sequence[Notebook] = (),
        results: Sequence[CellResult] = (),
        notices: Sequence[Notice] = (),
    ) -> None:
        self._notebooks = notebooks
        self._results = {(result.file, result.cell): result for result in results}
        self._notices = notices
        self._sources: dict[tuple[str, int], CellSource] | None = None

    def describe(self, name: str) -> str:
        """Return a sentence on why a name is not defined."""
        places = self._find(name)
        for reason in (self._describe_stop, self._describe_syntax, self._describe_import, self._describe_block):
            for place in places:
                if text := reason(name, place):
                    return text
        return (
            self._describe_hidden(name, places)
            or self._describe_near(name)
            or f"{name} is not defined in this submission"
        )

    def locate(self, name: str) -> Place | None:
        """Return where the statement that should define a name is in the source, and the line of it that stopped."""
        for place in self._find(name):
            mention = place.mention
            if mention.name != name or mention.place not in _RUN:
                continue
            stops = place.result.stops if place.result else ()
            lines = [stop.line for stop in stops if mention.first <= stop.line <= mention.last]
            if not lines and mention.place == "unparsed" and place.source.error is not None:
                lines = [place.source.error[0]]
            return Place(place.file, place.cell, lines[0] if lines else mention.line)
        return None

    def describe_import(self, name: str) -> str:
        """Return from which missing module a name is imported, or "" if it is not."""
        return next(filter(None, (self._describe_import(name, place) for place in self._find(name))), "")

    def describe_cause(self, message: str) -> str:
        """Return why the name or module that an error's text reports as missing is missing, or ""."""
        missing = _MISSING_NAME.search(message)
        return self._trace(missing[1], set()) if missing else ""

    def describe_stop_with(self, name: str) -> str:
        """Return what went wrong first in a cell that uses a name, or ""."""
        uses = re.compile(rf"\b{re.escape(name)}\b")
        for notebook in self._notebooks:
            for cell in notebook.cells:
                result = self._results.get((notebook.name, cell.index))
                if result and result.stops and uses.search(cell.source):
                    return self._describe_cell_stop(result.file, result.cell, result.stops[0])
        return ""

    def first_stop(self) -> str:
        """Return what went wrong first in the submission's cells, or ""."""
        for notebook in self._notebooks:
            for cell in notebook.cells:
                result = self._results.get((notebook.name, cell.index))
                if result and result.stops:
                    return self._describe_cell_stop(result.file, result.cell, result.stops[0])
                if result and result.status not in ("ok", "training withheld", "not run"):
                    return self._describe_result(result)
        return ""

    def _find(self, name: str) -> list[_Place]:
        return [
            _Place(file, cell, mention, source, self._results.get((file, cell)))
            for (file, cell), source in self._read().items()
            for mention in source.find(name)
        ]

    def _read(self) -> dict[tuple[str, int], CellSource]:
        if self._sources is None:
            self._sources = {
                (notebook.name, cell.index): read_cell(cell) for notebook in self._notebooks for cell in notebook.cells
            }
        return self._sources

    def _describe_stop(self, name: str, place: _Place) -> str:
        """Describe a definition that was not reached, or that raised."""
        result, mention = place.result, place.mention
        if result is None or mention.place not in _RUN or mention.name != name:
            return ""
        where = self._name_cell(place.file, place.cell)
        if result.status == "not run":
            return f"{name} is in {where}, which was not run{self._describe_end(place)}"
        for stop in result.stops:
            if mention.first <= stop.line <= mention.last:
                if missing := self._describe_missing_module(name, place, stop.error):
                    return missing
                if is_syntax_error(stop.error):
                    return f"{name} is not defined because {self._describe_cell_stop(place.file, place.cell, stop)}"
                cause = self._trace_error(stop.error, {name})
                return (
                    f"{name} ({where}, line {mention.line}) was not defined: the statement raised {stop.error}{cause}"
                )
        if result.status == "raised" and not result.stops and place.source.error is None:
            return f"{name} is in {where}, which stopped: {result.message}{self._trace_error(result.message, {name})}"
        if result.status in _ENDED and mention.place != "unparsed":
            message = f" ({result.message})" if result.message else ""
            return f"{name} is in {where}, which {_ENDED[result.status]}{message}"
        return ""

    def _describe_end(self, place: _Place) -> str:
        """Describe what ended the run before a cell."""
        ended = [
            result
            for (file, cell), result in sorted(self._results.items())
            if file == place.file and cell < place.cell and result.status in _LETHAL
        ]
        if ended:
            return f": {self._describe_result(ended[-1])}"
        message = place.result.message if place.result else ""
        return f": {message}" if message else ""

    def _describe_syntax(self, name: str, place: _Place) -> str:
        if place.mention.place != "unparsed" or place.source.error is None:
            return ""
        line, error = place.source.error
        where, source = self._name_cell(place.file, place.cell), self._get_source(place.file, place.cell)
        text = f"{name} is not defined because {describe_syntax_error(where, line, error, source)}"
        versions = [
            notice
            for notice in self._notices
            if notice.kind is NoticeKind.VERSION
            and notice.file in (None, place.file)
            and notice.cell in (None, place.cell)
        ]
        message = place.result.message if place.result else ""
        return f"{text}; {versions[0].text}" if versions else f"{text}; {message}" if "Python 3." in message else text

    def _describe_import(self, name: str, place: _Place) -> str:
        """Describe an import of a module that is missing."""
        module = place.mention.module.partition(".")[0]
        if not module or place.mention.place not in ("top", "block"):
            return ""
        missing = {notice.subject for notice in self._notices if notice.kind is NoticeKind.MISSING_PACKAGE}
        stops = place.result.stops if place.result else ()
        message = place.result.message if place.result else ""
        for error in (message, *(stop.error for stop in stops)):
            missing.update((one or other).partition(".")[0] for one, other in _MISSING_MODULE.findall(error))
        return self._say_missing_module(name, module, place) if module in missing else ""

    def _describe_missing_module(self, name: str, place: _Place, error: str) -> str:
        missing = _MISSING_MODULE.search(error)
        if missing is None or not place.mention.module:
            return ""
        return self._say_missing_module(name, missing[1] or missing[2], place)

    def _say_missing_module(self, name: str, module: str, place: _Place) -> str:
        verb = "may come" if place.mention.name == "*" else "is imported"
        where = self._name_cell(place.file, place.cell)
        return f"{name} {verb} from {module} ({where}), which is neither in this submission nor installed here"

    def _describe_block(self, name: str, place: _Place) -> str:
        """Describe a definition of which the cell ended well, and which is not there all the same."""
        mention, where = place.mention, self._name_cell(place.file, place.cell)
        if mention.name != name or place.result is None or place.result.status not in ("ok", "raised"):
            return ""
        if mention.place == "block":
            return f"{name} ({where}, line {mention.line}) stands in a block that was not run, or not to its end"
        if mention.place == "top" and not mention.module:
            return f"{name} ({where}, line {mention.line}) is no function, class or model there, or is deleted later"
        return ""

    def _describe_hidden(self, name: str, places: Sequence[_Place]) -> str:
        """Describe a definition that stands where nothing makes a global name of it."""
        for place in places:
            mention, where = place.mention, self._name_cell(place.file, place.cell)
            around = mention.inside or "a function"
            text = {
                "function": f"{name} is defined inside {around} ({where}), not at the top level of a cell",
                "class": f"{name} is defined inside the class {around} ({where}), not at the top level of a cell",
                "comment": f"{name} stands only in a comment ({where}, line {mention.line})",
                "text": f"{name} stands only in a text in quotes ({where}, line {mention.line})",
                "prose": f"{name} stands in {where}, a {place.source.kind} cell, which is not run: make it a code cell",
            }.get(mention.place)
            if text and mention.name == name:
                return text
        return ""

    def _describe_near(self, name: str) -> str:
        for (file, cell), source in self._read().items():
            for mention in source.mentions:
                if mention.place in ("top", "block") and is_near(mention.name, name):
                    where = self._name_cell(file, cell)
                    return f"{name} is not defined in this submission; did you mean {mention.name} ({where})?"
        return ""

    def _trace_error(self, error: str, known: set[str]) -> str:
        """Return why the name that an error reports as missing is missing, after a semicolon, or "".

        Nothing is said of the names in `known`, which are explained already.
        """
        missing = _MISSING_NAME.search(error)
        reason = self._trace(missing[1], known) if missing else ""
        return f"; {reason}" if reason else ""

    def _trace(self, name: str, known: set[str]) -> str:
        """Return in which cell the statement that binds a name stopped, or ""."""
        if name in known or len(known) > _MOST_CAUSES:
            return ""
        for place in self._find(name):
            result, mention = place.result, place.mention
            if result is None or mention.place not in _RUN:
                continue
            where = self._name_cell(place.file, place.cell)
            for stop in result.stops:
                if mention.first <= stop.line <= mention.last:
                    cause = self._trace_error(stop.error, known | {name})
                    return f"{name} is missing because {self._describe_cell_stop(place.file, place.cell, stop)}{cause}"
            if result.status != "ok" and not result.stops:
                ended = f"{where} was not run" if result.status == "not run" else self._describe_result(result)
                return f"{name} is missing because {ended}"
        return ""

    def _describe_result(self, result: CellResult) -> str:
        where = self._name_cell(result.file, result.cell)
        if result.status in _ENDED:
            return f"{where} {_ENDED[result.status]}"
        return f"{where} stopped: {result.message}"

    def _get_source(self, file: str, cell: int) -> str:
        cells = (cell for notebook in self._notebooks if notebook.name == file for cell in notebook.cells)
        return next((entry.source for entry in cells if entry.index == cell), "")

    def _describe_cell_stop(self, file: str, cell: int, stop: CellStop) -> str:
        if is_syntax_error(stop.error):
            source = self._get_source(file, cell)
            return describe_syntax_error(self._name_cell(file, cell), stop.line, stop.error, source)
        result = self._results.get((file, cell))
        if stop.error.startswith("KeyboardInterrupt") and result and result.status == "timed out":
            return f"{self._name_cell(file, cell)} ran past its time in line {stop.line}"
        kind, _, text = stop.error.partition(": ")
        words, advice = explain_error(kind, text, Spot())
        meaning = "; ".join(filter(None, (words, advice)))
        if meaning:
            return f"{self._name_cell(file, cell)} stopped at line {stop.line}: {stop.error} ({meaning})"
        return f"{self._name_cell(file, cell)} stopped at line {stop.line}: {stop.error}"

    def _name_cell(self, file: str, cell: int) -> str:
        return describe_cell(cell) if len(self._notebooks) == 1 else Place(file, cell).describe()

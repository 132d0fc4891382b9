"""The report of one submission: a verdict for each item, and the evidence for it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from importlib.resources import files
from typing import Any

from grader.errors import InputError
from grader.place import CELL_INDEX_BASE, Place
from grader.results.notice import CellStop, Notice, NoticeKind
from grader.sandbox.protocol.layers import LayerStatus

__all__ = ["CellResult", "File", "ItemResult", "Report", "Verdict", "load_report_schema"]

_SCHEMA = "4"
_WITHOUT_PLACES = ("2", "3")  # earlier schemas: no lines, causes and numbers of cells; and in "2" no key
_POINTS = ("points", "max_points", "would_earn")
_PLACES = 4  # decimal places of points
_CAUSE = re.compile(
    r"(?:^because of|\band) (\w+) (?=\()"
)  # the student's functions in "because of f (item) and g (item)"
_ABOUT_FILES = (NoticeKind.SKIPPED_FILE, NoticeKind.UNREADABLE_FILE)


class Verdict(StrEnum):
    """The verdict on an item."""

    PASSED = "passed"  # right in every case
    FAILED = "failed"  # present and wrong
    PARTIAL = "partial"  # right in part, and the item gives points for that
    ABSENT = "absent"  # never defined
    ERROR = "error"  # raises, crashes, or runs past its time or memory
    PENDING = "pending"  # waits for a person, or for a training that this run left out


@dataclass(frozen=True)
class File:
    """A file of the submission: its path, the sha256 of its bytes, and the number of cells if it is a notebook."""

    name: str
    sha256: str
    cells: int | None = None


@dataclass(frozen=True)
class ItemResult:
    """The verdict on one item, with the place where it was earned or lost: see `grader.place.Place`.

    `code` quotes the line. `because_of` is the id of the item that is the cause, if this one is lost only because of
    another; `would_earn` are the points that it would earn if that were right, for display only. `misconception` is the
    id of the known mistake that gives the same results as the student's work; " or " stands between the ids of several
    that cannot be told apart. `tests` has the verdict of each of the item's tests in the state that counted. It is not
    in the JSON, because names of hidden tests would give something away.
    """

    id: str
    section: str
    title: str
    points: float
    max_points: float
    verdict: Verdict
    message: str
    file: str | None = None
    cell: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)  # plain JSON values only
    misconception: str | None = None
    tests: Mapping[str, Verdict] = field(default_factory=dict, compare=False)
    line: int | None = None
    code: str = ""
    because_of: str | None = None
    would_earn: float | None = None

    @property
    def place(self) -> Place | None:
        """Where it was earned or lost, None if no cell is known."""
        if self.file is None or self.cell is None:
            return None
        return Place(self.file, self.cell, self.line, self.code)

    def stand_at(self, place: Place | None) -> ItemResult:
        """Return the result with another place, or with none."""
        if place is None:
            return replace(self, file=None, cell=None, line=None, code="")
        return replace(self, file=place.file, cell=place.cell, line=place.line, code=place.code)

    @property
    def has_lost(self) -> bool:
        """Whether it is decided and not right."""
        return self.verdict not in (Verdict.PASSED, Verdict.PENDING)

    @property
    def reason(self) -> str:
        """What people are told: the message; of an item that is lost because of another, nothing but that."""
        if self.because_of is None or not self.has_lost:
            return self.message
        name = self.because_of.partition(".")[0]
        text = self.message if self.message.startswith("because of ") else f"because of {name} ({self.because_of})"
        if self.would_earn is None or "with a right" in text:
            return text
        right = " and ".join(_CAUSE.findall(text)) or name
        return f"{text}; {_points(self.would_earn)} of {_points(self.max_points)} with a right {right}"

    @property
    def misconceptions(self) -> tuple[str, ...]:
        """The ids of the known mistakes that give the same results as the student's work."""
        return tuple(self.misconception.split(" or ")) if self.misconception else ()

    @property
    def by_person(self) -> bool:
        """Whether a person marks it: a written answer, or what the grader cannot decide."""
        return self.is_written_answer or "awaits_person" in self.evidence

    @property
    def is_written_answer(self) -> bool:
        """Whether it is a text. The evidence has the text under `text` and its cells under `cells`."""
        return self.evidence.get("kind") == "discussion"


@dataclass(frozen=True)
class CellResult:
    """How one code cell ended. For display only, because the student's process can forge it.

    `stops` are the statements that raised; the statements below each were run all the same.
    """

    file: str
    cell: int
    status: str
    message: str = ""
    stops: tuple[CellStop, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it did not end well. A training that was left out on purpose is no failure."""
        return self.status not in ("ok", "training withheld")


@dataclass(frozen=True)
class Report:
    """The result of grading one submission.

    `files` are the notebooks that were graded, `companions` the files beside them. If no notebook could be read, there
    are none; then nothing is decided, and the notices say what is wrong with each file. `key` is the id of the
    installation key from which the tests' inputs were derived; "" if no test ran, or in reports of schema 2.
    `device` is the name of the GPU that the cells could use; "" if they ran on the CPU.
    """

    assignment: str
    title: str
    revision: str
    files: tuple[File, ...]
    items: tuple[ItemResult, ...]
    cells: tuple[CellResult, ...] = ()
    layers: tuple[LayerStatus, ...] = ()
    limits_hit: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    companions: tuple[File, ...] = ()
    timing: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    device: str = ""

    @property
    def score(self) -> float:
        """The points earned."""
        return _points(sum(item.points for item in self.items))

    @property
    def max_score(self) -> float:
        """The points of all items together, including pending ones."""
        return _points(sum(item.max_points for item in self.items))

    @property
    def pending_points(self) -> float:
        """The points that are still to be decided."""
        return _points(sum(item.max_points for item in self.items if item.verdict is Verdict.PENDING))

    @property
    def is_readable(self) -> bool:
        """Whether a notebook could be read; if not, no item was decided by a test."""
        decided = (item for item in self.items if item.verdict is not Verdict.PENDING and not item.by_person)
        return bool(self.files) or any(decided)

    @property
    def unused_files(self) -> tuple[str, ...]:
        """The notices on files that were left out or could not be read."""
        return tuple(str(notice) for notice in self.notices if notice.kind in _ABOUT_FILES)

    @property
    def obstacle(self) -> str:
        """Why nothing could be graded, in one line; "" if a notebook could be read."""
        return "" if self.is_readable else "; ".join(self.unused_files) or "there is no notebook in it"

    @property
    def mend_first(self) -> tuple[tuple[ItemResult, tuple[ItemResult, ...]], ...]:
        """The items that others are lost because of, each with those: the one that most hang on first."""
        items = {item.id: item for item in self.items}
        dependents: dict[str, list[ItemResult]] = {}
        for item in self.items:
            cause = _find_cause(item, items)
            if cause is not item:
                dependents.setdefault(cause.id, []).append(item)
        pairs = [(items[cause], tuple(hanging)) for cause, hanging in dependents.items()]
        return tuple(sorted(pairs, key=lambda pair: -len(pair[1])))

    def count_cells(self, file: str | None) -> int | None:
        """Return the number of cells of a notebook, None if it is not known."""
        return next((entry.cells for entry in self.files if entry.name == file), None)

    @property
    def failed_cells(self) -> tuple[CellResult, ...]:
        """The code cells that did not end well, for the reader of the report."""
        return tuple(cell for cell in self.cells if cell.failed)

    @property
    def missing_layers(self) -> tuple[str, ...]:
        """The names of the layers of the sandbox that did not hold."""
        return tuple(layer.name for layer in self.layers if not layer.on)

    @property
    def passed(self) -> bool:
        """Whether a notebook could be read, and every item that was judged passed."""
        return self.is_readable and all(item.verdict in {Verdict.PASSED, Verdict.PENDING} for item in self.items)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values; `load_report_schema` describes them."""
        sums = {"score": self.score, "max_score": self.max_score, "pending_points": self.pending_points}
        values: dict[str, Any] = _plain(asdict(self))
        for item in values["items"]:
            item.update({name: _points(item[name]) for name in _POINTS if item[name] is not None})
            del item["tests"]
        return {"schema": _SCHEMA, "cell_index_base": CELL_INDEX_BASE, **sums, **values}

    def to_json(self) -> str:
        """Return the report as canonical JSON: equal reports give equal text."""
        return _canonical(self.to_dict())

    def canonical(self) -> str:
        """Return the JSON without `timing`, which is the same for two runs on the same input."""
        values = self.to_dict()
        del values["timing"]
        return _canonical(values)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Return the report that `to_json` wrote, in this version or with schema 2 or 3.

        Raises:
            InputError: the text is not a report of these schemas.
        """
        try:
            values = json.loads(text)
            if values["schema"] in _WITHOUT_PLACES:
                values = {"key": "", "cell_index_base": CELL_INDEX_BASE, **values}
            elif values["schema"] != _SCHEMA:
                raise InputError(f"the report has schema {values['schema']!r}; this version reads {_SCHEMA!r}")
            if values["cell_index_base"] != CELL_INDEX_BASE:
                raise InputError(f"the report counts cells from {values['cell_index_base']!r}, not {CELL_INDEX_BASE}")
            return cls(
                assignment=values["assignment"],
                title=values["title"],
                revision=values["revision"],
                files=tuple(File(**file) for file in values["files"]),
                items=tuple(ItemResult(**{**item, "verdict": Verdict(item["verdict"])}) for item in values["items"]),
                cells=tuple(map(_read_cell, values["cells"])),
                layers=tuple(LayerStatus(**layer) for layer in values["layers"]),
                limits_hit=tuple(values["limits_hit"]),
                notices=tuple(map(Notice.from_dict, values["notices"])),
                companions=tuple(File(**file) for file in values["companions"]),
                timing=values["timing"],
                key=values["key"],
                device=values.get("device", ""),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"this is not a report that the grader wrote: {error}") from error


def load_report_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) for `Report.to_json`."""
    schema: dict[str, Any] = json.loads(files("grader.results").joinpath("report.schema.json").read_text("utf-8"))
    return schema


def _read_cell(values: Mapping[str, Any]) -> CellResult:
    return CellResult(**{**values, "stops": tuple(CellStop(**stop) for stop in values["stops"])})


def _find_cause(item: ItemResult, items: Mapping[str, ItemResult]) -> ItemResult:
    """Return the item that an item is lost because of in the end; the item itself if it is its own cause."""
    seen, cause = {item.id}, item
    while cause.because_of is not None and cause.because_of in items:
        if cause.because_of in seen:
            return item  # they are each other's causes
        cause = items[cause.because_of]
        seen.add(cause.id)
    return cause


def _points(value: float) -> float:
    """Return rounded points, as an integer if they are whole."""
    rounded = round(value, _PLACES)
    return int(rounded) if rounded == int(rounded) else rounded


def _plain(value: Any) -> Any:
    """Return the value in JSON's types. Numbers that are not finite become text, because JSON has none."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _canonical(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, indent=1, separators=(",", ": "), sort_keys=True)
    # A lone surrogate has no UTF-8 encoding; its backslash escape is also JSON's.
    return text.encode("utf-8", "backslashreplace").decode() + "\n"

"""An assignment: its items, points, sections and limits, read from `<folder>/rubric.toml`."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from grader.errors import AssignmentError
from grader.models.recipe import Mode, OwnLoop, Recipe
from grader.revision import compute_revision
from grader.sandbox.protocol.limits import Limits
from grader.spelling import offer
from grader.toml_table import REQUIRED, TomlTable

__all__ = [
    "Assignment",
    "CarriedForward",
    "GPURules",
    "Item",
    "find_assignment",
    "list_assignment_folders",
    "load_assignment",
]

PACKAGES = ("torch", "torchvision", "numpy", "matplotlib", "pandas", "d2l.torch")
RUBRICS = Path(__file__).resolve().parent.parent / "rubrics"  # in a checkout; an installed package has none

_MOST = 1_000_000
_GPU_QUEUE = re.compile(r"gpu(-[a-z0-9]+)?")


class CarriedForward(StrEnum):
    """The share of its points that an item earns if only another one, which it builds on, is wrong."""

    NONE = "none"
    HALF = "half"
    FULL = "full"


@dataclass(frozen=True)
class AnswerCells:
    """The cells with an answer that a person marks: by id (also nbgrader's `grade_id`), by tag, or below a line."""

    cell_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    below: str = ""  # a line of the assignment's Markdown; the answer ends at the next heading or question


@dataclass(frozen=True)
class WrittenRules:
    """How written answers are found in a notebook.

    Attributes:
        headings: headings that ask for the student's own words, besides the usual ones.
        titles: other titles of sections, also of sections of the book that the assignment does not have.
        book: the fingerprints of the book, whose text is not the student's (`grader assignment fingerprint`).
    """

    headings: tuple[str, ...] = ()
    titles: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    book: Path | None = None


@dataclass(frozen=True)
class GPURules:
    """What an assignment asks of a GPU; see docs/gpu.md.

    Attributes:
        notebooks: whether the cells of a notebook may use the worker's GPU in mode full.
        queue: the queue of the server whose workers grade its trainings.
    """

    notebooks: bool = False
    queue: str = "gpu"


@dataclass(frozen=True)
class Item:
    """One part of an assignment that earns points.

    Attributes:
        names: the names whose definitions it judges. The first is the name to define; it may be built on the others, so
            that a later fix of those counts too. Without names, the item is judged by recorded values only.
        visible: whether a report may show inputs and expected values.
        partial: whether some right cases earn some points.
        search: whether models under other names are tried if the first name is not defined.
        by_person: whether a person marks the text about its section, and no test judges it.
        answer: the cells with that text; without them, it is found by the headings of the section.
        recipes: how its model is trained in each mode that trains. An item with recipes is earned by training.
        carried_forward: what it earns if only what it builds on is wrong; None for what holds for all items.
    """

    id: str
    section: str
    title: str
    points: float
    names: tuple[str, ...] = ()
    visible: bool = True
    partial: bool = False
    search: bool = False
    by_person: bool = False
    answer: AnswerCells = AnswerCells()
    recipes: Mapping[Mode, Recipe] = field(default_factory=dict, hash=False)
    carried_forward: CarriedForward | None = None


@dataclass(frozen=True)
class Assignment:
    """A folder of rubric tests, with the declarations of its rubric.toml.

    Attributes:
        variables: the items' names that are values; all others are functions and classes.
        revision: a hash of everything that decides a report: rubric.toml, Python files and fingerprints beside it, the
            reference.
        symbols: words for the names in evidence, such as X; see `judging/symbols.py`.
        own_loop: what a training loop of the student's own costs its training item if it is certainly wrong.
        carried_forward: what an item earns if only another one, which it builds on, is wrong.
        show_solution: whether a report may quote the line of the solution that a student's line stands in place of.
        gpu: what it asks of a GPU.
    """

    name: str
    title: str
    folder: Path
    points: float
    items: tuple[Item, ...]
    sections: dict[str, str]
    revision: str
    limits: Limits = field(default_factory=Limits)
    packages: tuple[str, ...] = PACKAGES
    reference: Path | None = None
    variables: tuple[str, ...] = ()
    written: WrittenRules = field(default_factory=WrittenRules)
    own_loop: OwnLoop = OwnLoop.ADVICE
    symbols: Mapping[str, str] = field(default_factory=dict)
    carried_forward: CarriedForward = CarriedForward.NONE
    show_solution: bool = False
    gpu: GPURules = field(default_factory=GPURules)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all items, sorted."""
        return tuple(sorted({name for item in self.items for name in item.names}))

    @property
    def trained(self) -> tuple[Item, ...]:
        """Return the items that are earned by training."""
        return tuple(item for item in self.items if item.recipes)

    @property
    def by_person(self) -> tuple[Item, ...]:
        """Return the items that a person marks."""
        return tuple(item for item in self.items if item.by_person)

    @property
    def tested(self) -> tuple[Item, ...]:
        """Return the items that tests alone decide."""
        return tuple(item for item in self.items if not item.recipes and not item.by_person)


def find_assignment(name_or_path: str | Path) -> Assignment:
    """Load an assignment by its name or by the path of its folder.

    Names are looked up in `list_assignment_folders()`. A name comes before a path: a folder of the same name in a
    student's repository must not replace the rubric.

    Raises:
        AssignmentError: the assignment does not exist, or its rubric contradicts itself.
    """
    name, folders = str(name_or_path), list_assignment_folders()
    if Path(name).name == name:
        for folder in folders:
            if (folder / name / "rubric.toml").is_file():
                return load_assignment(folder / name)
    if name and Path(name).is_dir():
        return load_assignment(Path(name))
    known = sorted({path.parent.name for folder in folders for path in folder.glob("*/rubric.toml")})
    choice = offer(name, known) or "set GRADER_ASSIGNMENT_PATH to the folder it is in"
    raise AssignmentError(f"no assignment named {name!r}: {choice}, or the path of a folder with rubric.toml")


def list_assignment_folders() -> list[Path]:
    """Return the folders in which assignments are looked up by name, the first one first.

    These are the folders in the environment variable GRADER_ASSIGNMENT_PATH (separated like those of PATH), then
    `rubrics` of the checkout that this package lies in. Only if there is neither, `rubrics` of the current folder is
    searched: the current folder may be a student's.
    """
    configured = [
        Path(folder).absolute() for folder in os.environ.get("GRADER_ASSIGNMENT_PATH", "").split(os.pathsep) if folder
    ]
    if RUBRICS.is_dir():
        configured.append(RUBRICS)
    return configured or [Path("rubrics").absolute()]


def load_assignment(folder: Path) -> Assignment:
    """Read the rubric.toml of an assignment's folder.

    Raises:
        AssignmentError: the file is missing or not TOML, has unknown keys or wrong types, or its points do not add up.
    """
    path = Path(folder).resolve() / "rubric.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AssignmentError(f"{path} does not exist: an assignment has rubric.toml and test_*.py") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AssignmentError(f"{path} is not valid TOML: {error}") from error
    table = TomlTable(content, str(path))
    title = table.text("title")
    points = table.points("points")
    sections = {name: str(text) for name, text in table.take("sections", dict).items()}
    symbols = {name: str(text) for name, text in table.take("symbols", dict, {}).items()}
    limits = _read_limits(TomlTable(table.take("limits", dict, {}), f"{path}, [limits]"))
    packages = table.texts("packages", PACKAGES)
    variables = table.texts("variables", ())
    own_loop = OwnLoop(table.choice("own_loop", tuple(OwnLoop), OwnLoop.ADVICE))
    carried_forward = CarriedForward(table.choice("carried_forward", tuple(CarriedForward), CarriedForward.NONE))
    feedback = TomlTable(table.take("feedback", dict, {}), f"{path}, [feedback]")
    show_solution = feedback.take("show_solution", bool, False)
    feedback.require_empty()
    gpu = _read_gpu_rules(TomlTable(table.take("gpu", dict, {}), f"{path}, [gpu]"))
    reference = _read_reference(path, table)
    written = _read_written_rules(path.parent, TomlTable(table.take("written", dict, {}), f"{path}, [written]"))
    items = tuple(_read_item(TomlTable(item, f"{path}, item {number}")) for number, item in table.tables("items"))
    table.require_empty()
    _check(str(path), items, sections, points)
    known = {name for item in items for name in item.names}
    for name in variables:
        if name not in known:
            raise AssignmentError(f"{path}: variables has {name!r}, which no item has in names: add it there")
    return Assignment(
        name=path.parent.name,
        title=title,
        folder=path.parent,
        points=points,
        items=items,
        sections=sections,
        revision=compute_revision(path.parent, reference),
        limits=limits,
        packages=packages,
        reference=reference,
        variables=variables,
        written=written,
        own_loop=own_loop,
        symbols=symbols,
        carried_forward=carried_forward,
        show_solution=show_solution,
        gpu=gpu,
    )


def _read_item(table: TomlTable) -> Item:
    identifier = table.text("id")
    table.where = f"{table.where} ({identifier})"
    names = table.texts("names", ())
    for name in names:
        if not name.isidentifier():
            raise table.error(f"{name!r} in names is not a Python name")
    item = Item(
        id=identifier,
        section=table.text("section"),
        title=table.text("title"),
        points=table.points("points"),
        names=names,
        visible=table.take("visible", bool, True),
        partial=table.take("partial", bool, False),
        search=table.take("search", bool, False),
        by_person=table.choice("marked_by", ("tests", "person"), "tests") == "person",
        answer=_read_answer_cells(TomlTable(table.take("answer", dict, {}), f"{table.where}, answer")),
        recipes=_read_recipes(table),
        carried_forward=_read_carried_forward(table),
    )
    table.require_empty()
    if item.by_person and (item.names or item.partial or item.search or item.recipes or not item.visible):
        raise table.error("no test judges what a person marks: leave names, partial, search, visible and recipes out")
    if item.answer != AnswerCells() and not item.by_person:
        raise table.error('answer names the cells that a person reads: add marked_by = "person", or leave it out')
    if item.search and not item.names:
        raise table.error("search needs a name to stand in for: give names, or leave search out")
    return item


def _read_carried_forward(table: TomlTable) -> CarriedForward | None:
    if "carried_forward" not in table.content:
        return None
    return CarriedForward(table.choice("carried_forward", tuple(CarriedForward), ""))


def _read_answer_cells(table: TomlTable) -> AnswerCells:
    cells = AnswerCells(table.texts("cell_ids", ()), table.texts("tags", ()), table.text("below", ""))
    table.require_empty()
    return cells


def _read_written_rules(folder: Path, table: TomlTable) -> WrittenRules:
    headings = table.texts("headings", ())
    listed = TomlTable(table.take("titles", dict, {}), f"{table.where}, titles")
    titles = {section: listed.texts(section, ()) for section in list(listed.content)}
    name = table.text("book", "")
    table.require_empty()
    if name and not (folder / name).is_file():
        raise table.error(f"book = {name!r} is no file: give the path of its fingerprints, relative to rubric.toml")
    return WrittenRules(headings, titles, folder / name if name else None)


def _read_gpu_rules(table: TomlTable) -> GPURules:
    rules = GPURules(table.take("notebooks", bool, False), table.text("queue", "gpu"))
    table.require_empty()
    if not _GPU_QUEUE.fullmatch(rules.queue):
        raise table.error(
            f'queue = {rules.queue!r} is no queue for GPUs: give "gpu", or "gpu-" and a word in lower case'
        )
    return rules


def _read_recipes(table: TomlTable) -> dict[Mode, Recipe]:
    """Return the recipe of each mode. Of `calibration`, which `grader calibrate` writes, only the device matters."""
    recipes: dict[Mode, Recipe] = {}
    modes = TomlTable(table.take("recipes", dict, {}), f"{table.where}, recipes")
    for mode in (Mode.QUICK, Mode.FULL):
        recipe = TomlTable(modes.take(str(mode), dict, {}), f"{modes.where}, {mode}")
        if recipe.content:
            calibration = recipe.take("calibration", dict, {})
            calibrated_on = str(calibration.get("device", "cpu")) if calibration else ""
            recipes[mode] = replace(_read_recipe(recipe), calibrated_on=calibrated_on)
    modes.require_empty()
    return recipes


def _read_recipe(table: TomlTable) -> Recipe:
    kinds = {"float": float, "int": int, "bool": bool}
    values = {
        option.name: table.take(
            option.name, kinds.get(str(option.type), str), REQUIRED if option.default is MISSING else option.default
        )
        for option in fields(Recipe)
        if option.name != "calibrated_on"
    }
    table.require_empty()
    if values["optimizer"] not in ("adam", "sgd"):
        raise table.error(f'optimizer must be "adam" or "sgd", not {values["optimizer"]!r}')
    for name, value in values.items():
        lowest = 0 if name in ("momentum", "threshold", "decay") else 1e-9
        if name != "optimizer" and not lowest <= value <= _MOST:
            raise table.error(f"{name} must be above zero, not {value}")
    if values["threshold"] > 1:
        raise table.error(f"threshold must be between 0 and 1, not {values['threshold']}")
    return Recipe(**values)


def _read_limits(table: TomlTable) -> Limits:
    values: dict[str, Any] = {}
    for limit in fields(Limits):
        kind = float if limit.type == "float" else int
        value = table.take(limit.name, kind, limit.default)
        lowest = 0 if limit.name == "replacements" else 1e-3
        if not lowest <= value < math.inf:
            raise table.error(f"{limit.name} must be above zero, not {value}")
        values[limit.name] = value
    table.require_empty()
    return Limits(**values)


def _read_reference(path: Path, table: TomlTable) -> Path | None:
    name = table.text("reference", "")
    if not name:
        return None
    reference = (path.parent / name).resolve()
    if not reference.is_dir():
        raise table.error(f"reference = {name!r} is no folder: give its path relative to rubric.toml")
    return reference


def _check(where: str, items: tuple[Item, ...], sections: dict[str, str], points: float) -> None:
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise AssignmentError(f"{where}: item {item.id!r} is declared twice: give each item an id of its own")
        seen.add(item.id)
        if item.section not in sections:
            raise AssignmentError(f"{where}: item {item.id!r} is in section {item.section!r}: declare it in [sections]")
    total = math.fsum(item.points for item in items)
    if not math.isclose(total, points):
        raise AssignmentError(
            f"{where}: the items' points add up to {total:g}, but points = {points:g}: make them agree"
        )

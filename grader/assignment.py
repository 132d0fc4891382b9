"""An assignment: its items, points, sections and limits, read from `<folder>/rubric.toml`."""

from __future__ import annotations

import hashlib
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from grader.errors import AssignmentError
from grader.models.recipe import Mode, Recipe
from grader.sandbox.protocol.limits import Limits

__all__ = ["Assignment", "Item", "compute_revision", "find_assignment", "list_assignment_folders", "load_assignment"]

PACKAGES = ("torch", "torchvision", "numpy", "matplotlib", "pandas", "d2l.torch")
RUBRICS = Path(__file__).resolve().parent.parent / "rubrics"  # in a checkout; an installed package has none

_MOST = 1_000_000
_REQUIRED = object()
_WORDS = {
    str: "a string",
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    list: "a list",
    dict: "a table",
}


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


@dataclass(frozen=True)
class Assignment:
    """A folder of rubric tests, with the declarations of its rubric.toml.

    Attributes:
        variables: the items' names that are values; all others are functions and classes.
        revision: a hash of everything that decides a report: rubric.toml, Python files and fingerprints beside it, the
            reference.
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
    choice = f"give one of {', '.join(known)}" if known else "set GRADER_ASSIGNMENT_PATH to the folder it is in"
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
        raise AssignmentError(
            f"{path} does not exist: an assignment is a folder with rubric.toml and test_*.py"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise AssignmentError(f"{path} is not valid TOML: {error}") from error
    table = _Table(content, str(path))
    title = table.text("title")
    points = table.points("points")
    sections = {name: str(text) for name, text in table.take("sections", dict).items()}
    limits = _read_limits(_Table(table.take("limits", dict, {}), f"{path}, [limits]"))
    packages = table.texts("packages", PACKAGES)
    variables = table.texts("variables", ())
    reference = _read_reference(path, table)
    written = _read_written_rules(path.parent, _Table(table.take("written", dict, {}), f"{path}, [written]"))
    items = tuple(_read_item(_Table(item, f"{path}, item {number}")) for number, item in table.tables("items"))
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
    )


def compute_revision(folder: Path, reference: Path | None) -> str:
    """Return the SHA-256 of rubric.toml, and of all Python files and fingerprints of a folder and of its reference."""
    digest = hashlib.sha256()
    sources = [("rubric.toml", folder / "rubric.toml")]
    for kind, root in (("rubric", folder), ("reference", reference)):
        if root is not None:
            paths = [*root.rglob("*.py"), *root.rglob("*.fingerprints")]
            sources += sorted((f"{kind}/{path.relative_to(root).as_posix()}", path) for path in paths)
    for name, path in sources:
        content = path.read_bytes()
        digest.update(f"{name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _read_item(table: _Table) -> Item:
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
        by_person=_is_marked_by_person(table),
        answer=_read_answer_cells(_Table(table.take("answer", dict, {}), f"{table.where}, answer")),
        recipes=_read_recipes(table),
    )
    table.require_empty()
    if item.by_person and (item.names or item.partial or item.search or item.recipes or not item.visible):
        raise table.error("no test judges what a person marks: leave names, partial, search, visible and recipes out")
    if item.answer != AnswerCells() and not item.by_person:
        raise table.error('answer names the cells that a person reads: add marked_by = "person", or leave it out')
    if item.search and not item.names:
        raise table.error("search needs a name to stand in for: give names, or leave search out")
    return item


def _is_marked_by_person(table: _Table) -> bool:
    marked_by = table.text("marked_by", "tests")
    if marked_by not in ("tests", "person"):
        raise table.error(f'marked_by must be "tests" or "person", not {marked_by!r}')
    return marked_by == "person"


def _read_answer_cells(table: _Table) -> AnswerCells:
    cells = AnswerCells(table.texts("cell_ids", ()), table.texts("tags", ()), table.text("below", ""))
    table.require_empty()
    return cells


def _read_written_rules(folder: Path, table: _Table) -> WrittenRules:
    headings = table.texts("headings", ())
    listed = _Table(table.take("titles", dict, {}), f"{table.where}, titles")
    titles = {section: listed.texts(section, ()) for section in list(listed.content)}
    name = table.text("book", "")
    table.require_empty()
    if name and not (folder / name).is_file():
        raise table.error(f"book = {name!r} is no file: give the path of its fingerprints, relative to rubric.toml")
    return WrittenRules(headings, titles, folder / name if name else None)


def _read_recipes(table: _Table) -> dict[Mode, Recipe]:
    """Return the recipe of each mode. The key `calibration` is for people only, see `grader calibrate`."""
    recipes: dict[Mode, Recipe] = {}
    modes = _Table(table.take("recipes", dict, {}), f"{table.where}, recipes")
    for mode in (Mode.QUICK, Mode.FULL):
        recipe = _Table(modes.take(str(mode), dict, {}), f"{modes.where}, {mode}")
        if recipe.content:
            recipe.take("calibration", dict, {})
            recipes[mode] = _read_recipe(recipe)
    modes.require_empty()
    return recipes


def _read_recipe(table: _Table) -> Recipe:
    kinds = {"float": float, "int": int, "bool": bool}
    values = {
        option.name: table.take(
            option.name, kinds.get(str(option.type), str), _REQUIRED if option.default is MISSING else option.default
        )
        for option in fields(Recipe)
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


def _read_limits(table: _Table) -> Limits:
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


def _read_reference(path: Path, table: _Table) -> Path | None:
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


class _Table:
    """A TOML table that is emptied key by key, so that the remaining keys are the unknown ones."""

    def __init__(self, content: dict[str, Any], where: str) -> None:
        self.content = dict(content)
        self.where = where

    def error(self, what: str) -> AssignmentError:
        return AssignmentError(f"{self.where}: {what}")

    def take(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        value = self.content.pop(key, default)
        if value is _REQUIRED:
            raise self.error(f"{key} is missing: add {key} = {_WORDS[kind]}")
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"{key} must be {_WORDS[kind]}, not {value!r}")
        return value

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        return str(self.take(key, str, default))

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        values = self.take(key, list, list(default))
        if not all(isinstance(value, str) for value in values):
            raise self.error(f"{key} must be a list of strings, not {values!r}")
        return tuple(values)

    def points(self, key: str) -> float:
        value = float(self.take(key, float))
        if not 0 < value < math.inf:
            raise self.error(f"{key} must be above zero, not {value:g}")
        return value

    def tables(self, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, value in enumerate(self.take(key, list), start=1):
            if not isinstance(value, dict):
                raise self.error(f"{key} must be tables: write [[{key}]]")
            yield number, value

    def require_empty(self) -> None:
        if self.content:
            raise self.error(f"unknown key {', '.join(sorted(self.content))}: check its spelling")

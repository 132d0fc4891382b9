"""Rules for imports, names and lengths of files: one test a rule, which lists every file that breaks it.

The sources are parsed once; nothing is run.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from tests.support.floors import FLOORS
from tests.support.paths import ROOT

TEMPLATE = ROOT / "grader" / "authoring" / "template"
LONGEST = 400
SAYS_NOTHING = {"base", "common", "helper", "helpers", "manager", "managers", "misc", "services", "util", "utils"}

# What the extra `service` installs, and nothing outside grader/service/ and grader/cli/ may need.
OF_THE_SERVICE = {
    "alembic", "celery", "fastapi", "fsspec", "kombu", "limits", "prometheus_client", "psycopg", "pydantic", "redis",
    "sqlalchemy", "sse_starlette", "starlette", "uvicorn",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One Python file."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> list[str]:
        """Names of the modules it imports, also for types only and inside functions."""
        names: list[str] = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path} imports relatively"
                names += [_module_or_name(node.module or "", alias.name) for alias in node.names]
        return names

    def exported(self) -> list[str] | None:
        """Return its __all__, or None if it has none."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
                names: list[str] = ast.literal_eval(node.value)
                return names
        return None

    def public(self) -> set[str]:
        """Return the functions and classes it defines without an underscore."""
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        return {node.name for node in self.tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


@cache
def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _module_or_name(module: str, name: str) -> str:
    return f"{module}.{name}" if _is_module(f"{module}.{name}") else module


def sources(folder: str) -> list[Source]:
    """Parse nothing yet: list the Python files of a folder, without the template that authors copy."""
    found = []
    for path in sorted(path for path in (ROOT / folder).rglob("*.py") if TEMPLATE not in path.parents):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Source(name, path))
    return found


GRADER = sources("grader")
# Alternatives are written as a student might write them, so they import and call things as students do.
OURS = {
    "reference": sources("reference"),
    "rubrics": [each for each in sources("rubrics") if ".alternatives." not in each.name],
}
ALL = [*GRADER, *OURS["reference"], *OURS["rubrics"]]
IMPORTED = [*GRADER, *OURS["reference"]]  # pytest collects rubrics, no module imports them


def within(module: str, packages: set[str]) -> bool:
    return any(module == package or (package != "grader" and module.startswith(f"{package}.")) for package in packages)


def top_levels(source: Source) -> set[str]:
    """Return the top-level packages that a module imports."""
    return {name.partition(".")[0] for name in source.imports}


def in_order(name: str) -> tuple[int, str]:
    """Sort as the linter does: constants, then classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@cache
def room_of(module: str, house: str) -> str | None:
    """Return the room of a house in which a module stands, or None if it stands in none."""
    rooms = [f"{house}.{room}" for floor in FLOORS[house] for room in floor]
    return next((room for room in rooms if within(module, {room})), None)


def floor_of(room: str, house: str) -> int:
    return next(number for number, floor in enumerate(FLOORS[house]) if room.removeprefix(f"{house}.") in floor)


@pytest.mark.parametrize("house", FLOORS)
def test_every_module_stands_in_a_room(house: str) -> None:
    outside = [s.name for s in GRADER if within(s.name, {house}) or house == "grader" if not room_of(s.name, house)]
    packages = {house, "grader.sandbox"}  # whose __init__ only say what is in them
    assert set(outside) <= packages


@pytest.mark.parametrize("house", FLOORS)
def test_imports_run_down_the_floors(house: str) -> None:
    upward = []
    for source in GRADER:
        room = room_of(source.name, house)
        if room is None:
            continue
        others = {other for name in source.imports if (other := room_of(name, house)) not in (None, room)}
        upward += [f"{source.name} -> {o}" for o in sorted(others) if floor_of(o, house) >= floor_of(room, house)]
    assert upward == []


@pytest.mark.parametrize(
    ("package", "foreign"),
    [
        ("grader.sandbox.host", {"grader.sandbox.guest"}),
        ("grader.sandbox.guest", {"grader.sandbox.host", "grader.sandbox.jail"}),
        ("grader.sandbox.protocol", {"grader.sandbox.host", "grader.sandbox.jail", "grader.sandbox.guest"}),
    ],
)
def test_trusted_and_untrusted_code_stand_apart(package: str, foreign: set[str]) -> None:
    crossing = {s.name: [n for n in s.imports if within(n, foreign)] for s in GRADER if within(s.name, {package})}
    assert {name: found for name, found in crossing.items() if found} == {}


def test_the_guest_needs_only_itself_the_protocol_and_models() -> None:
    rooms = {"grader.sandbox.guest", "grader.sandbox.protocol", "grader.models"}
    needed = {n for s in GRADER if within(s.name, rooms) for n in s.imports if n.partition(".")[0] == "grader"}
    assert [name for name in sorted(needed) if not within(name, rooms)] == []


def test_only_the_command_line_imports_the_service() -> None:
    importing = [s for s in GRADER if any(within(name, {"grader.service"}) for name in s.imports)]
    assert [s.name for s in importing if not within(s.name, {"grader.service", "grader.cli"})] == []


def test_only_the_service_needs_what_its_extra_installs() -> None:
    outside = [source for source in GRADER if not within(source.name, {"grader.service", "grader.cli"})]
    needed = {source.name: top_levels(source) & OF_THE_SERVICE for source in outside}
    assert {name: packages for name, packages in needed.items() if packages} == {}


def test_only_the_application_knows_both_api_and_pages() -> None:
    of_pages = [s.name for s in GRADER if any(within(n, {"grader.service.web"}) for n in s.imports)]
    outside = [name for name in of_pages if not within(name, {"grader.service.web"})]
    assert outside == ["grader.service.application"]


def test_the_grader_knows_no_rubric_and_no_reference() -> None:
    assert [s.name for s in GRADER if top_levels(s) & {"reference", "rubrics", "tests", "benchmarks"}] == []


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [("reference", {"reference", "torch"}), ("rubrics", {"grader.testing", "reference", "torch"})],
)
def test_reference_and_rubrics_import_next_to_nothing(folder: str, allowed: set[str]) -> None:
    imports = [(source.name, name) for source in OURS[folder] for name in source.imports]
    others = [(source, name) for source, name in imports if name.partition(".")[0] not in sys.stdlib_module_names]
    assert [(source, name) for source, name in others if not within(name, allowed)] == []
    # Authors import what grader.testing exports, not the modules inside it.
    assert [(s, name) for s, name in others if name.startswith("grader.") and name != "grader.testing"] == []


def test_tests_import_neither_each_other_nor_a_conftest() -> None:
    """What several test files need stands in tests/support/."""
    imports = [(source.name, name) for source in sources("tests") for name in source.imports]
    of_tests = [(source, name) for source, name in imports if name.startswith("tests.")]
    assert [(source, name) for source, name in of_tests if not within(name, {"tests.support"})] == []


def test_no_import_goes_round_in_a_circle() -> None:
    """Imports for types and imports inside functions count as well."""
    known = {source.name for source in ALL}
    edges = {s.name: {name for name in s.imports if name in known and name != s.name} for s in ALL}
    # Take away modules that import nothing that is left; a circle is what stays.
    while free := {name for name, imported in edges.items() if not imported & edges.keys()}:
        for name in free:
            del edges[name]
    assert edges == {}


def test_a_module_has_a_docstring() -> None:
    assert [source.name for source in ALL if source.text.strip() and not ast.get_docstring(source.tree)] == []


def test_public_names_are_listed_in_all() -> None:
    assert [s.name for s in IMPORTED if s.exported() is None and s.public()] == []


def test_all_is_sorted_and_lists_what_the_module_binds() -> None:
    wrong = {}
    for source in IMPORTED:
        exported = source.exported()
        if exported is None:
            continue
        bound = source.public()
        for node in source.nodes:
            if isinstance(node, ast.ImportFrom):
                bound |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.add(node.id)
        if missing := set(exported) - bound:
            wrong[source.name] = f"not bound: {sorted(missing)}"
        elif exported != sorted(set(exported), key=in_order):
            wrong[source.name] = f"not sorted: {exported}"
    assert wrong == {}


def test_a_file_is_short() -> None:
    lengths = {source.name: len(source.text.splitlines()) for source in ALL}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


def test_the_name_of_a_file_says_something() -> None:
    assert [source.name for source in ALL if SAYS_NOTHING & set(source.name.lower().split("."))] == []


def test_a_class_has_a_name_of_its_own() -> None:
    defined: dict[str, list[str]] = {}
    for source in ALL:
        for node in source.nodes:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined.setdefault(node.name, []).append(source.name)
    assert {name: modules for name, modules in defined.items() if len(modules) > 1} == {}

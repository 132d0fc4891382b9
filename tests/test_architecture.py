"""What may import what, how long a file may be and how it may not be called: read from the sources, nothing is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TEMPLATE = ROOT / "grader" / "authoring" / "template"
LONGEST = 400
SAYS_NOTHING = {"base", "common", "helper", "helpers", "manager", "managers", "misc", "services", "util", "utils"}

# Rooms by floor, the lowest first: a room imports only what stands on floors below its own (docs/architecture.md).
FLOORS: Mapping[str, Sequence[set[str]]] = {
    "grader": [
        {"errors", "models", "sandbox.protocol"},
        {"assignment", "student", "cache_folder", "sandbox.guest"},
        {"results", "training", "sandbox.jail"},
        {"submission", "render", "gradebook", "testing", "client"},
        {"collection", "sandbox.host", "judging"},
        {"grading", "self_check"},
        {"batch", "authoring", "service"},
        {"cli"},
    ],
    "grader.service": [
        {"settings", "celery_internals"},
        {"store", "broker"},
        {"enqueue"},
        {"tasks", "api"},
        {"worker", "web"},
        {"application"},
    ],
}
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
    tree: ast.Module

    def imports(self) -> Iterator[str]:
        """Give the names of the modules it imports, also for types only and inside functions."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path} imports relatively"
                module = node.module or ""
                yield from (_module_or_name(module, alias.name) for alias in node.names)

    def exported(self) -> list[str] | None:
        """Return its __all__, None where it has none."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
                names: list[str] = ast.literal_eval(node.value)
                return names
        return None

    def public(self) -> set[str]:
        """Return the functions and classes it defines without an underscore."""
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        return {node.name for node in self.tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


def _file_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    found = [each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()]
    return found[0] if found else None


def _module_or_name(module: str, name: str) -> str:
    return f"{module}.{name}" if _file_of(f"{module}.{name}") else module


def sources(folder: str) -> list[Source]:
    found = []
    # The template is an assignment to be copied, and no part of the package.
    for path in sorted(path for path in (ROOT / folder).rglob("*.py") if TEMPLATE not in path.parents):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Source(name, path, ast.parse(path.read_text(encoding="utf-8"))))
    return found


GRADER = sources("grader")
# Alternatives are what a student might hand in, so they import and call things as students do.
OURS = {
    "reference": sources("reference"),
    "rubrics": [each for each in sources("rubrics") if ".alternatives." not in each.name],
}
ALL = [*GRADER, *OURS["reference"], *OURS["rubrics"]]


def within(module: str, packages: set[str]) -> bool:
    return any(module == package or (package != "grader" and module.startswith(f"{package}.")) for package in packages)


def in_order(name: str) -> tuple[int, str]:
    """Sort as the linter does: constants, then classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def each(found: list[Source]) -> list[object]:
    return [pytest.param(source, id=str(source.path.relative_to(ROOT))) for source in found]


def room_of(module: str, house: str) -> str | None:
    """Return the room of a house in which a module stands, None if it stands in none."""
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
@pytest.mark.parametrize("source", each(GRADER))
def test_imports_run_down_the_floors(source: Source, house: str) -> None:
    room = room_of(source.name, house)
    if room is None:
        return
    others = {found for name in source.imports() if (found := room_of(name, house)) not in (None, room)}
    assert [other for other in sorted(others) if floor_of(other, house) >= floor_of(room, house)] == []


@pytest.mark.parametrize(
    ("package", "foreign"),
    [
        ("grader.sandbox.host", {"grader.sandbox.guest"}),
        ("grader.sandbox.guest", {"grader.sandbox.host", "grader.sandbox.jail"}),
        ("grader.sandbox.protocol", {"grader.sandbox.host", "grader.sandbox.jail", "grader.sandbox.guest"}),
    ],
)
def test_trusted_and_untrusted_code_stand_apart(package: str, foreign: set[str]) -> None:
    crossing = {s.name: [n for n in s.imports() if within(n, foreign)] for s in GRADER if within(s.name, {package})}
    assert {name: found for name, found in crossing.items() if found} == {}


def test_the_guest_needs_only_itself_the_protocol_and_models() -> None:
    rooms = {"grader.sandbox.guest", "grader.sandbox.protocol", "grader.models"}
    needed = {n for s in GRADER if within(s.name, rooms) for n in s.imports() if n.partition(".")[0] == "grader"}
    assert [name for name in sorted(needed) if not within(name, rooms)] == []


@pytest.mark.parametrize("source", [s for s in GRADER if not within(s.name, {"grader.service"})], ids=lambda s: s.name)
def test_only_the_service_needs_what_its_extra_installs(source: Source) -> None:
    names = list(source.imports())
    if not within(source.name, {"grader.cli"}):
        names += [name for name in names if within(name, {"grader.service"})]
        assert not [name for name in names if within(name, {"grader.service"})]
        assert not {name.partition(".")[0] for name in names} & OF_THE_SERVICE


def test_only_the_application_knows_both_api_and_pages() -> None:
    of_pages = [s.name for s in GRADER if any(within(n, {"grader.service.web"}) for n in s.imports())]
    outside = [name for name in of_pages if not within(name, {"grader.service.web"})]
    assert outside == ["grader.service.application"]


@pytest.mark.parametrize("source", each(GRADER))
def test_the_grader_knows_no_rubric_and_no_reference(source: Source) -> None:
    assert not {name.partition(".")[0] for name in source.imports()} & {"reference", "rubrics", "tests", "benchmarks"}


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [("reference", {"reference", "torch"}), ("rubrics", {"grader.testing", "reference", "torch"})],
)
def test_reference_and_rubrics_import_next_to_nothing(folder: str, allowed: set[str]) -> None:
    for source in OURS[folder]:
        others = [name for name in source.imports() if name.partition(".")[0] not in sys.stdlib_module_names]
        assert [name for name in others if not within(name, allowed)] == [], source.path
        private = [name for name in others if name.startswith("grader.") and name != "grader.testing"]
        assert private == [], source.path


def test_no_import_goes_round_in_a_circle() -> None:
    """Imports for types and imports inside functions count as well."""
    known = {source.name for source in ALL}
    edges = {s.name: {name for name in s.imports() if name in known and name != s.name} for s in ALL}
    # Take away modules that import nothing that is left; a circle is what stays.
    while free := {name for name, imported in edges.items() if not imported & edges.keys()}:
        for name in free:
            del edges[name]
    assert edges == {}


@pytest.mark.parametrize("source", each(ALL))
def test_a_module_says_what_it_is_and_what_it_exports(source: Source) -> None:
    if source.path.read_text(encoding="utf-8").strip():
        assert ast.get_docstring(source.tree), "no docstring"
    if source.name.startswith("rubrics."):
        return  # pytest collects those, nobody imports them
    exported = source.exported()
    if exported is None:
        assert not source.public(), "public names and no __all__"
        return
    assert exported == sorted(set(exported), key=in_order)
    bound = source.public()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
    assert set(exported) <= bound


@pytest.mark.parametrize("source", each(ALL))
def test_a_file_is_short_and_its_name_says_something(source: Source) -> None:
    assert len(source.path.read_text(encoding="utf-8").splitlines()) <= LONGEST
    assert not SAYS_NOTHING & {part.lower() for part in source.name.split(".")}


def test_a_class_has_a_name_of_its_own() -> None:
    defined: dict[str, list[str]] = {}
    for source in ALL:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                defined.setdefault(node.name, []).append(source.name)
    assert {name: modules for name, modules in defined.items() if len(modules) > 1} == {}

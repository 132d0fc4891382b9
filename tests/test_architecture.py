"""What may import what, how long a file may be and how it may not be called: read from the sources, nothing is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TEMPLATE = ROOT / "grader" / "authoring" / "template"
LONGEST = 400
SAYS_NOTHING = {"base", "common", "helper", "helpers", "managers", "misc", "services", "util", "utils"}

DATA = {f"grader.{name}" for name in (
    "assignment", "cache_folder", "calibration", "changes", "collection", "discussion", "errors", "executed",
    "gradebook",
    "hints", "installs", "journal", "marks", "notebook_json", "overview", "recipe", "report", "selection", "settings",
    "student", "submission", "verification",
)}  # fmt: skip
MODELS = {
    "grader.models.modules",
    "grader.models.trace",
    "grader.models.export",
    "grader.models.probe",
    "grader.models.fit",
}
# Each layer and what it may import of grader, itself apart.
LAYERS: dict[str, set[str]] = {
    "grader": {"grader.self_check.magic"},
    "grader.authoring.new": DATA,
    "grader.authoring.importing": {*DATA, "grader.authoring.new"},
    # These run in the student's process and in ours.
    "grader.models.modules": set(),
    "grader.models.trace": {"grader.models.modules"},
    "grader.models.export": {"grader.models.modules", "grader.models.trace"},
    "grader.models.probe": set(),
    "grader.models.fit": {"grader.recipe"},
    "grader.sandbox": {"grader", *DATA, *MODELS},
    "grader.training": {*DATA, *MODELS},
    "grader.testing": {*DATA, *MODELS, "grader.training"},
    "grader.render": DATA,
    "grader.authoring.bundling": {*DATA, *MODELS, "grader.testing"},
    "grader.grade": {*DATA, "grader.sandbox", "grader.testing", "grader.training"},
    "grader.authoring.verify": {*DATA, "grader.grade", "grader.sandbox", "grader.testing"},
    "grader.authoring.calibrate": {
        *DATA,
        "grader.grade",
        "grader.sandbox",
        "grader.testing",
        "grader.training",
        "grader.authoring.verify",
    },
    "grader.self_check.magic": {*DATA, "grader.render", "grader.testing"},
    "grader.self_check.watch": {*DATA, "grader.grade", "grader.sandbox", "grader.training"},
    "grader.grading.session": {*DATA, "grader.grade", "grader.sandbox", "grader.training"},
    "grader.batch.child": {*DATA, "grader.grading.session", "grader.sandbox"},
    "grader.batch": {*DATA, "grader.render", "grader.sandbox"},
    "grader.service.store": DATA,
    "grader.service.broker": DATA,
    "grader.service.dispatch": {*DATA, "grader.service.broker", "grader.service.store"},
    "grader.service.tasks": {
        *DATA,
        "grader.service.broker",
        "grader.grading.session",
        "grader.service.dispatch",
        "grader.service.store",
    },
    "grader.service.worker": {
        *DATA,
        "grader.service.broker",
        "grader.service.dispatch",
        "grader.service.store",
        "grader.service.tasks",
    },
    "grader.service.api": {
        *DATA,
        "grader.service.broker",
        "grader.service.dispatch",
        "grader.render",
        "grader.service.store",
        "grader.service.web",
    },
    "grader.service.web": {*DATA, "grader.service.api", "grader.render", "grader.service.store"},
    "grader.client": DATA,
    "grader.cli": {
        *DATA,
        "grader.service.api",
        "grader.authoring.new",
        "grader.batch",
        "grader.service.broker",
        "grader.authoring.bundling",
        "grader.authoring.calibrate",
        "grader.client",
        "grader.grade",
        "grader.grading.session",
        "grader.authoring.importing",
        "grader.render",
        "grader.sandbox",
        "grader.service.store",
        "grader.training",
        "grader.authoring.verify",
        "grader.self_check.watch",
        "grader.service.worker",
    },
}


@dataclass(frozen=True)
class Source:
    """One Python file."""

    name: str
    path: Path
    tree: ast.Module

    def imports(self, *, only_at_start: bool = False) -> Iterator[str]:
        """Give the names of the modules it imports; where `only_at_start`, not those a function imports when called."""
        pending: list[ast.AST] = [self.tree]
        while pending:
            node = pending.pop()
            if only_at_start and (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _for_types(node)):
                continue
            pending += ast.iter_child_nodes(node)
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


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


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


def test_the_layers_are_all_there_is() -> None:
    known = DATA | set(LAYERS) | {"grader"}
    assert [source.name for source in GRADER if not within(source.name, known)] == []


@pytest.mark.parametrize("source", each(GRADER))
def test_imports_go_one_way(source: Source) -> None:
    layer = next((name for name in LAYERS if within(source.name, {name})), None)
    allowed = {*LAYERS[layer], layer} if layer else DATA
    ours = [name for name in source.imports() if name.partition(".")[0] == "grader"]
    assert [name for name in ours if not within(name, allowed)] == []


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
    known = {source.name for source in ALL}
    edges = {
        source.name: {name for name in source.imports(only_at_start=True) if name in known and name != source.name}
        for source in ALL
    }
    # Whatever imports nothing that is left is taken away; a circle is what stays.
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

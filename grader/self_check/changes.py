"""Find what a change of a notebook may affect, from its source.

Each statement binds names, uses names, and may change the objects that names stand for. The names that a changed
statement binds or changes are affected, and so is everything that uses them, directly or indirectly. If the effect of a
change cannot be bounded, everything is affected: a cell that is not plain Python, an import, a patched library, or an
added or removed cell.

Python allows effects that no analysis of the source can follow. So this analysis decides only what is judged first (see
`watch.py`). Without it a verdict after a save takes five times as long (benchmarks/NOTES.md).
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from grader.assignment import Item
from grader.judging.near_names import is_near
from grader.submission.submission import Submission

__all__ = ["NotebookChange", "compare_notebooks"]

Place = tuple[str, int]  # the name of a notebook, and the number of a cell

_HARMLESS_MAGIC = re.compile(r"^[ \t]*(%(matplotlib|config|pip|conda|load_ext)\b|!).*$", re.MULTILINE)
# With these a cell can reach any object, without mentioning its name.
_REFLECTION_NAMES = {
    *("__builtins__", "__import__", "builtins", "compile", "ctypes", "delattr", "eval", "exec", "gc", "get_ipython"),
    *("globals", "importlib", "inspect", "locals", "os", "setattr", "sys", "types", "vars"),
}
_REFLECTION_ATTRIBUTES = {
    *("__bases__", "__builtins__", "__class__", "__code__", "__defaults__", "__dict__", "__globals__", "__setattr__"),
}
_SETTINGS = re.compile(
    r"(chdir|disable|enable|filterwarnings|manual_seed|patch|putenv|register|reload|seed|set|seterr|simplefilter|use)(_|$)"
)
_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class NotebookChange:
    """The ids of the items that a change may affect, and the cells whose code may behave differently."""

    items: frozenset[str]
    cells: frozenset[Place] = frozenset()


class _Unbounded(Exception):
    """A change may affect anything."""


@dataclass(frozen=True)
class _Statement:
    """One statement of a cell, and its effect on the names that the cells share.

    Attributes:
        code: the normalised source.
        runs: whether it runs code of the notebook, rather than only defining a function or a class of functions.
        defines: whether it contains a function, a class or a lambda, whose code runs when it is called.
        binds: the names it binds.
        uses: the names it mentions, including those in nested functions.
        changes: the used names whose objects it may change.
        exposes: the used names whose objects it stores into or passes whole, which can patch a module.
        imports: whether it contains an import.
        alias: a new name for a module or a part of one, with the module's name; None if it makes no alias.
        is_unbounded: whether it does something that cannot be followed.
    """

    code: str
    runs: bool
    defines: bool
    binds: frozenset[str]
    uses: frozenset[str]
    changes: frozenset[str]
    exposes: frozenset[str]
    imports: bool
    alias: tuple[str, str] | None
    is_unbounded: bool


def compare_notebooks(old: Submission, new: Submission, items: Sequence[Item]) -> NotebookChange:
    """Return what the difference between two states of a submission may affect.

    Args:
        old: the state that was judged.
        new: the current state.
        items: the items that are judged.
    """
    if _get_sources(old) == _get_sources(new):
        return NotebookChange(frozenset())
    try:
        affected, cells = _find_affected(old, new)
    except _Unbounded:
        return NotebookChange(frozenset(item.id for item in items))
    bound = {name for state in (old, new) for statement in _list_statements(state) for name in statement.binds}
    return NotebookChange(frozenset(item.id for item in items if _is_affected(item, affected, bound)), cells)


def _is_affected(item: Item, affected: set[str], bound: set[str]) -> bool:
    if not item.names or not affected.isdisjoint(item.names):
        return True
    # If the name is not bound, a search may take any definition for it, and one of nearly the same name counts.
    name = item.names[0]
    return name not in bound and (item.search or any(is_near(other, name) for other in affected))


def _get_sources(submission: Submission) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(book.name, [(cell.kind, cell.source) for cell in book.cells]) for book in submission.notebooks]


def _list_statements(submission: Submission) -> Iterator[_Statement]:
    for notebook in submission.notebooks:
        for cell in notebook.cells:
            if cell.kind == "code":
                yield from _parse_statements(cell.source)


def _find_affected(old: Submission, new: Submission) -> tuple[set[str], frozenset[Place]]:
    """Return the affected names, and the cells with an affected statement.

    Raises:
        _Unbounded: everything may be affected.
    """
    if [(book.name, [cell.kind for cell in book.cells]) for book in old.notebooks] != [
        (book.name, [cell.kind for cell in book.cells]) for book in new.notebooks
    ]:
        raise _Unbounded
    placed: list[tuple[Place, _Statement]] = []
    changed: list[tuple[Place, _Statement]] = []
    for before, after in zip(old.notebooks, new.notebooks, strict=True):
        for old_cell, cell in zip(before.cells, after.cells, strict=True):
            if cell.kind == "code":
                place = (after.name, cell.index)
                placed += [(place, statement) for statement in _parse_statements(cell.source)]
                changed += [(place, statement) for statement in _diff(old_cell.source, cell.source)]
    if any(statement.imports for _, statement in changed):
        raise _Unbounded
    modules = _find_modules([*changed, *placed])
    return _propagate([*changed, *placed], {statement for _, statement in changed}, modules)


def _diff(old: str, new: str) -> list[_Statement]:
    """Return the statements of two versions of a cell, without the common ones at the beginning and at the end."""
    if old == new:
        return []
    before, after = list(_parse_statements(old)), list(_parse_statements(new))
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return before + after


def _find_modules(placed: Iterable[tuple[Place, _Statement]]) -> set[str]:
    """Return the names of modules and of their parts, which all code shares."""
    names = {name for _, statement in placed if statement.imports for name in statement.binds}
    for _ in range(2):  # an alias of an alias
        names |= {statement.alias[0] for _, statement in placed if statement.alias and statement.alias[1] in names}
    return names


def _propagate(
    placed: Sequence[tuple[Place, _Statement]], changed: set[_Statement], modules: set[str]
) -> tuple[set[str], frozenset[Place]]:
    """Spread the effect of changed statements to all statements that use affected names, until nothing is added."""
    affected: set[str] = set()
    waiting, cells = list(placed), set()
    is_growing = True
    while is_growing:
        reached = [entry for entry in waiting if entry[1] in changed or not entry[1].uses.isdisjoint(affected)]
        waiting = [entry for entry in waiting if entry not in reached]
        cells |= {place for place, _ in reached}
        affected = affected.union(*(_find_effects(statement, placed, modules) for _, statement in reached))
        is_growing = bool(reached)
    return affected, frozenset(cells)


def _find_effects(statement: _Statement, placed: Sequence[tuple[Place, _Statement]], modules: set[str]) -> set[str]:
    """Return the names that an affected statement affects; if it runs code, also those that the called code changes."""
    called = [statement]
    if statement.runs:
        reached, others = set(statement.uses), [other for _, other in placed if other is not statement]
        while more := [other for other in others if not other.binds.isdisjoint(reached)]:
            others = [other for other in others if other.binds.isdisjoint(reached)]
            called += more
            reached.update(*(other.uses for other in more if other.defines))
    for other in called:
        if other.is_unbounded or not other.exposes.isdisjoint(modules):
            raise _Unbounded
    changed = {name for other in called if other is statement or other.defines for name in other.changes}
    return (set(statement.binds) | changed) - modules


@lru_cache(maxsize=4096)
def _parse_statements(source: str) -> tuple[_Statement, ...]:
    text = _HARMLESS_MAGIC.sub("", source)
    try:
        return tuple(_analyse(node) for node in ast.parse(text).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Unbounded from None


def _analyse(node: ast.stmt) -> _Statement:
    code = ast.unparse(node)
    table = symtable.symtable(code, "<cell>", "exec")
    nodes = list(ast.walk(node))
    uses = frozenset(_list_shared_names(table, is_outermost=True))
    binds = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    declared = {name for inner in nodes if isinstance(inner, ast.Global) for name in inner.names}
    exposes = {root for inner in nodes for root in _list_exposed(inner)}
    changes = {name for inner in nodes for name in _list_changed(inner)} | exposes | declared
    return _Statement(
        code=code,
        runs=not _only_defines(node),
        defines=any(isinstance(inner, _DEFINITIONS | ast.Lambda) for inner in nodes),
        binds=frozenset(binds),
        uses=uses,
        changes=frozenset(changes & uses),
        exposes=frozenset(exposes & uses),
        imports=any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in nodes),
        alias=_read_alias(node),
        is_unbounded=not uses.isdisjoint(_REFLECTION_NAMES) or any(_is_unbounded(inner) for inner in nodes),
    )


def _only_defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return not node.decorator_list and all(map(_only_defines, node.body))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return not node.decorator_list
    value = node.value if isinstance(node, ast.Assign | ast.Expr) else None
    return isinstance(node, ast.Pass) or isinstance(value, ast.Lambda | ast.Constant)


def _list_shared_names(table: symtable.SymbolTable, is_outermost: bool = False) -> Iterator[str]:
    """Yield the names in a piece of code that belong to the notebook, not to a function or a class in it."""
    yield from (symbol.get_name() for symbol in table.get_symbols() if is_outermost or symbol.is_global())
    for child in table.get_children():
        yield from _list_shared_names(child)


def _get_root(node: ast.expr) -> str:
    """Return the name at the beginning of `name.a[0].b`, "" if it does not begin with a name."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _list_exposed(node: ast.AST) -> Iterator[str]:
    """Yield the names whose objects a node stores into or passes whole to a call."""
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        yield _get_root(node)
    elif isinstance(node, ast.Call) and _get_function_name(node) not in ("isinstance", "issubclass"):
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        # The book's add_to_class patches its argument, which may be a class of a module.
        if _get_function_name(node) != "add_to_class":
            arguments = [argument for argument in arguments if isinstance(argument, ast.Name)]
        yield from map(_get_root, arguments)


def _list_changed(node: ast.AST) -> Iterator[str]:
    """Yield the names whose objects may change: arguments of a call, the object of a method, the target of `x += y`."""
    if isinstance(node, ast.AugAssign):
        yield _get_root(node.target)
    elif isinstance(node, ast.Call):
        receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        values = [*receiver, *node.args, *(keyword.value for keyword in node.keywords)]
        nodes = [inner for value in values for inner in ast.walk(value)]
        functions = {id(inner.func) for inner in nodes if isinstance(inner, ast.Call)}
        yield from (inner.id for inner in nodes if isinstance(inner, ast.Name) and id(inner) not in functions)


def _read_alias(node: ast.stmt) -> tuple[str, str] | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        root = _get_root(node.value)
        return (node.targets[0].id, root) if root else None
    return None


def _is_unbounded(node: ast.AST) -> bool:
    """Tell whether a node does something that cannot be followed: it changes settings, or an object without a name."""
    if isinstance(node, ast.Attribute) and node.attr in _REFLECTION_ATTRIBUTES:
        return True
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return not _get_root(node)
    if isinstance(node, ast.Call):
        return bool(_SETTINGS.match(_get_function_name(node)))
    return False


def _get_function_name(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else _get_root(node.func)

"""What a change of a notebook may have an effect on, told from its source.

Each statement binds names, uses names, and may change what names stand for. What a changed statement binds or changes
is in doubt; so is all that follows from it, through whatever uses it. Where this cannot be told (a cell that is no
plain Python, an import, a library that is patched, a cell that was added) everything is in doubt.

Python allows what no reading can follow. So this decides what is judged first, and nothing else (see `watch.py`).
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from grader.assignment import Item
from grader.submission.submission import Submission

__all__ = ["NotebookChange", "compare_notebooks"]

Place = tuple[str, int]

_HARMLESS_MAGIC = re.compile(r"^[ \t]*(%(matplotlib|config|pip|conda|load_ext)\b|!).*$", re.MULTILINE)
# With these a cell can reach whatever it likes, under names that are nowhere in it.
_POWERS = {
    *("__builtins__", "__import__", "builtins", "compile", "ctypes", "delattr", "eval", "exec", "gc", "get_ipython"),
    *("globals", "importlib", "inspect", "locals", "os", "setattr", "sys", "types", "vars"),
}
_INSIDES = {
    *("__bases__", "__builtins__", "__class__", "__code__", "__defaults__", "__dict__", "__globals__", "__setattr__"),
}
_SETTINGS = re.compile(
    r"(chdir|disable|enable|filterwarnings|manual_seed|patch|putenv|register|reload|seed|set|seterr|simplefilter|use)(_|$)"
)
_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class NotebookChange:
    """The ids of the items that a change may have an effect on, and the cells whose code does something else by it."""

    items: frozenset[str]
    cells: frozenset[Place] = frozenset()


class _Unforeseeable(Exception):
    """What changed may have an effect on anything."""


@dataclass(frozen=True)
class _Statement:
    """One statement of a cell, and what it does to the names that the notebook shares.

    Attributes:
        code: what it is, whatever its layout.
        runs: whether it runs code of the notebook's, and does not only make a function or a class of functions.
        makes: whether it makes what runs code when it is called.
        binds: the names it binds.
        uses: the names it mentions, in whatever function inside.
        touches: of those the ones whose things it may change.
        exposes: of those the ones that it stores into or hands over whole: a module among them can be patched.
        imports: whether it imports.
        aliases: names that are now others for a module or a part of one, with the module's.
        reaches_all: whether it does what cannot be followed.
    """

    code: str
    runs: bool
    makes: bool
    binds: frozenset[str]
    uses: frozenset[str]
    touches: frozenset[str]
    exposes: frozenset[str]
    imports: bool
    aliases: tuple[str, str] | None
    reaches_all: bool


def compare_notebooks(old: Submission, new: Submission, items: Sequence[Item]) -> NotebookChange:
    """Return what the difference between two states of a submission may have an effect on.

    Args:
        old: as it was judged.
        new: as it is now.
        items: those that are judged.
    """
    if _sources(old) == _sources(new):
        return NotebookChange(frozenset())
    try:
        doubtful, cells = _doubtful(old, new)
    except _Unforeseeable:
        return NotebookChange(frozenset(item.id for item in items))
    bound = {name for each in (old, new) for statement in _all(each) for name in statement.binds}
    return NotebookChange(frozenset(item.id for item in items if _concerned(item, doubtful, bound)), cells)


def _concerned(item: Item, doubtful: set[str], bound: set[str]) -> bool:
    if not item.names or not doubtful.isdisjoint(item.names):
        return True
    return item.search and item.names[0] not in bound  # whatever the notebook has may be what is meant


def _sources(submission: Submission) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(each.name, [(cell.kind, cell.source) for cell in each.cells]) for each in submission.notebooks]


def _all(submission: Submission) -> Iterator[_Statement]:
    for notebook in submission.notebooks:
        for cell in notebook.cells:
            if cell.kind == "code":
                yield from _statements(cell.source)


def _doubtful(old: Submission, new: Submission) -> tuple[set[str], frozenset[Place]]:
    """Return the names that are in doubt, and the cells with a statement that is.

    Raises:
        _Unforeseeable: everything is.
    """
    if [(n.name, [c.kind for c in n.cells]) for n in old.notebooks] != [
        (n.name, [c.kind for c in n.cells]) for n in new.notebooks
    ]:
        raise _Unforeseeable
    placed: list[tuple[Place, _Statement]] = []
    changed: list[tuple[Place, _Statement]] = []
    for before, after in zip(old.notebooks, new.notebooks, strict=True):
        for was, now in zip(before.cells, after.cells, strict=True):
            if now.kind == "code":
                place = (after.name, now.index)
                placed += [(place, statement) for statement in _statements(now.source)]
                changed += [(place, statement) for statement in _differing(was.source, now.source)]
    if any(statement.imports for _, statement in changed):
        raise _Unforeseeable
    return _spread([*changed, *placed], {statement for _, statement in changed}, _foreign([*changed, *placed]))


def _differing(was: str, now: str) -> list[_Statement]:
    """Return the statements of a cell, as it was and as it is, that are not at its beginning or end in both."""
    if was == now:
        return []
    before, after = list(_statements(was)), list(_statements(now))
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return before + after


def _foreign(placed: Iterable[tuple[Place, _Statement]]) -> set[str]:
    """Return the names of modules and of what is in them: these are shared by everything."""
    found = {name for _, statement in placed if statement.imports for name in statement.binds}
    for _ in range(2):  # an alias of an alias
        found |= {each.aliases[0] for _, each in placed if each.aliases and each.aliases[1] in found}
    return found


def _spread(
    placed: Sequence[tuple[Place, _Statement]], changed: set[_Statement], foreign: set[str]
) -> tuple[set[str], frozenset[Place]]:
    doubtful: set[str] = set()
    waiting, cells = list(placed), set()
    grown = True
    while grown:
        met = [(place, each) for place, each in waiting if each in changed or not each.uses.isdisjoint(doubtful)]
        waiting = [each for each in waiting if each not in met]
        cells |= {place for place, _ in met}
        doubtful = doubtful.union(*(_effects(each, placed, foreign) for _, each in met))
        grown = bool(met)
    return doubtful, frozenset(cells)


def _effects(statement: _Statement, placed: Sequence[tuple[Place, _Statement]], foreign: set[str]) -> set[str]:
    """Return the names that are in doubt where a statement is; with one that runs, what it calls may change things."""
    called = [statement]
    if statement.runs:
        reached, others = set(statement.uses), [each for _, each in placed if each is not statement]
        while more := [each for each in others if not each.binds.isdisjoint(reached)]:
            others = [each for each in others if each.binds.isdisjoint(reached)]
            called += more
            reached.update(*(each.uses for each in more if each.makes))
    for each in called:
        if each.reaches_all or not each.exposes.isdisjoint(foreign):
            raise _Unforeseeable
    touched = {name for each in called if each is statement or each.makes for name in each.touches}
    return (set(statement.binds) | touched) - foreign


@lru_cache(maxsize=4096)
def _statements(source: str) -> tuple[_Statement, ...]:
    text = _HARMLESS_MAGIC.sub("", source)
    try:
        return tuple(_statement(node) for node in ast.parse(text).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Unforeseeable from None


def _statement(node: ast.stmt) -> _Statement:
    code = ast.unparse(node)
    table = symtable.symtable(code, "<cell>", "exec")
    uses = frozenset(_shared(table, outermost=True))
    top = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    declared = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
    exposes = {root for each in ast.walk(node) for root in _exposed(each)}
    touches = {name for each in ast.walk(node) for name in _touched(each)} | exposes | declared
    return _Statement(
        code=code,
        runs=not _only_makes(node),
        makes=any(isinstance(each, _DEFINITIONS | ast.Lambda) for each in ast.walk(node)),
        binds=frozenset(top),
        uses=uses,
        touches=frozenset(touches & uses),
        exposes=frozenset(exposes & uses),
        imports=any(isinstance(each, ast.Import | ast.ImportFrom) for each in ast.walk(node)),
        aliases=_alias(node),
        reaches_all=not uses.isdisjoint(_POWERS) or any(_is_beyond(each) for each in ast.walk(node)),
    )


def _only_makes(node: ast.stmt) -> bool:
    if isinstance(node, ast.ClassDef):
        return not node.decorator_list and all(map(_only_makes, node.body))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return not node.decorator_list
    value = node.value if isinstance(node, ast.Assign | ast.Expr) else None
    return isinstance(node, ast.Pass) or isinstance(value, ast.Lambda | ast.Constant)


def _shared(table: symtable.SymbolTable, outermost: bool = False) -> Iterator[str]:
    """Give the names of a piece of code that are the notebook's, and not a function's or a class's own."""
    yield from (symbol.get_name() for symbol in table.get_symbols() if outermost or symbol.is_global())
    for child in table.get_children():
        yield from _shared(child)


def _root(node: ast.expr) -> str:
    """Return the name at the beginning of `name.a[0].b`, "" where another thing is there."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _exposed(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        yield _root(node)
    elif isinstance(node, ast.Call) and _called(node) not in ("isinstance", "issubclass"):
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        # The book's add_to_class patches what it is given, which may be a class of a module.
        whole = given if _called(node) == "add_to_class" else [each for each in given if isinstance(each, ast.Name)]
        yield from map(_root, whole)


def _touched(node: ast.AST) -> Iterator[str]:
    """Give the names whose things may be changed: what is passed to a call, what a method is called of, `x += y`."""
    if isinstance(node, ast.AugAssign):
        yield _root(node.target)
    elif isinstance(node, ast.Call):
        receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        given = [*receiver, *node.args, *(keyword.value for keyword in node.keywords)]
        called = {id(each.func) for entry in given for each in ast.walk(entry) if isinstance(each, ast.Call)}
        names = (each for entry in given for each in ast.walk(entry) if isinstance(each, ast.Name))
        yield from (name.id for name in names if id(name) not in called)


def _alias(node: ast.stmt) -> tuple[str, str] | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        root = _root(node.value)
        return (node.targets[0].id, root) if root else None
    return None


def _is_beyond(node: ast.AST) -> bool:
    """Tell whether a piece of code does what cannot be followed: it changes settings, or something without a name."""
    if isinstance(node, ast.Attribute) and node.attr in _INSIDES:
        return True
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return not _root(node)
    if isinstance(node, ast.Call):
        return bool(_SETTINGS.match(_called(node)))
    return False


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else _root(node.func)

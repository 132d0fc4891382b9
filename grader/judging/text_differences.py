"""Find the places in which a definition's text differs from another's, whatever their names are. Nothing is run."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from grader.judging.normal_form import Definition, normalise

__all__ = ["TextDifference", "compare_texts", "rank"]

_MOST_NODES = 4000  # of a definition
_MOST_PLACES = 4
_MOST_CHANGED = 0.4  # of a definition; what differs more is another way to write it
_SMALL = 5  # nodes of a place that counts as small in any definition
_CONTAINERS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.For, ast.While, ast.If, ast.With, ast.Try)


@dataclass(frozen=True)
class TextDifference:
    """One place in which two definitions differ.

    Attributes:
        kind: "replaced", "extra" (only in the first), "missing" (only in the second), "swapped" (two neighbours), or
            "moved" (a statement that stands in another place or block).
        ours: the node in the first definition; for what is missing, the node before it or around it.
        right: the node in the second definition, with the first one's names.
        parents: the nodes around both that are expressions, the innermost first.
        deeper: of a moved statement, by how many blocks it is indented further than it should be.
        first: whether what is missing comes first in what is around it.
    """

    kind: Literal["replaced", "extra", "missing", "swapped", "moved"]
    ours: ast.AST
    right: ast.AST
    parents: tuple[tuple[ast.AST, ast.AST], ...] = ()
    deeper: int = 0
    first: bool = False

    @property
    def line(self) -> int | None:
        """The line of `ours`, None if it has none: of an attribute its name's, of what is missing the last one."""
        at_end = isinstance(self.ours, ast.Attribute) or (self.kind == "missing" and not self.first)
        return getattr(self.ours, "end_lineno" if at_end else "lineno", None)

    def overlaps(self, other: TextDifference) -> bool:
        """Tell whether two differences of the same definition from others stand in the same lines."""
        first, last = self._span
        start, end = other._span
        return first <= end and start <= last

    @property
    def _span(self) -> tuple[tuple[int, int], tuple[int, int]]:
        first = getattr(self.ours, "lineno", 0), getattr(self.ours, "col_offset", 0)
        last = getattr(self.ours, "end_lineno", 0), getattr(self.ours, "end_col_offset", 0)
        if self.kind == "missing":
            return (first, first) if self.first else (last, last)
        return first, last

    @property
    def size(self) -> int:
        """How much differs, in nodes."""
        return sum(1 for node in (self.ours, self.right) for _ in ast.walk(node))


def compare_texts(ours: Definition, right: Definition) -> list[TextDifference] | None:
    """Return the few places in which two definitions differ. Return None if they are not much alike.

    Names of parameters, local variables and attributes of self do not matter, nor does what `normalise` drops.
    """
    if type(ours) is not type(right) or _count(ours) > _MOST_NODES:
        return None
    best: list[TextDifference] | None = None
    for thorough in (False, True):
        one, two = normalise(ours, thorough=thorough), normalise(right, thorough=thorough)
        two.name = one.name
        names = _match_names(one, two)
        _Renaming(names).visit(two)
        found = _find_moved(one, two) or _find(one, two, ())
        if found is not None and _are_similar(one, two, found) and (best is None or rank(found) < rank(best)):
            best = found
    return best


def rank(found: Sequence[TextDifference]) -> tuple[int, int]:
    """Return how much two definitions differ, to find the most similar one."""
    return len(found), sum(difference.size for difference in found)


def _are_similar(one: Definition, two: Definition, found: Sequence[TextDifference]) -> bool:
    if len(found) > _MOST_PLACES:
        return False
    changed = [
        (0 if entry.kind == "missing" else _count(entry.ours), 0 if entry.kind == "extra" else _count(entry.right))
        for entry in found
        if entry.kind != "moved"
    ]
    return all(
        sum(sizes) <= max(_MOST_CHANGED * _count(definition), _SMALL)
        for definition, sizes in zip((one, two), zip(*changed, strict=True), strict=False)
    )


def _count(node: ast.AST) -> int:
    return sum(1 for _ in ast.walk(node))


# Names


def _match_names(one: Definition, two: Definition) -> dict[str, str]:
    """Return which name of the first definition each name of the second one is, by where they stand."""
    ours, others = _list_own_names(one), _list_own_names(two)
    votes: Counter[tuple[str, str]] = Counter()
    for name, other in _pair(one, two):
        if name in ours and other in others:
            votes[name, other] += 1
    matched: dict[str, str] = {}
    for name, other in sorted(votes, key=lambda pair: (-votes[pair], pair[0] != pair[1])):
        if other not in matched and name not in matched.values():
            matched[other] = name
    # A name that is left keeps its own, unless that is another one's now.
    for other in others - matched.keys():
        if other in matched.values():
            matched[other] = f"{other}_"
    return matched


def _list_own_names(definition: Definition) -> set[str]:
    names = set()
    for node in ast.walk(definition):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            names.add(f"self.{node.attr}")
    return names - {"self"}


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _pair(one: ast.AST, two: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that stand at the same places of two trees."""
    if type(one) is not type(two):
        return
    if isinstance(one, ast.Name) and isinstance(two, ast.Name):
        yield one.id, two.id
    elif isinstance(one, ast.arg) and isinstance(two, ast.arg):
        yield one.arg, two.arg
    elif isinstance(one, ast.Attribute) and isinstance(two, ast.Attribute) and _is_self(one.value):
        yield f"self.{one.attr}", f"self.{two.attr}"
        return
    for field in one._fields:
        value, other = getattr(one, field, None), getattr(two, field, None)
        if isinstance(value, ast.AST) and isinstance(other, ast.AST):
            yield from _pair(value, other)
        elif isinstance(value, list) and isinstance(other, list):
            for left, right in _align(value, other):
                yield from _pair(left, right)


def _align(ours: list[ast.AST], others: list[ast.AST]) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Yield the entries of two lists that belong together: from the beginning and from the end, by their kinds."""
    if len(ours) == len(others):
        yield from zip(ours, others, strict=True)
        return
    shorter = min(len(ours), len(others))
    start = 0
    while start < shorter and _shape(ours[start]) == _shape(others[start]):
        yield ours[start], others[start]
        start += 1
    for back in range(1, shorter - start + 1):
        yield ours[-back], others[-back]


def _shape(node: ast.AST) -> tuple[str, ...]:
    return tuple(type(child).__name__ for child in ast.walk(node))


class _Renaming(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self._names.get(node.arg, node.arg)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if _is_self(node.value):
            node.attr = self._names.get(f"self.{node.attr}", node.attr).removeprefix("self.")
        return node


# Places


def _find(one: ast.AST, two: ast.AST, parents: tuple[tuple[ast.AST, ast.AST], ...]) -> list[TextDifference] | None:
    """Return the smallest places that hold all differences. Return None if there are too many."""
    if ast.dump(one) == ast.dump(two):
        return []
    here = [TextDifference("replaced", one, two, parents)]
    if type(one) is not type(two):
        return here if hasattr(one, "lineno") else None
    fields = [field for field in one._fields if _dump(getattr(one, field, None)) != _dump(getattr(two, field, None))]
    around = ((one, two), *parents) if isinstance(one, ast.expr) else ()
    is_container = isinstance(one, _CONTAINERS) or _holds_layers(one)
    found: list[TextDifference] = []
    for field in fields:
        value, other = getattr(one, field, None), getattr(two, field, None)
        if isinstance(value, ast.AST) and isinstance(other, ast.AST):
            if not hasattr(value, "lineno") and not isinstance(value, ast.arguments):
                return here  # an operator has no place of its own
            inner = _find(value, other, around)
        elif isinstance(value, list) and isinstance(other, list):
            inner = _find_in_lists(value, other, one, around)
        else:
            return here
        if inner is None:
            return None if is_container else here
        found += inner
    if len(found) == 1 or (is_container and len(found) <= _MOST_PLACES):
        return found
    return None if is_container else here


def _holds_layers(node: ast.AST) -> bool:
    """Tell whether a node is a list of many calls, which stand on lines of their own."""
    entries = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.List | ast.Tuple) else []
    return sum(isinstance(entry, ast.Call) for entry in entries) > 2


def _dump(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_dump, value))
    return ast.dump(value) if isinstance(value, ast.AST) else repr(value)


def _find_in_lists(
    ours: list[ast.AST], others: list[ast.AST], owner: ast.AST, parents: tuple[tuple[ast.AST, ast.AST], ...]
) -> list[TextDifference] | None:
    one, two = [_dump(node) for node in ours], [_dump(node) for node in others]
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    end = 0
    while end < min(len(one), len(two)) - start and one[-1 - end] == two[-1 - end]:
        end += 1
    left, right = ours[start : len(ours) - end], others[start : len(others) - end]
    if len(left) == 1 and not right:
        return [TextDifference("extra", left[0], left[0], parents)]
    if len(right) == 1 and not left:
        if isinstance(owner, ast.arguments):
            return [TextDifference("missing", owner.args[-1] if owner.args else owner, right[0], parents)]
        before = ours[start - 1] if start else owner
        return [TextDifference("missing", before, right[0], parents, first=not start)]
    if len(left) == len(right) == 2 and [_dump(node) for node in left] == [_dump(node) for node in reversed(right)]:
        return [TextDifference("swapped", left[0], left[1], parents)]
    if len(left) != len(right):
        return None
    found: list[TextDifference] = []
    for node, other in zip(left, right, strict=True):
        inner = _find(node, other, parents)
        if inner is None:
            return None
        found += inner
    return found if len(found) <= _MOST_PLACES else None


def _find_moved(one: Definition, two: Definition) -> list[TextDifference] | None:
    """Return the statement that stands in another place or block, if that is the only difference."""
    ours, others = list(_list_statements(one, 0)), list(_list_statements(two, 0))
    if len(ours) != len(others) or ast.dump(one) == ast.dump(two):
        return None
    for statement, depth in ours:
        text = ast.dump(statement)
        for other, other_depth in others:
            if ast.dump(other) == text and _dump_without(one, statement) == _dump_without(two, other):
                return [TextDifference("moved", statement, other, (), depth - other_depth)]
    return None


def _list_statements(node: ast.AST, depth: int) -> Iterator[tuple[ast.stmt, int]]:
    for field in ("body", "orelse"):
        statements = getattr(node, field, None)
        for statement in statements if isinstance(statements, list) else ():
            if isinstance(statement, ast.stmt):
                yield statement, depth
                yield from _list_statements(statement, depth + 1)


def _dump_without(definition: Definition, statement: ast.stmt) -> str:
    memo = {id(statement): None}
    rest = copy.deepcopy(definition, memo)
    for node in ast.walk(_Holes().visit(rest)):
        if getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]  # it has a body
    return ast.dump(rest)


class _Holes(ast.NodeTransformer):
    """Takes the places out of lists at which nothing stands."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field, value in ast.iter_fields(node):
            if isinstance(value, list) and field in ("body", "orelse"):
                setattr(node, field, [entry for entry in value if entry is not None])
        return super().generic_visit(node)

"""Operators that change an expression: constants, names, attributes, arithmetic, comparisons, indices and slices."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise

from grader.authoring.mutation.operators import Operator, Scope

__all__ = ["EXPRESSION_OPERATORS"]

_ARITHMETIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div, ast.MatMult),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Mult, ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
# Names that students exchange; each may become any other of its group.
_GROUPS = (
    ("max", "min", "mean", "sum"),
    ("amax", "amin", "mean", "sum"),
    ("maximum", "minimum"),
    ("MaxPool2d", "AvgPool2d"),
    ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d"),
    ("max_pool2d", "avg_pool2d"),
    ("adaptive_avg_pool2d", "adaptive_max_pool2d"),
    ("ReLU", "Sigmoid", "Tanh"),
    ("relu", "sigmoid", "tanh"),
    ("zeros", "ones", "rand"),
    ("zeros_like", "ones_like"),
    ("rand", "randn"),
    ("stack", "cat"),
    ("xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "uniform_", "normal_", "zeros_"),
    ("LazyConv2d", "LazyLinear"),
    ("Conv2d", "Linear"),
    ("and", "or"),
    ("any", "all"),
    ("append", "extend"),
    ("train", "eval"),
)


def _arithmetic(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp):
        for other in _ARITHMETIC.get(type(node.op), ()):
            yield ast.BinOp(node.left, other(), node.right)
        if not isinstance(node.op, ast.Add | ast.Mult):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.AugAssign):
        for other in _ARITHMETIC.get(type(node.op), ()):
            yield ast.AugAssign(node.target, other(), node.value)
        yield ast.Assign([node.target], node.value)


def _operand_dropped(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp):
        yield node.left
        yield node.right
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        for index in range(len(node.values)):
            rest = [value for number, value in enumerate(node.values) if number != index]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _comparison(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in _COMPARISONS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [other()], node.comparators)


def _constant(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    others: Sequence[bool | float | str] = ()
    if isinstance(value, bool):
        others = (not value,)
    elif isinstance(value, int):
        others = (value + 1, value - 1, 0, 2 * value)
    elif isinstance(value, float):
        others = (2 * value, value / 10, 0.0, -value)
    elif isinstance(value, str) and value in scope.texts:
        others = scope.texts
    for other in dict.fromkeys(others):
        if other != value and not (type(value) is int and isinstance(other, int) and other < -1):
            yield ast.Constant(other)


def _name(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        others = scope.names if node.id in scope.names else scope.definitions if node.id in scope.definitions else ()
        for other in others:
            if other != node.id:
                yield ast.Name(other, node.ctx)


def _attribute(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        own = scope.attributes if ast.unparse(node.value) == "self" and node.attr in scope.attributes else ()
        for other in dict.fromkeys([*own, *_list_exchanges(node.attr)]):
            if other != node.attr:
                yield ast.Attribute(node.value, other, node.ctx)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in scope.names:
        for other in _list_exchanges(node.id):
            yield ast.Name(other, node.ctx)


def _list_exchanges(name: str) -> Iterator[str]:
    for group in _GROUPS:
        if name in group:
            yield from (other for other in group if other != name)


def _slice(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if not isinstance(node, ast.Slice):
        return
    for bound in (node.lower, node.upper):
        if bound is None or (isinstance(bound, ast.Constant) and isinstance(bound.value, int)):
            continue
        for operator in (ast.Add(), ast.Sub()):
            moved = ast.BinOp(bound, operator, ast.Constant(1))
            lower, upper = (moved, node.upper) if bound is node.lower else (node.lower, moved)
            yield ast.Slice(lower, upper, node.step)
    if node.lower is not None:
        yield ast.Slice(None, node.upper, node.step)
    if node.upper is not None:
        yield ast.Slice(node.lower, None, node.step)


def _elements(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    """Swap neighbours in a tuple or list, drop one, and repeat a call: an index, a shape, a list of layers."""
    if not isinstance(node, ast.Tuple | ast.List):
        return
    make = type(node)
    for first in range(len(node.elts) - 1):
        elements = list(node.elts)
        elements[first : first + 2] = reversed(elements[first : first + 2])
        yield make(elements, node.ctx)
    if isinstance(node.ctx, ast.Load):
        for index, element in enumerate(node.elts):
            yield make([*node.elts[:index], *node.elts[index + 1 :]], node.ctx)
            if isinstance(element, ast.Call):
                yield make([*node.elts[: index + 1], *node.elts[index:]], node.ctx)


def _choice(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.comprehension):
        if node.ifs:
            yield ast.comprehension(node.target, node.iter, [], node.is_async)
    elif isinstance(node, ast.Starred) and isinstance(node.ctx, ast.Load):
        yield node.value


def _subscript(node: ast.AST, scope: Scope) -> Iterator[ast.AST]:
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield node.value
        if isinstance(node.slice, ast.Tuple):
            for one, other in pairwise(node.slice.elts):
                if isinstance(one, ast.Constant) and isinstance(other, ast.Slice):
                    yield ast.Subscript(node.value, other, node.ctx)


EXPRESSION_OPERATORS: dict[str, Operator] = {
    "arithmetic": _arithmetic,
    "operand dropped": _operand_dropped,
    "comparison": _comparison,
    "constant": _constant,
    "name": _name,
    "attribute": _attribute,
    "slice": _slice,
    "elements": _elements,
    "choice": _choice,
    "index dropped": _subscript,
}

"""Write a definition in a normal form, so that only differences that can matter are left between two texts.

Nothing is run. Dropped are documentation, annotations, outputs, assertions and the texts of exceptions; layers of
torch.nn name all their arguments; ways of writing that certainly mean the same become one.
"""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Sequence
from functools import lru_cache

from torch import nn

__all__ = ["Definition", "normalise"]

Definition = ast.FunctionDef | ast.ClassDef

_SIZES = ("zeros", "ones", "rand", "randn", "empty", "reshape", "view", "permute")  # take a size as one tuple or not
_OUTPUTS = ("print", "display")


def normalise(definition: Definition, *, thorough: bool) -> Definition:
    """Return a definition in its normal form. Nodes keep their lines.

    Args:
        definition: a function or class.
        thorough: whether values that are used once, in the next statement, are written there.
    """
    normal = _Normaliser(thorough).visit(copy.deepcopy(definition))
    assert isinstance(normal, Definition)
    return normal


class _Normaliser(ast.NodeTransformer):
    def __init__(self, thorough: bool) -> None:
        self._thorough = thorough

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        node.decorator_list = [decorator for decorator in node.decorator_list if not isinstance(decorator, ast.Call)]
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            argument.annotation = None
        self._visit_block(node)
        if self._thorough:
            node.body = _inline(node.body, node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._visit_block(node)
        return node

    def _visit_block(self, node: ast.AST) -> None:
        self.generic_visit(node)
        for field in ("body", "orelse"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, [s for s in statements if not isinstance(s, ast.Pass)] or statements[:1])

    def visit_For(self, node: ast.For) -> ast.AST:
        self._visit_block(node)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        self._visit_block(node)
        choice = _find_choice(node) if self._thorough else None
        return node if choice is None else choice

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        value = node.value
        is_output = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _OUTPUTS
        if is_output or isinstance(value, ast.Constant):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        is_shape = isinstance(node.right, ast.Attribute) and node.right.attr == "shape"
        if isinstance(node.left, ast.Tuple) and isinstance(node.op, ast.Add) and is_shape:
            rest = ast.copy_location(ast.Starred(node.right, ast.Load()), node.right)
            return ast.copy_location(ast.Tuple([*node.left.elts, rest], ast.Load()), node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "super":
            node.args = []
        elif name == "range" and len(node.args) == 2 and _is_constant(node.args[0], 0):
            node.args = node.args[1:]
        elif name in _SIZES and len(node.args) == 1 and isinstance(node.args[0], ast.Tuple):
            node.args = node.args[0].elts
        elif name == "size" and isinstance(node.func, ast.Attribute) and not node.keywords and len(node.args) < 2:
            shape = ast.copy_location(ast.Attribute(node.func.value, "shape", ast.Load()), node)
            return ast.copy_location(ast.Subscript(shape, node.args[0], ast.Load()), node) if node.args else shape
        elif name == "zip":
            node.keywords = []  # whether the lengths are checked
        elif _is_layer(node.func):
            _name_arguments(node, name)
        return node


def _find_choice(node: ast.If) -> ast.stmt | None:
    """Return `x = a if condition else b` for the same with statements."""
    if len(node.body) != 1 or len(node.orelse) != 1:
        return None
    one, other = node.body[0], node.orelse[0]
    if not (isinstance(one, ast.Assign) and isinstance(other, ast.Assign)):
        return None
    if [ast.dump(target) for target in one.targets] != [ast.dump(target) for target in other.targets]:
        return None
    chosen = ast.copy_location(ast.IfExp(node.test, one.value, other.value), one)
    return ast.copy_location(ast.Assign(one.targets, chosen), one)


def _inline(statements: Sequence[ast.stmt], function: ast.FunctionDef) -> list[ast.stmt]:
    """Write a value that is used once, in the next statement, where it is used."""
    result: list[ast.stmt] = []
    for statement in statements:
        before = result[-1] if result else None
        if isinstance(before, ast.Assign) and isinstance(before.targets[0], ast.Name) and len(before.targets) == 1:
            name = before.targets[0].id
            uses = [node for node in ast.walk(statement) if isinstance(node, ast.Name) and node.id == name]
            everywhere = sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(function))
            simple = isinstance(statement, ast.Assign | ast.Return | ast.Expr)
            if simple and len(uses) == 1 and everywhere == 2 and isinstance(uses[0].ctx, ast.Load):
                result[-1] = _Substitution(name, before.value).visit(statement)
                continue
        result.append(statement)
    return result


class _Substitution(ast.NodeTransformer):
    def __init__(self, name: str, value: ast.expr) -> None:
        self._name = name
        self._value = value

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._value if node.id == self._name else node


def _is_constant(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def _is_layer(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and ast.unparse(function.value) in ("nn", "torch.nn")


def _name_arguments(call: ast.Call, layer: str) -> None:
    """Name the arguments of a layer, in the order of its parameters, and drop those that are its defaults."""
    parameters = _list_parameters(layer)
    if len(call.args) > len(parameters) or any(isinstance(argument, ast.Starred) for argument in call.args):
        return
    named = {name: argument for (name, _), argument in zip(parameters, call.args, strict=False)}
    if any(keyword.arg is None or keyword.arg in named for keyword in call.keywords):
        return
    named |= {str(keyword.arg): keyword.value for keyword in call.keywords}
    order = [name for name, _ in parameters]
    defaults = dict(parameters)
    if layer.endswith("Pool2d") and _dump(named.get("stride")) == _dump(named.get("kernel_size")):
        named.pop("stride", None)  # it is the size by default
    kept = {name: value for name, value in named.items() if not _is_default(value, defaults.get(name))}
    ordered = sorted(kept, key=lambda name: order.index(name) if name in order else len(order))
    call.args = []
    call.keywords = [ast.copy_location(ast.keyword(name, kept[name]), kept[name]) for name in ordered]


def _dump(node: ast.expr | None) -> str:
    return ast.dump(node) if node else ""


def _is_default(value: ast.expr, default: object) -> bool:
    return isinstance(value, ast.Constant) and value.value == default and type(value.value) is type(default)


@lru_cache(maxsize=256)
def _list_parameters(layer: str) -> tuple[tuple[str, object], ...]:
    """Return the parameters of a layer's constructor with their defaults, none if it takes any number of arguments."""
    kind = getattr(nn, layer, None)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        return ()
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    if any(parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in parameters):
        return ()
    return tuple((parameter.name, parameter.default) for parameter in parameters)

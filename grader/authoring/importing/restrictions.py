"""Refuse tests that need more of the student's work than data and calls, before a class is graded with them."""

from __future__ import annotations

import ast
import builtins
import importlib.util
from collections.abc import Collection, Sequence
from functools import cache

from grader.authoring.importing.names import Bindings
from grader.authoring.importing.refusal import Untranslatable

__all__ = ["refuse_what_cannot_cross"]

_STUDENT_PROCESS_NAMES = {
    "__import__", "breakpoint", "compile", "display", "eval", "exec", "exit", "get_ipython", "globals", "help", "input",
    "locals", "open", "quit", "redirect_stdout", "redirect_stderr", "vars", "dir", "__builtins__", "__name__",
}  # fmt: skip
_STUDENT_PROCESS_MODULES = {
    "IPython": "the notebook", "builtins": "the student's process", "glob": "the student's files",
    "importlib": "the student's process", "inspect": "the student's source", "io": "printed output",
    "matplotlib": "plots", "mock": "the student's process", "nbgrader": "nbgrader", "os": "the student's files",
    "otter": "otter-grader", "pandas": "data frames", "pathlib": "the student's files", "requests": "the network",
    "seaborn": "plots", "shutil": "the student's files", "socket": "the network", "subprocess": "the student's process",
    "sys": "the student's process", "tempfile": "the student's files", "urllib": "the network",
}  # fmt: skip
_CONSTANTS = {"e", "euler_gamma", "inf", "nan", "newaxis", "pi", "tau"}
_SEEDS = {"manual_seed", "seed", "default_rng"}


def refuse_what_cannot_cross(
    statements: Sequence[ast.stmt], names: Collection[str], variables: Collection[str], notebook: Bindings
) -> set[str]:
    """Return the attributes that a test reads of the student's objects.

    Args:
        statements: the test.
        names: the student's names among those the test uses.
        variables: those of them that stand for values.
        notebook: the notebook's bindings.

    Raises:
        Untranslatable: the test does something that is impossible outside the student's process.
    """
    visitor = _CrossingVisitor(statements, frozenset(names), frozenset(variables), notebook)
    for statement in statements:
        visitor.visit(statement)
    return visitor.readable


class _CrossingVisitor(ast.NodeVisitor):
    """Visit a test, tracking which of its names stand for the student's objects and results."""

    def __init__(
        self, statements: Sequence[ast.stmt], names: frozenset[str], variables: frozenset[str], notebook: Bindings
    ) -> None:
        self.readable: set[str] = set()
        self._names = names
        self._notebook = notebook
        nodes = [node for statement in statements for node in ast.walk(statement)]
        self._own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        self._modules = {
            alias.asname or alias.name.partition(".")[0]
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        self._stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        self._objects = {name for name in variables if notebook.is_made_by_class(name)}
        self._results: set[str] = set()
        for frame in (name for name in names if notebook.is_frame(name)):
            raise Untranslatable(f"uses {frame}, which is made with pandas, and data frames do not cross")

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._refuse_module(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level:
            raise Untranslatable(f"has the relative import `{ast.unparse(node)}`")
        self._refuse_module(node.module or "")
        for alias in node.names:
            if alias.name in _STUDENT_PROCESS_NAMES:
                raise Untranslatable(f"reads printed output ({alias.name})")

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in _STUDENT_PROCESS_NAMES and node.id not in self._stored | self._own | self._names:
            raise Untranslatable(f"uses {node.id}, which depends on the process that it runs in")

    def visit_Global(self, node: ast.Global) -> None:
        raise Untranslatable(f"declares `{ast.unparse(node)}`")

    def visit_Await(self, node: ast.Await) -> None:
        raise Untranslatable(f"has `{ast.unparse(node)}`")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        caught = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else set()
        if caught & self._names:
            raise Untranslatable(f"catches {', '.join(sorted(caught & self._names))}, an exception of the student")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    self._track(name.id, node.value)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store | ast.Del):
            raise Untranslatable(f"changes `{ast.unparse(node)}`, but objects in the student's process are read-only")
        is_data = node.attr in _list_data_attributes()
        is_student_name = isinstance(node.value, ast.Name) and node.value.id in self._names
        if self._is_object(node.value) or (is_student_name and not is_data):
            self.readable.add(node.attr)
        elif self._is_student_value(node.value) and not is_data:
            raise Untranslatable(f"reads `{ast.unparse(node)}`, which no plain value has")
        if node.attr in _SEEDS:
            drawing = sorted(name for name in self._names if self._notebook.draws(name))
            if drawing:
                raise Untranslatable(f"seeds random numbers that {drawing[0]} draws in another process")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self._is_object(node.value):
            raise Untranslatable(f"indexes an object of the student: `{ast.unparse(node)}`")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if self._is_student_function(node.func):
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                self._refuse_functions(node, argument)
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        for call in ast.walk(node) if _expects_output(node) else ():
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and self._notebook.prints(call.func.id):
                raise Untranslatable(f"may compare what {call.func.id} prints, and printed text does not cross")
        self.generic_visit(node)

    def _refuse_module(self, name: str) -> None:
        top = name.partition(".")[0]
        topic = _STUDENT_PROCESS_MODULES.get(top)
        if name.startswith("unittest.mock"):
            topic = topic or "the student's process"
        if topic:
            raise Untranslatable(f"imports {name}: it is about {topic}")
        if not _is_installed(top):
            raise Untranslatable(f"imports {name}, which is not installed here")

    def _refuse_functions(self, call: ast.Call, argument: ast.expr) -> None:
        """Refuse to pass functions and classes to the student's code: they cannot be sent."""
        for node in [argument, *(argument.elts if isinstance(argument, ast.List | ast.Tuple) else ())]:
            is_function = isinstance(node, ast.Lambda)
            if isinstance(node, ast.Name) and node.id not in self._names | self._stored:
                is_function = node.id in self._own | self._modules or callable(getattr(builtins, node.id, None))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                is_function = node.value.id in self._modules and node.attr not in _CONSTANTS
            if is_function:
                raise Untranslatable(
                    f"gives `{ast.unparse(node)}` to `{ast.unparse(call.func)}`, and functions do not cross"
                )

    def _track(self, name: str, value: ast.expr) -> None:
        """Remember what a name of the test stands for from here on."""
        self._objects.discard(name)
        self._results.discard(name)
        if self._is_object(value):
            self._objects.add(name)
        elif self._is_student_value(value):
            self._results.add(name)

    def _is_object(self, node: ast.expr) -> bool:
        """Tell whether an expression evaluates to one of the student's classes or to an instance of one."""
        match node:
            case ast.Name():
                return node.id in self._objects or self._is_class(node.id)
            case ast.Call(func=ast.Name() as function):
                return self._is_class(function.id)
            case ast.Call(func=ast.Attribute() as method):
                return method.attr not in _list_data_attributes() and self._is_object(method.value)
            case ast.Attribute():
                return node.attr not in _list_data_attributes() and self._is_object(node.value)
        return False

    def _is_class(self, name: str) -> bool:
        binding = self._notebook.get(name)
        return name in self._names and (binding.kind == "class" if binding else name[:1].isupper())

    def _is_student_function(self, node: ast.expr) -> bool:
        """Tell whether a called expression is the student's function, class or method."""
        if isinstance(node, ast.Name):
            return node.id in self._names | self._objects
        return isinstance(node, ast.Attribute) and self._is_object(node.value)

    def _is_student_value(self, node: ast.expr) -> bool:
        """Tell whether an expression is a variable of the student or the result of a call to their code."""
        if isinstance(node, ast.Name):
            return node.id in self._results or node.id in self._names
        return isinstance(node, ast.Call) and self._is_student_function(node.func)


def _expects_output(node: ast.With) -> bool:
    """Tell whether a block is `with Shown(...)` for an example that shows something."""
    call = node.items[0].context_expr
    is_shown = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Shown"
    return is_shown and isinstance(call, ast.Call) and bool(call.args) and ast.unparse(call.args[0]) != "''"


@cache
def _is_installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


@cache
def _list_data_attributes() -> frozenset[str]:
    """Return the attributes of the values that can cross."""
    import numpy
    import torch

    kinds = (bool, int, float, complex, str, bytes, list, tuple, dict, set, range, numpy.ndarray, torch.Tensor)
    return frozenset(name for kind in kinds for name in dir(kind)) | {"__name__"}

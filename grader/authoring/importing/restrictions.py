"""What a test may do with work that only data and calls cross to; all else is refused before a class is graded."""

from __future__ import annotations

import ast
import builtins
import importlib.util
from collections.abc import Collection, Sequence
from functools import cache

from grader.authoring.importing.names import Bindings
from grader.authoring.importing.refusal import Untranslatable

__all__ = ["refuse_what_cannot_cross"]

_ONLY_THERE = {
    "__import__", "breakpoint", "compile", "display", "eval", "exec", "exit", "get_ipython", "globals", "help", "input",
    "locals", "open", "quit", "redirect_stdout", "redirect_stderr", "vars", "dir", "__builtins__", "__name__",
}  # fmt: skip
_ONLY_THERE_MODULES = {
    "IPython": "the notebook", "builtins": "the student's process", "glob": "the student's files",
    "importlib": "the student's process", "inspect": "the student's source", "io": "what is printed",
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
        names: those of its names that are the student's.
        variables: those of them that stand for values.
        notebook: what the notebook binds.

    Raises:
        Untranslatable: the test does what cannot be done from outside the student's process.
    """
    crossing = _Crossing(statements, frozenset(names), frozenset(variables), notebook)
    for statement in statements:
        crossing.visit(statement)
    return crossing.readable


class _Crossing(ast.NodeVisitor):
    """Goes through a test, and notes which of its names stand for objects and for results of the student's."""

    def __init__(
        self, statements: Sequence[ast.stmt], names: frozenset[str], variables: frozenset[str], notebook: Bindings
    ) -> None:
        self.readable: set[str] = set()
        self._names = names
        self._notebook = notebook
        nodes = [node for each in statements for node in ast.walk(each)]
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
            raise Untranslatable(f"looks at {frame}, which is made with pandas, and data frames do not cross")

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._refuse_module(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level:
            raise Untranslatable(f"has `{ast.unparse(node)}`, of which nobody knows what it brings")
        self._refuse_module(node.module or "")
        for alias in node.names:
            if alias.name in _ONLY_THERE:
                raise Untranslatable(f"looks at what is printed ({alias.name})")

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in _ONLY_THERE and node.id not in self._stored | self._own | self._names:
            raise Untranslatable(f"uses {node.id}, which is about the process that it runs in")

    def visit_Global(self, node: ast.Global) -> None:
        raise Untranslatable(f"declares `{ast.unparse(node)}`")

    def visit_Await(self, node: ast.Await) -> None:
        raise Untranslatable(f"has `{ast.unparse(node)}`")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        caught = {each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)} if node.type else set()
        if caught & self._names:
            raise Untranslatable(
                f"catches {', '.join(sorted(caught & self._names))}, an exception of the student's own"
            )
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)
            for each in ast.walk(target):
                if isinstance(each, ast.Name):
                    self._note(each.id, node.value)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store | ast.Del):
            raise Untranslatable(f"changes `{ast.unparse(node)}`, and what stays in the student's process is only read")
        variable = isinstance(node.value, ast.Name) and node.value.id in self._names and node.attr not in _of_data()
        if self._is_object(node.value) or variable:
            self.readable.add(node.attr)
        elif self._is_of_the_student(node.value) and node.attr not in _of_data():
            raise Untranslatable(f"reads `{ast.unparse(node)}`, which no plain value has")
        if node.attr in _SEEDS:
            drawing = sorted(name for name in self._names if self._notebook.draws(name))
            if drawing:
                raise Untranslatable(f"seeds random numbers that {drawing[0]} draws in another process")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self._is_object(node.value):
            raise Untranslatable(f"looks up `{ast.unparse(node)}` in an object of the student's")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if self._is_student_s(node.func):
            for argument in (*node.args, *(each.value for each in node.keywords)):
                self._refuse_argument(node, argument)
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        expected = self._printed(node)
        for called in ast.walk(node) if expected else ():
            if (
                isinstance(called, ast.Call)
                and isinstance(called.func, ast.Name)
                and self._notebook.prints(called.func.id)
            ):
                raise Untranslatable(f"may compare what {called.func.id} prints, and prints do not cross")
        self.generic_visit(node)

    def _printed(self, node: ast.With) -> bool:
        call = node.items[0].context_expr
        shown = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Shown"
        return shown and isinstance(call, ast.Call) and bool(call.args) and ast.unparse(call.args[0]) != "''"

    def _refuse_module(self, name: str) -> None:
        top = name.partition(".")[0]
        about = _ONLY_THERE_MODULES.get(top) or ("the student's process" if name.startswith("unittest.mock") else "")
        if about:
            raise Untranslatable(f"imports {name}: it is about {about}")
        if not _is_installed(top):
            raise Untranslatable(f"imports {name}, which is not installed here")

    def _refuse_argument(self, call: ast.Call, argument: ast.expr) -> None:
        """Refuse to give functions and classes to the student's code: they cannot be sent."""
        for node in [argument, *(argument.elts if isinstance(argument, ast.List | ast.Tuple) else ())]:
            function = isinstance(node, ast.Lambda)
            if isinstance(node, ast.Name) and node.id not in self._names | self._stored:
                function = node.id in self._own | self._modules or callable(getattr(builtins, node.id, None))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                function = node.value.id in self._modules and node.attr not in _CONSTANTS
            if function:
                raise Untranslatable(
                    f"gives `{ast.unparse(node)}` to `{ast.unparse(call.func)}`, and functions do not cross"
                )

    def _note(self, name: str, value: ast.expr) -> None:
        """Note what a name of the test stands for from here on."""
        self._objects.discard(name)
        self._results.discard(name)
        if self._is_object(value):
            self._objects.add(name)
        elif self._is_of_the_student(value):
            self._results.add(name)

    def _is_object(self, node: ast.expr) -> bool:
        """Tell whether an expression gives an object of one of the student's classes, or such a class."""
        match node:
            case ast.Name():
                return node.id in self._objects or self._is_class(node.id)
            case ast.Call(func=ast.Name() as called):
                return self._is_class(called.id)
            case ast.Call(func=ast.Attribute() as called):
                return called.attr not in _of_data() and self._is_object(called.value)
            case ast.Attribute():
                return node.attr not in _of_data() and self._is_object(node.value)
        return False

    def _is_class(self, name: str) -> bool:
        binding = self._notebook.get(name)
        return name in self._names and (binding.kind == "class" if binding else name[:1].isupper())

    def _is_student_s(self, node: ast.expr) -> bool:
        """Tell whether what is called is the student's."""
        if isinstance(node, ast.Name):
            return node.id in self._names | self._objects
        return isinstance(node, ast.Attribute) and self._is_object(node.value)

    def _is_of_the_student(self, node: ast.expr) -> bool:
        """Tell whether an expression is a value of the student's, or what a call of the student's gives."""
        if isinstance(node, ast.Name):
            return node.id in self._results or node.id in self._names
        return isinstance(node, ast.Call) and self._is_student_s(node.func)


@cache
def _is_installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


@cache
def _of_data() -> frozenset[str]:
    """Return the attributes that values have which cross."""
    import numpy
    import torch

    kinds = (bool, int, float, complex, str, bytes, list, tuple, dict, set, range, numpy.ndarray, torch.Tensor)
    return frozenset(name for kind in kinds for name in dir(kind)) | {"__name__"}

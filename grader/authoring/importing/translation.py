"""Translate the code that judges a question into a test of ours, which runs apart from the student's code.

The statements stay as they are. Names that the notebook defines become parameters and stand for objects in the
student's process; names that the author defined earlier are copied; imports are repeated. A test that needs more than
data and calls across that border is refused with the reason, so that no right answer can lose points for it.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from grader.authoring.importing.names import Binding, Bindings
from grader.authoring.importing.questions import Question, QuestionKind
from grader.authoring.importing.refusal import Untranslatable
from grader.authoring.importing.restrictions import refuse_what_cannot_cross
from grader.authoring.importing.scopes import find_free_names
from grader.authoring.importing.sessions import SHOW, translate_session

__all__ = ["TranslatedTest", "translate"]


@dataclass(frozen=True)
class TranslatedTest:
    """A test of ours.

    Attributes:
        names: the student's names that it uses, the one that the notebook defines last first.
        variables: those of them that stand for values.
        readable: the attributes that it reads of the student's objects.
        code: the code it was translated from.
        copied: the author's statements and imports that it builds on.
        body: its own statements.
    """

    names: tuple[str, ...]
    variables: tuple[str, ...]
    readable: tuple[str, ...]
    code: str
    copied: tuple[ast.stmt, ...]
    body: tuple[ast.stmt, ...]


def translate(code: str, question: Question, notebook: Bindings) -> TranslatedTest:
    """Translate one part of a question that is judged by code.

    Args:
        code: the part.
        question: its question.
        notebook: the notebook's bindings.

    Raises:
        Untranslatable: the test needs something that cannot cross to the student's process.
    """
    try:
        is_session = question.kind is QuestionKind.EXAMPLES
        body = translate_session(code) if is_session else ast.parse(code).body
        resolver = _NameResolver(Bindings(question.before), notebook, {"Shown", SHOW} if is_session else set())
        names, copied = resolver.resolve(body)
    except (SyntaxError, ValueError) as error:
        raise Untranslatable(f"is not plain Python ({getattr(error, 'msg', error)})") from None
    except (RecursionError, MemoryError):
        raise Untranslatable("is nested too deeply") from None
    _refuse_partial_scores(question, body)
    variables = tuple(name for name in names if resolver.is_variable(name, body))
    readable = refuse_what_cannot_cross([*copied, *body], names, variables, notebook)
    return TranslatedTest(tuple(names), variables, tuple(sorted(readable)), code, tuple(copied), tuple(body))


def _refuse_partial_scores(question: Question, body: Sequence[ast.stmt]) -> None:
    """Refuse a cell that ends in a value: nbgrader takes the value for a partial score."""
    last = body[-1] if body else None
    if question.kind is QuestionKind.STATEMENTS and isinstance(last, ast.Expr):
        value = last.value
        if not isinstance(value, ast.Call | ast.Constant):
            raise Untranslatable("ends in a value, which nbgrader takes for a partial score")


class _NameResolver:
    """Resolve the names of a test: to the author's statements before it, or to the student's notebook.

    Args:
        author: the bindings of the author's statements.
        notebook: the bindings of the notebook.
        provided: names that `grader.testing` provides.
    """

    def __init__(self, author: Bindings, notebook: Bindings, provided: Collection[str]) -> None:
        self._author = author
        self._notebook = notebook
        self._provided = provided
        self._copied: dict[tuple[int, str], ast.stmt] = {}
        self._student: dict[str, None] = {}
        self._resolved: set[str] = set()

    def resolve(self, body: Sequence[ast.stmt]) -> tuple[list[str], list[ast.stmt]]:
        """Return the student's names that the code uses, and the author's statements to copy before it."""
        self._resolve_names(body)
        position = {id(statement): number for number, statement in enumerate(self._author.statements)}
        copied = [self._copied[key] for key in sorted(self._copied, key=lambda key: position.get(key[0], -1))]
        last = {name: binding.cell for name in self._student if (binding := self._notebook.get(name))}
        return sorted(self._student, key=lambda name: -last.get(name, -1)), copied

    def is_variable(self, name: str, body: Sequence[ast.stmt]) -> bool:
        """Tell whether a name stands for a value; if it is not bound, whether the code never calls it."""
        binding = self._notebook.get(name)
        if binding is not None:
            return binding.kind == "variable"
        nodes = (node for statement in body for node in ast.walk(statement))
        functions = (node.func for node in nodes if isinstance(node, ast.Call))
        return not any(isinstance(function, ast.Name) and function.id == name for function in functions)

    def _resolve_names(self, statements: Sequence[ast.stmt]) -> None:
        for name in find_free_names(statements, self._author.names | self._notebook.names):
            if name in self._resolved or name in self._provided:
                continue
            self._resolved.add(name)
            binding = self._author.get(name)
            if binding is not None and self._is_independent(name, binding, frozenset()):
                self._copy(name, binding)
                self._resolve_names([binding.statement])
                continue
            binding = self._notebook.get(name)
            if binding is not None and binding.kind == "import":
                self._copy(name, binding)
            elif binding is not None or not hasattr(builtins, name):
                self._student[name] = None

    def _copy(self, name: str, binding: Binding) -> None:
        """Copy a statement; of an import, copy only the part that binds `name`."""
        statement = binding.statement
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            self._copied[id(statement), ""] = statement
            return
        aliases = [alias for alias in statement.names if (alias.asname or alias.name.partition(".")[0]) == name]
        part = (
            ast.ImportFrom(statement.module, aliases, statement.level)
            if isinstance(statement, ast.ImportFrom)
            else ast.Import(aliases)
        )
        self._copied[id(statement), name] = ast.copy_location(part, statement)

    def _is_independent(self, name: str, binding: Binding, above: frozenset[str]) -> bool:
        """Tell whether the author's statement needs nothing of the student, so that it means the same in the test.

        Args:
            name: the name that the statement binds.
            binding: the statement.
            above: the names whose bindings led to this one, to end recursion.
        """
        if binding.kind != "variable":
            return True
        is_assignment = isinstance(binding.statement, ast.Assign | ast.AnnAssign)
        if name in above or not is_assignment or self._may_change(name, binding.statement):
            return False
        for used in find_free_names([binding.statement], ()):
            author, notebook = self._author.get(used), self._notebook.get(used)
            if author is not None:
                if not self._is_independent(used, author, above | {name}):
                    return False
            elif (notebook is not None and notebook.kind != "import") or (
                notebook is None and not hasattr(builtins, used)
            ):
                return False
        return True

    def _may_change(self, name: str, statement: ast.stmt) -> bool:
        """Tell whether a statement other than a definition mentions a name, and so may change its object."""
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Constant):
            return False
        others = (other for other in self._author.statements if other is not statement)
        simple = (other for other in others if not isinstance(other, ast.FunctionDef | ast.ClassDef | ast.Assert))
        return any(isinstance(node, ast.Name) and node.id == name for other in simple for node in ast.walk(other))

"""Translates what judges a question into a test of ours, which runs apart from the student's code.

The statements stay as they are. Names that the notebook defines become parameters, and stand for what is in the
student's process; names that the author defined before come along; imports are made again. What needs more than data
and calls across that border is refused with the reason, so that no right answer can lose points for it.
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

__all__ = ["Translated", "translate"]


@dataclass(frozen=True)
class Translated:
    """A test of ours.

    Attributes:
        names: the student's names that it uses, the one that is defined last first.
        variables: those of them that stand for values.
        readable: the attributes that it reads of the student's objects.
        code: what was translated.
        copied: the author's statements that it builds on, and imports.
        body: its own statements.
    """

    names: tuple[str, ...]
    variables: tuple[str, ...]
    readable: tuple[str, ...]
    code: str
    copied: tuple[ast.stmt, ...]
    body: tuple[ast.stmt, ...]


def translate(code: str, question: Question, notebook: Bindings) -> Translated:
    """Translate a part of a question that is not marked by a person.

    Args:
        code: the part.
        question: what it is a part of.
        notebook: what the notebook binds.

    Raises:
        Untranslatable: it needs what does not cross.
    """
    try:
        session = question.form is QuestionKind.EXAMPLES
        body = translate_session(code) if session else ast.parse(code).body
        outside = _Outside(Bindings(question.before), notebook, {"Shown", SHOW} if session else set())
        names, copied = outside.needed(body)
    except (SyntaxError, ValueError) as error:
        raise Untranslatable(f"is no plain Python ({getattr(error, 'msg', error)})") from None
    except (RecursionError, MemoryError):
        raise Untranslatable("is nested too deeply") from None
    _refuse_partial_scores(question, body)
    variables = tuple(name for name in names if outside.is_variable(name, body))
    readable = refuse_what_cannot_cross([*copied, *body], names, variables, notebook)
    return Translated(tuple(names), variables, tuple(sorted(readable)), code, tuple(copied), tuple(body))


def _refuse_partial_scores(question: Question, body: Sequence[ast.stmt]) -> None:
    """Refuse a cell whose last value nbgrader takes for a partial score."""
    last = body[-1] if body else None
    if question.form is QuestionKind.STATEMENTS and isinstance(last, ast.Expr):
        value = last.value
        if not isinstance(value, ast.Call | ast.Constant):
            raise Untranslatable("ends in a value, which nbgrader takes for a partial score")


class _Outside:
    """What there is outside a question's code: the author's statements before it, and the student's notebook."""

    def __init__(self, author: Bindings, notebook: Bindings, ours: Collection[str]) -> None:
        self._author = author
        self._notebook = notebook
        self._ours = ours
        self._copied: dict[tuple[int, str], ast.stmt] = {}
        self._student: dict[str, None] = {}
        self._resolved: set[str] = set()

    def needed(self, body: Sequence[ast.stmt]) -> tuple[list[str], list[ast.stmt]]:
        """Return the student's names that the code uses, and the author's statements to copy before it."""
        self._resolve(body)
        position = {id(statement): number for number, statement in enumerate(self._author.statements)}
        copied = [self._copied[key] for key in sorted(self._copied, key=lambda key: position.get(key[0], -1))]
        last = {name: binding.cell for name in self._student if (binding := self._notebook.get(name))}
        return sorted(self._student, key=lambda name: -last.get(name, -1)), copied

    def is_variable(self, name: str, body: Sequence[ast.stmt]) -> bool:
        """Tell whether a name stands for a value; where nothing binds it, whether the code does not call it."""
        binding = self._notebook.get(name)
        if binding is not None:
            return binding.kind == "variable"
        calls = (node.func for each in body for node in ast.walk(each) if isinstance(node, ast.Call))
        return not any(isinstance(called, ast.Name) and called.id == name for called in calls)

    def _resolve(self, statements: Sequence[ast.stmt]) -> None:
        for name in find_free_names(statements, self._known()):
            if name in self._resolved or name in self._ours:
                continue
            self._resolved.add(name)
            binding = self._author.get(name)
            if binding is not None and self._is_plain(name, binding, frozenset()):
                self._copy(name, binding)
                self._resolve([binding.statement])
                continue
            binding = self._notebook.get(name)
            if binding is not None and binding.kind == "import":
                self._copy(name, binding)
            elif binding is not None or not hasattr(builtins, name):
                self._student[name] = None

    def _copy(self, name: str, binding: Binding) -> None:
        """Have a statement copied; of an import only what is needed."""
        statement = binding.statement
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            self._copied[id(statement), ""] = statement
            return
        wanted = [each for each in statement.names if (each.asname or each.name.partition(".")[0]) == name]
        only = (
            ast.ImportFrom(statement.module, wanted, statement.level) if isinstance(statement, ast.ImportFrom) else None
        )
        self._copied[id(statement), name] = ast.copy_location(only or ast.Import(wanted), statement)

    def _known(self) -> set[str]:
        return {name for each in (self._author, self._notebook) for name in each.names}

    def _is_plain(self, name: str, binding: Binding, above: frozenset[str]) -> bool:
        """Tell whether the author's statement gives here what it gives there: it needs nothing of the student's."""
        if binding.kind != "variable":
            return True
        simple = isinstance(binding.statement, ast.Assign | ast.AnnAssign)
        if name in above or not simple or self._is_changed(name, binding.statement):
            return False
        for each in find_free_names([binding.statement], ()):
            author, notebook = self._author.get(each), self._notebook.get(each)
            if author is not None:
                if not self._is_plain(each, author, above | {name}):
                    return False
            elif (notebook is not None and notebook.kind != "import") or (
                notebook is None and not hasattr(builtins, each)
            ):
                return False
        return True

    def _is_changed(self, name: str, statement: ast.stmt) -> bool:
        """Tell whether another statement than definitions mentions a name, and may change what it stands for."""
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Constant):
            return False
        others = (each for each in self._author.statements if each is not statement)
        simple = (each for each in others if not isinstance(each, ast.FunctionDef | ast.ClassDef | ast.Assert))
        return any(isinstance(node, ast.Name) and node.id == name for each in simple for node in ast.walk(each))

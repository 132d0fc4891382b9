"""`%grader corr2d`: judges in place what a notebook has just defined, in Jupyter, in Colab and in a console.

%load_ext grader
%grader                     # everything that is defined
%grader corr2d pool2d.max   # some of it
%grader corr2d --hint 2     # and more of what is wrong
"""

from __future__ import annotations

import argparse
import contextlib
import html
import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from grader.errors import GraderError, InputError
from grader.results.report import ItemResult, Verdict

if TYPE_CHECKING:
    from grader.assignment import Assignment, Item

__all__ = ["Checks", "SelfCheck", "load_visible_checks", "register"]

_SMALL_PRINT = "a self-check; the grade comes from the course's grader"
_COLOURS = {Verdict.PASSED: "#2a7d2a", Verdict.PENDING: "#2a6f8d", Verdict.PARTIAL: "#9a6700"}
_WRONG = "#b42318"


class Checks(Protocol):
    """An assignment's checks that can be made in a student's own process, wherever they come from."""

    assignment: Assignment

    def items(self) -> Sequence[Item]:
        """Return the items that can be checked."""

    def judged(self, namespace: Mapping[str, Any], wanted: Sequence[Item]) -> Sequence[ItemResult]:
        """Return what these items come to with the names of a notebook."""


class _RubricChecks:
    """The checks of an assignment whose rubric is on this machine."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment

    def items(self) -> Sequence[Item]:
        """Return the visible items that are judged by a definition alone."""
        return [item for item in self.assignment.tested if item.visible and item.names]

    def judged(self, namespace: Mapping[str, Any], wanted: Sequence[Item]) -> Sequence[ItemResult]:
        """Judge the items with the rubric's tests."""
        from grader.judging.judge import judge
        from grader.judging.namespace_work import NamespaceWork

        work = NamespaceWork(namespace, self.assignment.limits.test_seconds)
        # What is printed by the code that is called belongs to no cell.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            results = judge(self.assignment, work, "self-check", {item.id for item in wanted})
        return [replace(result, file=None, cell=None) for result in results]


class SelfCheck:
    """The results of one check, as text in a console and as a table of its own in a notebook."""

    def __init__(self, results: Sequence[tuple[ItemResult, str]]) -> None:
        self.results = tuple(result for result, _ in results)
        self._texts = tuple(text for _, text in results)

    def __repr__(self) -> str:
        return "\n\n".join([*self._texts, f"({_SMALL_PRINT})"])

    def _repr_html_(self) -> str:
        blocks = "".join(map(_block, self.results, self._texts))
        return f"<div>{blocks}<small>{html.escape(_SMALL_PRINT)}</small></div>"


def _block(result: ItemResult, text: str) -> str:
    first, _, rest = text.partition("\n")
    colour = _COLOURS.get(result.verdict, _WRONG)
    title = f'<div style="color: {colour}; font-weight: bold">{html.escape(first)}</div>'
    return f'{title}<pre style="margin: 0 0 0.6em; white-space: pre-wrap">{html.escape(rest)}</pre>'


def load_visible_checks(name: str) -> Checks:
    """Return the checks of an assignment.

    Args:
        name: an assignment's name, or the path of its folder.

    Raises:
        AssignmentError: there is none.
    """
    from grader.assignment import find_assignment

    return _RubricChecks(find_assignment(name))


def register(shell: Any) -> None:
    """Give an IPython shell the magic `%grader`."""

    def grader(line: str) -> SelfCheck | None:
        """Judge what this notebook has defined; `%grader --help` says how."""
        try:
            return _answer(shell, line)
        except GraderError as error:
            print(f"grader: {error}")  # noqa: T201
        except KeyboardInterrupt:
            print("grader: interrupted; nothing was judged")  # noqa: T201
        return None

    shell.register_magic_function(grader, "line", "grader")


def _answer(shell: Any, line: str) -> SelfCheck | None:
    asked = _options(line)
    if asked is None:
        return None
    from grader.render.hints import render_hints

    checks = load_visible_checks(asked.assignment)
    results = checks.judged(shell.user_ns, _wanted(checks, asked.items, shell.user_ns))
    more = "%grader {item} --hint {hint}"
    if asked.assignment != "hw2":
        more += f" --assignment {shlex.quote(asked.assignment)}"
    return SelfCheck(list(render_hints(checks.assignment, results, asked.hint, more)))


def _wanted(checks: Checks, called: Sequence[str], namespace: Mapping[str, Any]) -> Sequence[Item]:
    """Return the items to judge: those that are asked for, else all whose names are defined.

    Raises:
        InputError: none can be judged here; the message says what to do instead.
    """
    from grader.self_check.selection import find_items

    able = checks.items()
    if not called:
        defined = [item for item in able if item.names[0] in namespace]
        if not defined:
            names = ", ".join(dict.fromkeys(item.names[0] for item in able))
            raise InputError(f"nothing to judge is defined yet: define one of {names}, and run its cell")
        return defined
    asked = find_items(checks.assignment, called)
    here = [item for item in asked if item in able]
    if not here:
        item = asked[0]
        raise InputError(f"{item.id} cannot be judged in place: use `grader check NOTEBOOK --item {item.id}`")
    if not any(item.names[0] in namespace for item in here):
        raise InputError(f"{here[0].names[0]} is not defined here: define it first, and run its cell")
    return here


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process, which is the student's."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see %grader --help")


def _options(line: str) -> argparse.Namespace | None:
    """Return the magic's arguments, None where help was asked for and is printed.

    Raises:
        InputError: they are none.
    """
    parser = _Parser(prog="%grader", description="Judge what this notebook has defined.", exit_on_error=False)
    parser.add_argument("items", nargs="*", help="ids of items, or names that are defined; all where none is given")
    parser.add_argument("--hint", type=int, default=1, help="how many hints are shown")
    parser.add_argument("--assignment", default="hw2", help="its name, or the path of its folder")
    try:
        return parser.parse_args(shlex.split(line))
    except SystemExit:
        return None
    except (argparse.ArgumentError, ValueError) as error:
        raise InputError(f"{error}; see %grader --help") from None

"""The magic `%grader`: judge the definitions of a notebook in place, in Jupyter, in Colab and in an IPython console.

%load_ext grader
%grader                     # all items whose names are defined
%grader corr2d pool2d.max   # some of them
%grader corr2d --hint 2     # more about what is wrong
%grader --assignment hw2-check.zip    # with the bundle that the course hands out
"""

from __future__ import annotations

import argparse
import contextlib
import html
import io
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from grader.errors import GraderError, InputError
from grader.results.report import ItemResult, Verdict

if TYPE_CHECKING:
    from grader.assignment import Assignment, Item

__all__ = ["Checks", "SelfCheck", "load_visible_checks", "register"]

_SMALL_PRINT = "a self-check; the grade comes from the course's grader"
# Not derived from a key: this is the student's process, and a key must never be in one. No grade comes from here.
_SEED = "self-check"
_COLOURS = {Verdict.PASSED: "#2a7d2a", Verdict.PENDING: "#2a6f8d", Verdict.PARTIAL: "#9a6700"}
_WRONG = "#b42318"


class Checks(Protocol):
    """The checks of an assignment that can run in a student's own process."""

    assignment: Assignment

    def items(self) -> Sequence[Item]:
        """Return the items that can be checked."""

    def judge(self, namespace: Mapping[str, Any], items: Sequence[Item]) -> Sequence[ItemResult]:
        """Judge these items with the names of a notebook."""


class _RubricChecks:
    """The checks of an assignment with its rubric on this machine."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment

    def items(self) -> Sequence[Item]:
        """Return the visible items that need a definition only."""
        return [item for item in self.assignment.tested if item.visible and item.names]

    def judge(self, namespace: Mapping[str, Any], items: Sequence[Item]) -> Sequence[ItemResult]:
        """Judge these items with the rubric's tests."""
        from grader.judging.judge import judge
        from grader.judging.namespace_work import NamespaceWork

        work = NamespaceWork(namespace, self.assignment.limits.test_seconds)
        # The output of the student's functions belongs to no cell.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            results = judge(self.assignment, work, _SEED, {item.id for item in items})
        return [result.stand_at(None) for result in results]


class SelfCheck:
    """The results of one check, shown as text in a console and as HTML in a notebook."""

    def __init__(self, results: Sequence[tuple[ItemResult, str]]) -> None:
        self.results = tuple(result for result, _ in results)
        self._texts = tuple(text for _, text in results)

    def __repr__(self) -> str:
        return "\n\n".join([*self._texts, f"({_SMALL_PRINT})"])

    def _repr_html_(self) -> str:
        blocks = "".join(map(_render_block, self.results, self._texts))
        return f"<div>{blocks}<small>{html.escape(_SMALL_PRINT)}</small></div>"


def _render_block(result: ItemResult, text: str) -> str:
    first, _, rest = text.partition("\n")
    colour = _COLOURS.get(result.verdict, _WRONG)
    title = f'<div style="color: {colour}; font-weight: bold">{html.escape(first)}</div>'
    return f'{title}<pre style="margin: 0 0 0.6em; white-space: pre-wrap">{html.escape(rest)}</pre>'


def load_visible_checks(name: str) -> Checks:
    """Return the checks of an assignment.

    Args:
        name: an assignment's name, or the path of its folder.

    Raises:
        AssignmentError: it does not exist.
    """
    from grader.assignment import find_assignment

    return _RubricChecks(find_assignment(name))


def register(shell: Any) -> None:
    """Register the magic `%grader` in an IPython shell."""

    def grader(line: str) -> SelfCheck | None:
        """Judge the definitions of this notebook. See `%grader --help`."""
        try:
            return _run(shell, line)
        except GraderError as error:
            print(f"grader: {error}")  # noqa: T201
        except KeyboardInterrupt:
            print("grader: interrupted; nothing was judged")  # noqa: T201
        return None

    shell.register_magic_function(grader, "line", "grader")


def _run(shell: Any, line: str) -> SelfCheck | None:
    options = _parse_options(line)
    if options is None:
        return None
    from grader.self_check.student_bundle import is_bundle, judge_with_bundle

    if is_bundle(options.assignment):
        with contextlib.redirect_stderr(io.StringIO()):
            return SelfCheck(
                list(judge_with_bundle(Path(options.assignment), shell.user_ns, options.items, options.hint))
            )
    from grader.render.hints import render_hints

    checks = load_visible_checks(options.assignment)
    results = checks.judge(shell.user_ns, _choose_items(checks, options.items, shell.user_ns))
    more = "%grader {item} --hint {hint}"
    if options.assignment != "hw2":
        more += f" --assignment {shlex.quote(options.assignment)}"
    return SelfCheck(list(render_hints(checks.assignment, results, options.hint, more)))


def _choose_items(checks: Checks, names: Sequence[str], namespace: Mapping[str, Any]) -> Sequence[Item]:
    """Return the requested items, or without a request all items whose names are defined.

    Raises:
        InputError: no such item can be judged here; the message says what to do instead.
    """
    from grader.self_check.selection import find_items

    available = checks.items()
    if not names:
        defined = [item for item in available if item.names[0] in namespace]
        if not defined:
            missing = ", ".join(dict.fromkeys(item.names[0] for item in available))
            raise InputError(f"nothing to judge is defined yet: define one of {missing}, and run its cell")
        return defined
    requested = find_items(checks.assignment, names)
    here = [item for item in requested if item in available]
    if not here:
        item = requested[0]
        raise InputError(f"{item.id} cannot be judged in place: use `grader check NOTEBOOK --item {item.id}`")
    if not any(item.names[0] in namespace for item in here):
        raise InputError(f"{here[0].names[0]} is not defined here: define it first, and run its cell")
    return here


class _Parser(argparse.ArgumentParser):
    """A parser that raises an error instead of ending the process, which is the student's."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see %grader --help")


def _parse_options(line: str) -> argparse.Namespace | None:
    """Return the arguments of the magic, None if the help was requested and printed.

    Raises:
        InputError: the arguments are not valid.
    """
    parser = _Parser(prog="%grader", description="Judge the definitions of this notebook.", exit_on_error=False)
    parser.add_argument(
        "items", nargs="*", help="ids of items, or names of definitions (default: all that are defined)"
    )
    parser.add_argument("--hint", type=int, default=1, help="number of hints to show (default: 1)")
    parser.add_argument(
        "--assignment", default="hw2", help="name or folder of the assignment, or a bundle (default: hw2)"
    )
    try:
        return parser.parse_args(shlex.split(line))
    except SystemExit:
        return None
    except (argparse.ArgumentError, ValueError) as error:
        raise InputError(f"{error}; see %grader --help") from None

"""Find the known mistakes that a student's code may have made, and ask it further cases if several respond alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

from grader.assignment import Item
from grader.errors import GraderError
from grader.judging.evaluations import Evaluations
from grader.judging.interruption import limit_computing
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.loading import Rubric
from grader.judging.local import LocalStudent
from grader.judging.responses import RecordingStudent, UnlikeResponse, are_alike
from grader.results.report import Verdict
from grader.student import Student, StudentFault
from grader.testing.cases import Draw, WrongCases, given
from grader.testing.failures import Absent, Mismatch, Overtime
from grader.testing.misconceptions import Misconception

__all__ = ["find_suspects"]

_DRAWS = 4  # of a test's cases, to find one that tells mistakes apart
_SMALL_CASES = 40  # besides them, if the test can draw one
_MOST_NAMED = 3

Test = Callable[..., None]


class _Question(NamedTuple):
    """A question to a student's code, and whether the test that failed asks it too."""

    ask: Callable[[Any], object]
    is_of_the_test: bool = True


class _Failure(NamedTuple):
    """How a student's code failed a test: its responses, the evidence of the test, and whether the test broke."""

    responses: Sequence[Any]
    evidence: Mapping[str, Any]
    broke: bool


def find_suspects(
    item: Item, name: str, evaluation: ItemEvaluation, evaluations: Evaluations, rubric: Rubric
) -> tuple[Misconception, ...]:
    """Return the misconceptions that respond to a failed test as the student's code did.

    One that explained an earlier item is looked for first. If there are several, other items on the same definition
    decide, then further cases that are asked of the student's code. Those that are left cannot be told apart. Return
    none if they are many.

    Args:
        item: the item that was judged.
        name: the name of its first failed test.
        evaluation: the evaluation that counts for the item.
        evaluations: all evaluations of the submission.
        rubric: holds the misconceptions.
    """
    lineup = _Lineup(evaluations, rubric)
    for identifier in evaluations.explained_by:
        mistake = next(mistake for mistake in rubric.misconceptions if mistake.id == identifier)
        if lineup.fails_alike(mistake, item, name, evaluation):
            return (mistake,)
    suspects = lineup.list_alike(item, name, evaluation)
    if len(suspects) > 1:
        explains = [mistake for mistake in suspects if lineup.explains_others(mistake, item, evaluation)]
        suspects = explains or suspects
    if not _cannot_be_told_apart(suspects):
        suspects = lineup.ask_further(suspects, item, name, evaluation)
    return tuple(suspects) if len(suspects) <= _MOST_NAMED else ()


class _Lineup:
    """Compares the misconceptions of a rubric with one submission."""

    def __init__(self, evaluations: Evaluations, rubric: Rubric) -> None:
        self._evaluations = evaluations
        self._rubric = rubric
        self._tests: dict[tuple[str, str], Test] = {}

    def list_alike(self, item: Item, name: str, evaluation: ItemEvaluation) -> list[Misconception]:
        """Return the misconceptions that fail a test as the student's code does, and that no other item rules out."""
        alike = []
        ruled_out = self._evaluations.ruled_out
        for mistake in self._rubric.misconceptions:
            is_own = item.names[:1] == (mistake.replaces,)
            if item.id not in mistake.breaks or (mistake.id in ruled_out and not is_own):
                continue
            if self.is_contradicted(mistake, item):
                ruled_out.add(mistake.id)
            elif self.fails_alike(mistake, item, name, evaluation):
                alike.append(mistake)
            elif is_own:
                ruled_out.add(mistake.id)
        return alike

    def fails_alike(self, mistake: Misconception, item: Item, name: str, evaluation: ItemEvaluation) -> bool:
        """Tell whether a mutant fails a test in the same way as the student's code."""
        outcome = evaluation.outcomes[name]
        told = [response.value for response in evaluation.responses[name] if response.tells_mistakes]
        failure = _Failure(told, outcome.evidence, outcome.broken is not None)
        can_tell = told or _get_finding(outcome.evidence) is not None
        names = self._load(mistake) if item.id in mistake.breaks and can_tell else None
        if names is None:
            return False
        student = RecordingStudent(LocalStudent(names), failure.responses)
        try:
            with limit_computing(self._evaluations.limits.test_seconds):
                _take(self._get_test(item, name), student, self._evaluations.draw_for(item.id))
        except UnlikeResponse:
            return False
        except (AssertionError, StudentFault, Absent, WrongCases) as error:
            first = error.first if isinstance(error, WrongCases) else error
            evidence = first.evidence if isinstance(first, Mismatch) else {}
            return len(student.responses) == len(failure.responses) and _get_finding(evidence) == _get_finding(
                failure.evidence
            )
        except (Exception, Overtime):
            return failure.broke and len(student.responses) == len(failure.responses)
        return False  # the mutant passes this test

    def is_contradicted(self, mistake: Misconception, item: Item) -> bool:
        """Tell whether the student's definition passes another item that the mistake would break."""
        return any(
            evaluation.passed
            for other in self._others(mistake, item)
            if other.id in mistake.breaks
            for evaluation in self._evaluations.by_item[other.id]
        )

    def explains_others(self, mistake: Misconception, item: Item, evaluation: ItemEvaluation) -> bool:
        """Tell whether a mistake fails the other items on the same definition as the student's code fails them."""
        for other in self._others(mistake, item):
            same = [e for e in self._evaluations.by_item[other.id] if e.state.definition == evaluation.state.definition]
            failed = next((e for e in same if not e.earns), None)
            if failed is None:
                continue
            name = next(name for name, outcome in failed.outcomes.items() if outcome.verdict is not Verdict.PASSED)
            if not self.fails_alike(mistake, other, name, failed):
                return False
        return True

    def ask_further(
        self, suspects: list[Misconception], item: Item, name: str, evaluation: ItemEvaluation
    ) -> list[Misconception]:
        """Return those of several mistakes that respond alike to the questions that tell them apart."""
        namespaces = {mistake.id: self._load(mistake) or {} for mistake in suspects}
        draws = [self._evaluations.draw_for(item.id, further) for further in range(1, _DRAWS + 1)]
        work, state = self._evaluations.work, evaluation.state
        try:
            with ExitStack() as stack, limit_computing(self._evaluations.limits.test_seconds):
                student: Student | None = None
                for question in _list_questions(self._evaluations.functions(item.id)[name], draws):
                    predicted = {m.id: _respond(question, LocalStudent(namespaces[m.id])) for m in suspects}
                    if all(are_alike(responses, predicted[suspects[0].id]) for responses in predicted.values()):
                        continue
                    if student is None:
                        student = stack.enter_context(work.open(state.definition, state.aliases or None))
                    responses = _respond(question, student)
                    alike = [mistake for mistake in suspects if are_alike(predicted[mistake.id], responses)]
                    suspects = alike or ([] if question.is_of_the_test else _claim_least(suspects))
                    if _cannot_be_told_apart(suspects):
                        break
        except GraderError:
            raise
        except (Exception, Overtime):  # no time is left: those that were not told apart are all named
            pass
        return suspects

    def _others(self, mistake: Misconception, item: Item) -> list[Item]:
        """Return the other items that ask for the definition that a mistake replaces, and are not only built on it."""
        return [
            other
            for other in self._rubric.assignment.tested
            if other.id != item.id and other.names and other.names[0] == mistake.replaces
        ]

    def _get_test(self, item: Item, name: str) -> Test:
        """Return a test whose cases are drawn once for all mistakes: most respond otherwise in the first of them."""
        if (item.id, name) not in self._tests:
            test: Any = self._evaluations.functions(item.id)[name]
            if hasattr(test, "case_test"):
                drawn = list(test.cases(self._evaluations.draw_for(item.id)))
                test = given(lambda _: map(deepcopy, drawn))(test.case_test)  # a mutant may change what it is given
            self._tests[item.id, name] = test
        return self._tests[item.id, name]

    def _load(self, mistake: Misconception) -> dict[str, Any] | None:
        """Return the definitions with a mistake. Return None if it cannot be run, which `rubric verify` shows."""
        try:
            return self._rubric.namespace(mistake)
        except Exception:
            return None


def _take(test: Test, student: Any, draw: Draw) -> None:
    arguments = {"student": student, "draw": draw, "remark": lambda _: None}
    test(**{name: arguments[name] for name in inspect.signature(test).parameters})


def _get_finding(evidence: Mapping[str, Any]) -> Any:
    """Return what a test found besides responses, such as a number of parameters. Tensors are among the responses."""
    found = evidence.get("found")
    return None if isinstance(found, dict) else found


def _cannot_be_told_apart(mistakes: Sequence[Misconception]) -> bool:
    """Tell whether it is declared of all these mistakes that they respond alike to every question."""
    return all(one.id in other.same_as or other.id in one.same_as for one, other in combinations(mistakes, 2))


def _claim_least(suspects: Sequence[Misconception]) -> list[Misconception]:
    """Return those that break the fewest items: the student's code makes another mistake besides."""
    fewest = min(len(mistake.breaks) for mistake in suspects)
    return [mistake for mistake in suspects if len(mistake.breaks) == fewest]


def _list_questions(test: Test, draws: Sequence[Draw]) -> Iterator[_Question]:
    """Yield questions to a student's code: a test's other cases, and what it asks only to tell mistakes apart."""
    case_test, cases = getattr(test, "case_test", None), getattr(test, "cases", None)
    if case_test is None or cases is None:
        if "draw" in inspect.signature(test).parameters:
            yield from (_Question(partial(_take, test, draw=draw)) for draw in draws)
        return
    drawn = [case for draw in draws for case in cases(draw)]
    if (draw_case := getattr(test, "draw_case", None)) is not None:
        drawn += [draw_case(draws[0]) for _ in range(_SMALL_CASES)]
    for case in drawn:
        for ask in (case_test, *getattr(test, "further", ())):
            yield _Question(partial(_ask, ask, case), ask is case_test)


def _ask(ask: Callable[[Any, Any], object], case: Any, student: Any) -> None:
    ask(student, case)


def _respond(question: _Question, student: Any) -> list[Any]:
    """Return the responses to a question."""
    recording = RecordingStudent(student)
    try:
        question.ask(recording)
    except GraderError:
        raise
    except Exception:  # a wrong response, a fault, or one that breaks the test: all of them are among the responses
        pass
    return recording.responses

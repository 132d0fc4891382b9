"""Say in which line a wrong definition departs from a right one, if that is the only one.

The student's text is compared with the texts of the model solution and of the alternatives. Nothing of the student's is
run here. What is said is a fact about two texts, and is said only of a definition that lost points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grader.assignment import Assignment, Item
from grader.judging.evaluations import Evaluations
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.item_places import ItemPlaces
from grader.judging.loading import Rubric
from grader.judging.outcome import TestOutcome
from grader.judging.right_texts import RightText
from grader.judging.student_texts import StudentText, StudentTexts
from grader.judging.text_differences import TextDifference, compare_texts, rank
from grader.judging.wording import describe_difference
from grader.place import describe_cell
from grader.results.report import Verdict
from grader.submission.submission import Notebook

__all__ = ["SoleDifferences"]

_MOST_TOLD = 2


class SoleDifferences:
    """Finds where definitions of one submission depart from right ones.

    Args:
        assignment: says whether a report may show the solution's text.
        rubric: holds the right definitions.
        notebooks: the submission's notebooks.
        evaluations: all evaluations of the submission.
        places: finds where items are defined.
    """

    def __init__(
        self,
        assignment: Assignment,
        rubric: Rubric,
        notebooks: Sequence[Notebook],
        evaluations: Evaluations,
        places: ItemPlaces,
    ) -> None:
        self._assignment = assignment
        self._rubric = rubric
        self._texts = StudentTexts(notebooks)
        self._evaluations = evaluations
        self._places = places
        self._compared: dict[tuple[str, str, int, int], list[TextDifference] | None] = {}

    def place(self, outcome: TestOutcome, item: Item, evaluation: ItemEvaluation) -> TestOutcome:
        """Return the outcome of a failed item, placed at the line that departs from right definitions.

        It comes back as it is if no line does, or more than two. If two do, both are told, and none is the place.
        """
        if outcome.verdict in (Verdict.ABSENT, Verdict.PASSED, Verdict.PENDING) or not item.names:
            return outcome
        text = self._find_text(item, evaluation)
        differences = self._find_differences(item, text) if text else []
        if not text or not differences:
            return outcome
        if len(differences) == 1:
            outcome = replace(outcome, place=self._texts.locate(text, differences[0]))
        if not item.visible or outcome.misconception:
            return outcome
        told = [self._describe(text, difference) for difference in differences]
        return replace(outcome, message=f"{'; '.join(told)}; {outcome.message}")

    def _describe(self, text: StudentText, difference: TextDifference) -> str:
        place = self._texts.locate(text, difference)
        quote = self._texts.quote
        shown = describe_difference(difference, lambda node: quote(text, node), show=self._assignment.show_solution)
        return f"line {place.line} of {describe_cell(place.cell)}: {shown}"

    def _find_text(self, item: Item, evaluation: ItemEvaluation) -> StudentText | None:
        stands = self._places.find_item(item, evaluation.state)
        if stands is None or stands.line is None:
            return None
        return self._texts.find_at(evaluation.state.found_as or item.names[0], stands)

    def _find_differences(self, item: Item, text: StudentText) -> list[TextDifference]:
        """Return where the definitions of an item depart from right ones, none if it may fail for another reason."""
        differences = self._compare(item.names[0], text)
        for name in item.names[1:]:
            own = [other.id for other in self._assignment.tested if other.names[:1] == (name,)]
            evaluated = [self._evaluations.by_item[identifier] for identifier in own]
            if all(any(evaluation.earns for evaluation in found) for found in evaluated) and own:
                continue
            used = self._texts.find_last(name, text)
            more = self._compare(name, used) if used else None if own else []
            if differences is None or more is None or (own and more):
                return []  # another item says what is wrong
            differences = [*differences, *more]
        return differences if differences and len(differences) <= _MOST_TOLD else []

    def _compare(self, name: str, text: StudentText) -> list[TextDifference] | None:
        """Return where a definition departs from all right ones of a name that are much like it. None if none is."""
        key = (name, text.file, text.definition.lineno, text.definition.col_offset)
        if key not in self._compared:
            near = [
                found
                for right in self._rubric.right_texts.find(name)
                if (found := self._compare_with(right, text)) is not None
            ]
            near.sort(key=rank)
            self._compared[key] = _leave_agreed_out(near) if near else None
        return self._compared[key]

    def _compare_with(self, right: RightText, text: StudentText) -> list[TextDifference] | None:
        differences = compare_texts(text.definition, right.definition)
        for name, helper in right.helpers.items():
            own = self._texts.find_last(name, text)
            more = compare_texts(own.definition, helper) if own else None
            if differences is None or more is None:
                return None
            differences = [*differences, *more]
        return differences


def _leave_agreed_out(near: Sequence[list[TextDifference]]) -> list[TextDifference]:
    """Return the differences from the most similar definition in which the others agree with it."""
    first = near[0]
    if len(first) < 2:
        return first
    return [entry for entry in first if all(any(entry.overlaps(other) for other in found) for found in near)]

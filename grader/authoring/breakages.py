"""Find the tests of a rubric that break over an answer which their author did not expect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from grader.assignment import Item
from grader.authoring.hostile_answers import Observed, spoil_layers, spoil_records, spoil_rerun
from grader.judging.isolation import isolate_pytest
from grader.judging.loading import Rubric
from grader.judging.local import LocalRemote, LocalStudent, LocalWork
from grader.judging.outcome import TestOutcome
from grader.judging.plugin import RubricPlugin, TestContext, get_test_name
from grader.models.rerun import Substitution
from grader.results.verification import Breakage, RubricTest
from grader.student import Recorded, Rerun, Student
from grader.testing.cases import Draw

__all__ = ["find_breakages"]

_SEED = "hostile answers"


def find_breakages(rubric: Rubric, item: Item) -> list[Breakage]:
    """Put hostile answers in place of the model solution's, and return the places at which the item's tests break.

    Args:
        rubric: has a model solution.
        item: an item that tests decide.
    """
    with isolate_pytest(), rubric.lend_plugin() as plugin:
        return [breakage for test in plugin.tests[item.id] for breakage in _TestTrial(rubric, item, plugin, test).run()]


class _ObservedNames(dict[str, Any]):
    """The names of the model solution, with its callables observed, which notes those that a test asks for."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__({name: Observed(value) if callable(value) else value for name, value in names.items()})
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)


class _SpoilingStudent(LocalStudent):
    """The model solution, which notes what a test asks for and may spoil it.

    Args:
        names: its definitions.
        recorded: the values that its names had.
        cells: the sources of its cells, by the notebook's name.
        spoil_layer: changes the layers that the test builds.
        spoil_rerun: changes what cells show when they run again.
    """

    def __init__(
        self,
        names: Mapping[str, Any],
        recorded: Sequence[Recorded],
        cells: Mapping[str, Sequence[str]],
        spoil_layer: Callable[[nn.Module], None] = lambda _: None,
        spoil_rerun: Callable[[Rerun], Rerun] = lambda right: right,
    ) -> None:
        super().__init__(names, recorded=recorded, cells=cells)
        self.builds_layers = self.reads_values = self.reruns = False
        self._spoil_layer = spoil_layer
        self._spoil_rerun = spoil_rerun

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> LocalRemote:
        """Build a layer, and spoil it."""
        self.builds_layers = True
        made = super().layer(kind, *args, **kwargs)
        self._spoil_layer(made.value)
        return made

    def recorded(self) -> Sequence[Recorded]:
        """Return the values that names had."""
        self.reads_values = True
        return super().recorded()

    def rerun(self, wanted: Sequence[Recorded], substitutions: Sequence[Substitution], entries: int = 0) -> Rerun:
        """Run the cells again, and spoil what they show."""
        self.reruns = True
        return self._spoil_rerun(super().rerun(wanted, substitutions, entries))


class _TestTrial:
    """Runs one test again and again, each time with another hostile answer."""

    def __init__(self, rubric: Rubric, item: Item, plugin: RubricPlugin, test: pytest.Function) -> None:
        self._rubric = rubric
        self._item = item
        self._plugin = plugin
        self._test = test

    def run(self) -> list[Breakage]:
        """Return the places at which the test breaks, each with the answers that break it."""
        places: dict[tuple[str, int, str], Breakage] = {}
        test = RubricTest(self._item.id, get_test_name(self._test))
        for answer, student in self._list_students():
            broken = self._ask(student).broken
            if broken is None:
                continue
            place = (broken.file, broken.line, broken.error.partition(":")[0])
            breakage = places.get(place) or Breakage(test, broken.file, broken.line, broken.error, broken.case, ())
            places[place] = replace(breakage, answers=(*breakage.answers, answer))
            if broken.ran_out_of_time:
                break  # it takes seconds over every answer of that kind
        return list(places.values())

    def _list_students(self) -> Iterator[tuple[str, Student]]:
        right = self._rubric.solution.namespace()
        recorded = () if self._item.names else LocalWork(self._rubric.solution).recorded
        cells = {LocalWork.FILE: [cell.source for cell in self._rubric.solution.cells]}
        names = _ObservedNames(right)
        observed = _SpoilingStudent(names, recorded, cells)
        yield "the right answer", observed
        for name in sorted(names.asked):
            for answer, spoilt in names[name].spoil():
                yield f"{name} {answer}", _SpoilingStudent({**right, name: spoilt}, recorded, cells)
        for change, spoil_layer in spoil_layers() if observed.builds_layers else ():
            yield f"layers of torch.nn have {change}", _SpoilingStudent(right, recorded, cells, spoil_layer)
        for description, values in spoil_records(recorded) if observed.reads_values else ():
            yield description, _SpoilingStudent(right, values, cells)
        for description, spoil in spoil_rerun() if observed.reruns else ():
            yield description, _SpoilingStudent(right, recorded, cells, spoil_rerun=spoil)

    def _ask(self, student: Student) -> TestOutcome:
        @contextmanager
        def open_student() -> Iterator[Student]:
            yield student

        seconds = self._rubric.assignment.limits.test_seconds
        context = TestContext(open_student, lambda: Draw(f"{_SEED}\n{self._item.id}"), lambda _: None, seconds)
        return self._plugin.run(self._test, context, visible=True)

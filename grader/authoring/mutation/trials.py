"""Judge a mutant in this process: what it loses, what the report says of it, and whether that is right."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from grader.assignment import Assignment, Item
from grader.authoring.mutation.mutants import Mutant, find_users, list_origins
from grader.authoring.mutation.replays import Call, NotingStudent, find_difference, vary
from grader.errors import RubricFault
from grader.judging.interruption import limit_computing
from grader.judging.judge import judge
from grader.judging.loading import Rubric, load_rubric
from grader.judging.local import LocalStudent, LocalWork
from grader.judging.responses import RecordingStudent, are_alike
from grader.judging.solution import Solution
from grader.results.mutation import Diagnosis, JudgedMutant, LostItem
from grader.results.report import ItemResult, Verdict
from grader.submission.submission import Cell, Notebook
from grader.testing.cases import Draw
from grader.testing.failures import Overtime
from grader.testing.misconceptions import Misconception

__all__ = ["MutantJudge", "describe_mutant"]

_SEED = "mutants"
_SECONDS = 3.0  # for one test of a mutant, which may loop for ever
_OTHER_SEEDS = ("one", "two", "three")
_DRAWN = 40  # cases beside those of the rubric, for a test that can draw them


class MutantJudge:
    """Judges the mutants of one assignment.

    Args:
        assignment: has a reference.
        held_out: whether a mutant is judged as if the right notebook that it comes from were not known.
    """

    def __init__(self, assignment: Assignment, *, held_out: bool = False) -> None:
        self._held_out = held_out
        self._assignment = replace(assignment, limits=replace(assignment.limits, test_seconds=_SECONDS))
        self._rubric: Rubric = load_rubric(assignment)
        self._origins = list_origins(self._rubric)
        self._calls = lru_cache(maxsize=64)(self._note_calls)

    def judge(self, mutant: Mutant) -> JudgedMutant:
        """Judge a mutant with the items that use its definition."""
        torch.set_default_dtype(torch.float32)
        torch.manual_seed(0)
        judged = describe_mutant(mutant)
        notebook = mutant.apply(self._origins[mutant.origin])
        items = self._list_affected(mutant, notebook)
        try:
            with limit_computing(3 * _SECONDS):
                notebook.namespace()
                work = LocalWork(notebook)
            self._rubric.right_texts.left_out = frozenset({mutant.origin} if self._held_out else ())
            asked = self._list_asked(items)
            results = judge(self._assignment, work, _SEED, only=asked, notebooks=[_make_notebook(notebook)])
        except Overtime:
            return replace(judged, caught=True, why="the notebook's cells do not come to an end")
        except RubricFault as fault:
            return replace(judged, why=f"no verdict: {fault}")
        except Exception as error:  # a definition that cannot be made: its cell raises in a notebook, too
            return replace(judged, caught=True, refused=True, why=f"raises {type(error).__name__}: {error}")
        affected = {item.id for item in items}
        lost = [result for result in results if result.verdict is not Verdict.PASSED and result.id in affected]
        if not lost:
            return self._explain_survival(judged, mutant, notebook, items)
        own = _list_own(mutant, lost, items, notebook)
        told = tuple(self._diagnose(result, mutant, notebook, lost) for result in own)
        loses = tuple(result.id for result in lost)
        return replace(judged, caught=True, loses=loses, told=told)

    def _list_affected(self, mutant: Mutant, notebook: Solution) -> list[Item]:
        changed = find_users(mutant.definition, notebook)
        return [item for item in self._assignment.tested if (set(item.names) or {""}) & changed]

    def _list_asked(self, items: Sequence[Item]) -> list[str]:
        """Return the ids of items, and of those that judge what these are built on: they tell what is right."""
        names = {name for item in items for name in item.names}
        return [item.id for item in self._assignment.tested if item in items or set(item.names[:1]) & names]

    def _explain_survival(
        self, judged: JudgedMutant, mutant: Mutant, notebook: Solution, items: Sequence[Item]
    ) -> JudgedMutant:
        """Tell a survivor from a mutant that behaves as the right version does."""
        try:
            with limit_computing(20 * _SECONDS):
                right, other = self._origins[mutant.origin].namespace(), notebook.namespace()
                calls = self._calls(mutant.origin, tuple(item.id for item in items))
                difference = find_difference(calls, right, other)
                if not difference and not mutant.definition:
                    difference = _compare_recorded(self._origins[mutant.origin], notebook)
        except Overtime:
            difference = "does not come to an end"
        except Exception as error:
            difference = f"raises {type(error).__name__}: {error}"
        return replace(judged, equivalent=not difference, why=difference)

    def _note_calls(self, origin: str, items: tuple[str, ...]) -> list[Call]:
        """Return calls like those that the tests of items make, and more."""
        right = self._origins[origin].namespace()
        student = NotingStudent(right, recorded=LocalWork(self._origins[origin]).recorded)
        for test in self._list_tests(items):
            for seed in ("", *_OTHER_SEEDS):
                with suppress(Exception):
                    _run_test(test, student, f"{seed}{test.item}")
            if getattr(test, "draw_case", None) is not None:
                for number in range(_DRAWN):
                    with suppress(Exception):
                        test.case_test(student, test.draw_case(Draw(f"{number}{test.item}")))
        return list(vary(student.calls, right, torch.Generator().manual_seed(0)))

    def _list_tests(self, items: Sequence[str]) -> list[Any]:
        return [
            test
            for module in self._rubric.tests.values()
            for name, test in vars(module).items()
            if name.startswith("test") and getattr(test, "item", None) in items
        ]

    def _diagnose(self, result: ItemResult, mutant: Mutant, notebook: Solution, lost: Sequence[ItemResult]) -> LostItem:
        """Say how a report explains a lost item, and whether a name that it gives is right."""
        diagnosis, why = Diagnosis.BARE, ""
        line = result.line
        if result.misconception:
            why = self._refute(result, mutant, notebook, lost)
            diagnosis = Diagnosis.FALSE if why else Diagnosis.NAMED
        elif line is not None and result.cell == mutant.cell:
            beginning = next(number for number, text in enumerate(mutant.source.split("\n"), 1) if text[0] != "@")
            # Where a definition begins is what a report says if it knows no better.
            placed = Diagnosis.BARE if line == beginning else Diagnosis.PLACED
            diagnosis = Diagnosis.EXACT if line in mutant.lines else placed
        return LostItem(result.id, diagnosis, result.message, result.misconception or "", why)

    def _refute(self, result: ItemResult, mutant: Mutant, notebook: Solution, lost: Sequence[ItemResult]) -> str:
        """Return why none of the misconceptions is what the mutant has, or "" if nothing speaks against one of them."""
        named = [known for known in self._rubric.misconceptions if known.id in result.misconceptions]
        reasons = [self._refute_one(mistake, mutant, notebook, lost) for mistake in named]
        return "; ".join(reasons) if all(reasons) else ""

    def _refute_one(
        self, mistake: Misconception, mutant: Mutant, notebook: Solution, lost: Sequence[ItemResult]
    ) -> str:
        users = find_users(mutant.definition, notebook)
        judged = {item.names[0] for item in self._assignment.tested if item.names}
        if mistake.replaces != mutant.definition and (mutant.definition in judged or mistake.replaces not in users):
            return f"it speaks of {mistake.replaces}, which is right"
        own = {item.id for item in self._assignment.tested if item.names[:1] == (mistake.replaces,)}
        if other := {item.id for item in lost} & own ^ mistake.breaks & own:
            return f"one of the two loses {', '.join(sorted(other))}, the other does not"
        known = self._rubric.namespace(mistake)
        ours = notebook.namespace()
        # What calls the definition may fail in another way, with another exception of its own.
        for test in self._list_tests(sorted(mistake.breaks & own or mistake.breaks)):
            for seed in _OTHER_SEEDS:
                responses = [_respond(test, LocalStudent(names), f"{seed}{test.item}") for names in (ours, known)]
                if not are_alike(*responses):
                    return f"it answers otherwise with other numbers ({test.item})"
            if getattr(test, "draw_case", None) is not None:
                for number in range(_DRAWN):
                    case = test.draw_case(Draw(f"{number}{test.item}"))
                    responses = [_respond_to_case(test, LocalStudent(names), case) for names in (ours, known)]
                    if not are_alike(*responses):
                        return f"it answers otherwise with {case.description} ({test.item})"
        return ""


def describe_mutant(mutant: Mutant) -> JudgedMutant:
    """Return a mutant of which nothing is known yet."""
    return JudgedMutant(
        mutant.definition,
        mutant.judged,
        mutant.origin,
        mutant.operator,
        mutant.lines[0],
        mutant.before,
        mutant.after,
        mutant.source,
    )


def _make_notebook(solution: Solution) -> Notebook:
    cells = tuple(Cell(index, "code", cell.source) for index, cell in enumerate(solution.cells))
    return Notebook(LocalWork.FILE, "", cells, {})


def _list_own(
    mutant: Mutant, lost: Sequence[ItemResult], items: Sequence[Item], notebook: Solution
) -> list[ItemResult]:
    """Return the lost items that judge the mutated definition itself; if there are none, all."""
    first = {item.id: item.names[0] if item.names else "" for item in items}
    own = [result for result in lost if first[result.id] == mutant.definition]
    return own or list(lost)


def _run_test(test: Any, student: Any, seed: str) -> None:
    arguments = {"student": student, "draw": Draw(seed), "remark": lambda _: None}
    test(**{name: arguments[name] for name in inspect.signature(test).parameters})


def _respond(test: Any, student: LocalStudent, seed: str) -> list[Any]:
    recording = RecordingStudent(student)
    try:
        with limit_computing(_SECONDS):
            _run_test(test, recording, seed)
    except (Exception, Overtime) as error:
        return [*recording.responses, type(error).__name__]
    return [*recording.responses, ""]


def _respond_to_case(test: Any, student: LocalStudent, case: Any) -> list[Any]:
    recording = RecordingStudent(student)
    try:
        with limit_computing(_SECONDS):
            test.case_test(recording, case)
    except (Exception, Overtime) as error:
        return [*recording.responses, type(error).__name__]
    return [*recording.responses, ""]


def _compare_recorded(right: Solution, other: Solution) -> str:
    """Compare the values that names have after each cell."""
    values: list[Mapping[Any, Any]] = []
    for notebook in (right, other):
        torch.manual_seed(0)
        values.append({(entry.cell, entry.name): entry.value for entry in LocalWork(notebook).recorded})
    if values[0].keys() != values[1].keys():
        return "other names have values"
    differing = [name for key, value in values[0].items() for name in key[1:] if not are_alike(value, values[1][key])]
    return f"{', '.join(differing)} has another value" if differing else ""

"""Judges a submission: runs an assignment's tests against it and gives a verdict for each item."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import torch

from grader.assignment import Assignment, Item
from grader.judging.evaluations import CandidateState, Evaluations, ItemEvaluation
from grader.judging.explain import explain
from grader.judging.loading import Rubric, load_rubric
from grader.judging.outcome import TestOutcome
from grader.judging.training_verdicts import resolve_trainings
from grader.models.recipe import Mode
from grader.results.report import ItemResult, Verdict
from grader.student import Definition, Work
from grader.testing.learning import Training
from grader.training.trainer import Trainer

__all__ = ["judge", "load"]

# pytest sets environment variables while it runs a test: one run at a time in a process.
_one_at_a_time = threading.Lock()


def judge(
    assignment: Assignment,
    work: Work,
    seed: str,
    only: Collection[str] | None = None,
    *,
    mode: Mode = Mode.NONE,
    trainer: Trainer | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[ItemResult]:
    """Return a verdict for each item that tests judge, in the rubric's order.

    Args:
        assignment: the rubric.
        work: the submission, its cells run.
        seed: the submission's identity, from which with the revision and the item every random case is drawn.
        only: ids of the items that are judged; None for all.
        mode: what is done with trainings.
        trainer: what trains; None where the mode is none or the data set is missing.
        progress: told in a few words how far the trainings are.

    Raises:
        AssignmentError: the rubric is wrong, whatever the submission: no verdict may be drawn from it.
        SystemFault: the sandbox broke from our side.
    """
    rubric = load_rubric(assignment)
    items = [item for item in assignment.items if not item.by_person and (only is None or item.id in only)]
    openings = {item.id: _openings(item, work, rubric) for item in items}
    draws = f"{seed}\n{assignment.revision}"
    told = {item.id: _training(item, assignment, mode, trainer, draws) for item in assignment.trained}
    with _as_alone():
        with rubric.collected() as plugin:
            trials = Evaluations(plugin, assignment, work, openings, draws, told)
            trials.run()
        results = {item.id: _result(item, trials, work, rubric) for item in items}
    if trainer is not None:
        waiting = {item: trials.tried[item.id] for item in items if item.recipes}
        results |= resolve_trainings(waiting, results, mode, trainer, work, progress)
    return [results[item.id] for item in items]


def load(assignment: Assignment) -> None:
    """Collect an assignment's tests, which `judge` else does for the first submission.

    Raises:
        AssignmentError: the rubric is wrong.
    """
    rubric = load_rubric(assignment)
    with _as_alone(), rubric.collected():
        pass


def _training(item: Item, assignment: Assignment, mode: Mode, trainer: Trainer | None, draws: str) -> Training:
    secret = int.from_bytes(hashlib.sha256(f"{draws}\n{item.id}".encode()).digest()[:4], "big")
    if trainer is None:
        return Training(mode, item.recipes.get(mode), None, 0, secret)
    limits, on_gpu = assignment.limits, trainer.device.type == "cuda"
    teraflops = limits.training_teraflops_on_gpu if on_gpu else limits.training_teraflops
    return Training(mode, item.recipes.get(mode), trainer.data_set, teraflops, secret)


def _openings(item: Item, work: Work, rubric: Rubric) -> list[CandidateState]:
    if not item.names:
        return [CandidateState(None)]
    definitions = _definitions(item, work)
    if not item.recipes:
        # The end of the notebook first: there one process serves all items, and most that are right are right there.
        definitions.sort(key=lambda definition: not definition.at_end)
    found = [CandidateState(definition) for definition in definitions]
    if not found and item.search:
        candidates = work.candidates(rubric.filled_in.get(item.id, ()))
        return [CandidateState(where, {item.names[0]: name}, name) for where, name in candidates]
    return found


def _definitions(item: Item, work: Work) -> list[Definition]:
    """Return the moments from which the name asked for exists: before it, what it is built on is nothing to judge."""
    defined: set[str] = set()
    found = []
    for definition in work.definitions(item.names):
        if item.names[0] in definition.names:
            defined.add(definition.file)
        if definition.file in defined:
            found.append(definition)
    return found


def _result(item: Item, trials: Evaluations, work: Work, rubric: Rubric) -> ItemResult:
    tried = trials.tried[item.id]
    if item.search:
        tried = [trial for trial in tried if trial.passed or trial.pending or trial.opening.found_as is None]
    if not tried:
        return _item_result(item, 0, TestOutcome(Verdict.ABSENT, _absence(item, work)), None)
    judged = [(*_points(item, trial), trial) for trial in tried]
    # The best counts; among equals the last, because that is where the student left it.
    points, name, trial = max(
        reversed(judged), key=lambda each: (each[0], each[2].pending is not None, not _is_absent(each[2]))
    )
    if trial.passed:
        remarks = [remark for outcome in trial.outcomes.values() for remark in outcome.remarks]
        message = "; ".join([_where(trial.opening), *remarks])
        return _item_result(item, points, TestOutcome(Verdict.PASSED, message), trial)
    if trial.pending:
        return _item_result(item, 0, trial.outcomes[name], trial)
    outcome = explain(item, name, trial, trials, rubric)
    if points and outcome.verdict is not Verdict.ABSENT:
        outcome = replace(outcome, verdict=Verdict.PARTIAL)
    return _item_result(item, points, outcome, trial)


def _points(item: Item, trial: ItemEvaluation) -> tuple[float, str]:
    """Return what a trial earns, and the name of the first test that went wrong."""
    wrong = [name for name, outcome in trial.outcomes.items() if outcome.verdict is not Verdict.PASSED]
    if not wrong:
        return item.points, ""
    outcomes = trial.outcomes.values()
    share = sum(outcome.right for outcome in outcomes) / sum(outcome.total for outcome in outcomes)
    partly = item.partial and trial.outcomes[wrong[0]].verdict is not Verdict.ABSENT
    return (math.floor(item.points * share * 4) / 4 if partly else 0), wrong[0]


def _is_absent(trial: ItemEvaluation) -> bool:
    wrong = [outcome for outcome in trial.outcomes.values() if outcome.verdict is not Verdict.PASSED]
    return bool(wrong) and wrong[0].verdict is Verdict.ABSENT


def _where(opening: CandidateState) -> str:
    named = opening.found_as and opening.definition
    return f"found as {opening.found_as} in cell {opening.definition.cell}" if named and opening.definition else "right"


def _item_result(item: Item, points: float, outcome: TestOutcome, trial: ItemEvaluation | None) -> ItemResult:
    definition = trial.opening.definition if trial else None
    return ItemResult(
        id=item.id,
        section=item.section,
        title=item.title,
        points=points,
        max_points=item.points,
        verdict=outcome.verdict,
        message=outcome.message,
        file=definition.file if definition else outcome.file,
        cell=definition.cell if definition else outcome.cell,
        evidence=outcome.evidence,
        misconception=outcome.misconception,
        tests={name: each.verdict for name, each in trial.outcomes.items()} if trial else {},
    )


def _absence(item: Item, work: Work) -> str:
    name = item.names[0]
    package = work.imported_from(name)
    if package and package.startswith("torch.nn"):
        return f"{name} is a layer of torch.nn, not written here"
    if package:
        return f"{name} is imported from {package}, not written here"
    return f"{name} is not defined in this submission"


@contextlib.contextmanager
def _as_alone() -> Iterator[None]:
    """Have pytest run as if nothing else did in this process."""
    # What a rubric prints is for its author; standard output may be carrying the report.
    with _one_at_a_time, _without_pytest_variables(), _one_thread(), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: the cases are so small that several threads cost many times what they save."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _without_pytest_variables() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PYTEST_")}
    try:
        yield
    finally:
        os.environ.update(kept)

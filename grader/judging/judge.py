"""Judge a submission: run an assignment's tests against it and give a verdict for each item."""

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

# pytest sets environment variables while it runs a test, so only one thread may run tests at a time.
_pytest_lock = threading.Lock()


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
        work: the submission, after its cells have run.
        seed: identifies the submission; with the revision and the item it decides every random case.
        only: ids of the items to judge; None for all.
        mode: how items that are earned by training are judged.
        trainer: trains models; None if the mode is none or the data set is missing.
        progress: called with a short description of how far the trainings are.

    Raises:
        AssignmentError: the rubric is wrong, whatever the submission is, so it gives no verdicts.
        SystemFault: the sandbox failed.
    """
    rubric = load_rubric(assignment)
    items = [item for item in assignment.items if not item.by_person and (only is None or item.id in only)]
    states = {item.id: _find_states(item, work, rubric) for item in items}
    seed = f"{seed}\n{assignment.revision}"
    trainings = {item.id: _make_training(item, assignment, mode, trainer, seed) for item in assignment.trained}
    with _isolate_pytest():
        with rubric.lend_plugin() as plugin:
            evaluations = Evaluations(plugin, assignment, work, states, seed, trainings)
            evaluations.run()
        results = {item.id: _make_result(item, evaluations, work, rubric) for item in items}
    if trainer is not None:
        waiting = {item: evaluations.by_item[item.id] for item in items if item.recipes}
        results |= resolve_trainings(waiting, results, mode, trainer, work, progress)
    return [results[item.id] for item in items]


def load(assignment: Assignment) -> None:
    """Collect an assignment's tests ahead of time; otherwise `judge` does it for the first submission.

    Raises:
        AssignmentError: the rubric is wrong.
    """
    rubric = load_rubric(assignment)
    with _isolate_pytest(), rubric.lend_plugin():
        pass


def _make_training(item: Item, assignment: Assignment, mode: Mode, trainer: Trainer | None, seed: str) -> Training:
    secret = int.from_bytes(hashlib.sha256(f"{seed}\n{item.id}".encode()).digest()[:4], "big")
    if trainer is None:
        return Training(mode, item.recipes.get(mode), None, 0, secret)
    limits, on_gpu = assignment.limits, trainer.device.type == "cuda"
    teraflops = limits.training_teraflops_on_gpu if on_gpu else limits.training_teraflops
    return Training(mode, item.recipes.get(mode), trainer.data_set, teraflops, secret)


def _find_states(item: Item, work: Work, rubric: Rubric) -> list[CandidateState]:
    if not item.names:
        return [CandidateState(None)]
    definitions = _find_definitions(item, work)
    if not item.recipes:
        # Start at the end of the notebook: one process serves all items there, and most right items pass there.
        definitions.sort(key=lambda definition: not definition.at_end)
    if not definitions and item.search:
        candidates = work.candidates(rubric.filled_in.get(item.id, ()))
        return [CandidateState(definition, {item.names[0]: name}, name) for definition, name in candidates]
    return [CandidateState(definition) for definition in definitions]


def _find_definitions(item: Item, work: Work) -> list[Definition]:
    """Return the definitions of an item's names, from the first definition of its main name in each file on."""
    defined: set[str] = set()
    judged = []
    for definition in work.definitions(item.names):
        if item.names[0] in definition.names:
            defined.add(definition.file)
        if definition.file in defined:
            judged.append(definition)
    return judged


def _make_result(item: Item, evaluations: Evaluations, work: Work, rubric: Rubric) -> ItemResult:
    candidates = evaluations.by_item[item.id]
    if item.search:
        candidates = [e for e in candidates if e.passed or e.pending or e.state.found_as is None]
    if not candidates:
        return _fill_result(item, 0, TestOutcome(Verdict.ABSENT, _describe_absence(item, work)), None)
    scored = [(*_score(item, evaluation), evaluation) for evaluation in candidates]
    # The best evaluation counts; among equals the last, because that is how the student left it.
    points, name, best = max(
        reversed(scored), key=lambda entry: (entry[0], entry[2].pending is not None, not _is_absent(entry[2]))
    )
    if best.passed:
        remarks = [remark for outcome in best.outcomes.values() for remark in outcome.remarks]
        message = "; ".join([_describe_success(best.state), *remarks])
        return _fill_result(item, points, TestOutcome(Verdict.PASSED, message), best)
    if best.pending:
        return _fill_result(item, 0, best.outcomes[name], best)
    outcome = explain(item, name, best, evaluations, rubric)
    if points and outcome.verdict is not Verdict.ABSENT:
        outcome = replace(outcome, verdict=Verdict.PARTIAL)
    return _fill_result(item, points, outcome, best)


def _score(item: Item, evaluation: ItemEvaluation) -> tuple[float, str]:
    """Return the points that an evaluation earns, and the name of the first test that failed."""
    failed = [name for name, outcome in evaluation.outcomes.items() if outcome.verdict is not Verdict.PASSED]
    if not failed:
        return item.points, ""
    outcomes = evaluation.outcomes.values()
    share = sum(outcome.right for outcome in outcomes) / sum(outcome.total for outcome in outcomes)
    partial = item.partial and evaluation.outcomes[failed[0]].verdict is not Verdict.ABSENT
    return (math.floor(item.points * share * 4) / 4 if partial else 0), failed[0]


def _is_absent(evaluation: ItemEvaluation) -> bool:
    failed = [outcome for outcome in evaluation.outcomes.values() if outcome.verdict is not Verdict.PASSED]
    return bool(failed) and failed[0].verdict is Verdict.ABSENT


def _describe_success(state: CandidateState) -> str:
    if state.found_as and state.definition:
        return f"found as {state.found_as} in cell {state.definition.cell}"
    return "right"


def _fill_result(item: Item, points: float, outcome: TestOutcome, evaluation: ItemEvaluation | None) -> ItemResult:
    definition = evaluation.state.definition if evaluation else None
    source = f" (defined in {definition.source})" if definition and definition.source else ""
    return ItemResult(
        id=item.id,
        section=item.section,
        title=item.title,
        points=points,
        max_points=item.points,
        verdict=outcome.verdict,
        message=f"{outcome.message}{source}",
        file=definition.file if definition else outcome.file,
        cell=definition.cell if definition else outcome.cell,
        evidence=outcome.evidence,
        misconception=outcome.misconception,
        tests={name: test.verdict for name, test in evaluation.outcomes.items()} if evaluation else {},
    )


def _describe_absence(item: Item, work: Work) -> str:
    name = item.names[0]
    package = work.imported_from(name)
    if package and package.startswith("torch.nn"):
        return f"{name} is a layer of torch.nn, not written here"
    if package:
        return f"{name} is imported from {package}, not written here"
    return f"{name} is not defined in this submission"


@contextlib.contextmanager
def _isolate_pytest() -> Iterator[None]:
    """Shield a run of pytest from the rest of the process, and the rest of the process from it."""
    # Output of a rubric's tests is for its author: standard output may be carrying the report.
    with _pytest_lock, _hide_pytest_variables(), _limit_to_one_thread(), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _limit_to_one_thread() -> Iterator[None]:
    """Compute on one thread: for cases this small, starting several threads costs many times what it saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _hide_pytest_variables() -> Iterator[None]:
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PYTEST_")}
    try:
        yield
    finally:
        os.environ.update(hidden)

"""Judge a submission: run an assignment's tests against it and give a verdict for each item."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial

import torch

from grader.assignment import Assignment, Item
from grader.judging.absence import AbsenceReasons
from grader.judging.evaluations import Evaluations, ItemStates
from grader.judging.explain import explain
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.loading import Rubric, load_rubric
from grader.judging.outcome import TestOutcome
from grader.judging.states import CandidateState, StateFinder
from grader.judging.training_verdicts import resolve_trainings
from grader.models.recipe import Mode
from grader.results.report import ItemResult, Verdict
from grader.student import Work
from grader.testing.learning import Training
from grader.training.trainer import Trainer

__all__ = ["judge", "load"]

# pytest sets environment variables while it runs a test, so only one thread may run tests at a time.
_pytest_lock = threading.Lock()

_OWN_ARGUMENTS = re.compile(r"missing \d+ required positional arguments?: (.{1,200}?)$")


def judge(
    assignment: Assignment,
    work: Work,
    seed: str,
    only: Collection[str] | None = None,
    *,
    mode: Mode = Mode.NONE,
    trainer: Trainer | None = None,
    progress: Callable[[str], None] = lambda _: None,
    absences: AbsenceReasons | None = None,
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
        absences: says why a name is not defined.

    Raises:
        AssignmentError: the rubric is wrong, whatever the submission is, so it gives no verdicts.
        SystemFault: the sandbox failed.
    """
    rubric = load_rubric(assignment)
    items = [item for item in assignment.items if not item.by_person and (only is None or item.id in only)]
    finder = StateFinder(assignment, work, rubric.filled_in)
    states = {item.id: ItemStates(finder.find_defined(item), partial(finder.find_instances, item)) for item in items}
    searches = partial(finder.plan_searches, items)
    absences = absences or AbsenceReasons()
    seed = f"{seed}\n{assignment.revision}"
    trainings = {item.id: _make_training(item, assignment, mode, trainer, seed) for item in assignment.trained}
    with _isolate_pytest():
        with rubric.lend_plugin() as plugin:
            evaluations = Evaluations(plugin, assignment, work, states, searches, seed, trainings)
            evaluations.run()
        results = {item.id: _make_result(item, evaluations, rubric, absences) for item in items}
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


def _make_result(item: Item, evaluations: Evaluations, rubric: Rubric, absences: AbsenceReasons) -> ItemResult:
    candidates = evaluations.by_item[item.id]
    if not candidates:
        return _fill_result(item, 0, TestOutcome(Verdict.ABSENT, _describe_absence(item, evaluations, absences)), None)
    scored = [(*_score(item, evaluation), evaluation) for evaluation in candidates]
    # The best evaluation counts; among equals the last, because that is how the student left it.
    points, name, best = max(
        reversed(scored), key=lambda entry: (entry[0], entry[2].pending is not None, not _is_absent(entry[2]))
    )
    if best.passed:
        remarks = [remark for outcome in best.outcomes.values() for remark in outcome.remarks]
        message = "; ".join([_describe_origin(best.state) or "right", *remarks])
        return _fill_result(item, points, TestOutcome(Verdict.PASSED, message), best)
    if best.pending:
        return _fill_result(item, 0, best.outcomes[name], best)
    outcome = explain(item, name, best, evaluations, rubric)
    if points and outcome.verdict is not Verdict.ABSENT:
        outcome = replace(outcome, verdict=Verdict.PARTIAL)
    return _fill_result(item, points, _add_causes(outcome, item, best.state, absences), best)


def _is_absent(evaluation: ItemEvaluation) -> bool:
    return evaluation.failure is not None and evaluation.failure.verdict is Verdict.ABSENT


def _add_causes(outcome: TestOutcome, item: Item, state: CandidateState, absences: AbsenceReasons) -> TestOutcome:
    """Add to a message what it is about, if it goes by another name, and why something is missing."""
    message = outcome.message
    if origin := _describe_origin(state):
        message = f"{origin}: {message}"
    if cause := absences.describe_cause(message):
        message = f"{message}; {cause}"
    elif (
        outcome.verdict is Verdict.ABSENT
        and outcome.begun_as
        and (stop := absences.describe_stop_with(outcome.begun_as))
    ):
        return replace(outcome, verdict=Verdict.FAILED, message=f"{message}; {stop}")  # it was tried
    elif outcome.verdict is Verdict.ABSENT and not item.names and (stop := absences.first_stop()):
        message = f"{message} (this may be the reason: {stop})"
    elif item.search and (missing := _OWN_ARGUMENTS.search(message)) and not state.found_as:
        name = item.names[0]
        message = (
            f"{name} takes arguments that the textbook's does not ({missing[1]}): "
            f"bind a model to a name (net = {name}(...)), and it is judged instead; {message}"
        )
    return replace(outcome, message=message)


def _score(item: Item, evaluation: ItemEvaluation) -> tuple[float, str]:
    """Return the points that an evaluation earns, and the name of the first test that failed."""
    failed = [name for name, outcome in evaluation.outcomes.items() if outcome.verdict is not Verdict.PASSED]
    if not failed:
        return item.points, ""
    outcomes = evaluation.outcomes.values()
    share = sum(outcome.right for outcome in outcomes) / sum(outcome.total for outcome in outcomes)
    partial = item.partial and evaluation.outcomes[failed[0]].verdict is not Verdict.ABSENT
    return (math.floor(item.points * share * 4) / 4 if partial else 0), failed[0]


def _describe_origin(state: CandidateState) -> str:
    """Return under which name and where something was found, or "" if the name is the item's."""
    if not (state.found_as and state.definition):
        return ""
    expected = f", expected {state.expected}" if state.expected else ""
    return f"found as {state.found_as} in cell {state.definition.cell}{expected}"


def _fill_result(item: Item, points: float, outcome: TestOutcome, evaluation: ItemEvaluation | None) -> ItemResult:
    definition = evaluation.state.definition if evaluation else None
    source = definition.sources.get(item.names[0]) if definition and item.names else None
    return ItemResult(
        id=item.id,
        section=item.section,
        title=item.title,
        points=points,
        max_points=item.points,
        verdict=outcome.verdict,
        message=f"{outcome.message} (defined in {source})" if source else outcome.message,
        file=definition.file if definition else outcome.file,
        cell=definition.cell if definition else outcome.cell,
        evidence=outcome.evidence,
        misconception=outcome.misconception,
        tests={name: test.verdict for name, test in evaluation.outcomes.items()} if evaluation else {},
    )


def _describe_absence(item: Item, evaluations: Evaluations, absences: AbsenceReasons) -> str:
    name = item.names[0]
    package = evaluations.work.imported_from(name)
    if package and package.startswith("torch.nn"):
        return f"{name} is a layer of torch.nn, not written here"
    if package:
        return absences.describe_import(name) or f"{name} is imported from {package}, not written here"
    untried = evaluations.searching.untried.get(name, 0) if item.search else 0
    if not untried:
        return absences.describe(name)
    what = "definition was" if untried == 1 else "definitions were"
    return f"{absences.describe(name)}; the search for it ran out of time, so {untried} other {what} not tried"


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

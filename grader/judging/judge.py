"""Judge a submission: run an assignment's tests against it and give a verdict for each item."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from grader.assignment import Assignment, Item
from grader.judging.absence import AbsenceReasons
from grader.judging.blame import BrokenTests
from grader.judging.causes import Causes, load_right_names
from grader.judging.evaluations import Evaluations, ItemStates
from grader.judging.explain import explain
from grader.judging.isolation import isolate_pytest
from grader.judging.item_evaluation import ItemEvaluation
from grader.judging.item_places import ItemPlaces
from grader.judging.loading import Rubric, load_rubric
from grader.judging.outcome import TestOutcome
from grader.judging.scoring import choose_best
from grader.judging.seeds import derive_seed
from grader.judging.sole_difference import SoleDifferences
from grader.judging.states import CandidateState, StateFinder
from grader.judging.symbols import explain_symbols
from grader.judging.training_verdicts import resolve_trainings
from grader.judging.unwritten import NOT_WRITTEN, explain_unwritten
from grader.models.recipe import Mode
from grader.place import describe_cell
from grader.results.report import ItemResult, Verdict
from grader.student import Work
from grader.submission.submission import Notebook
from grader.testing.learning import Training
from grader.training.probing import start_prober
from grader.training.trainer import Trainer

__all__ = ["judge", "load"]

_GUESS = re.compile(r"; did you mean \w+\?$")  # it is no other name, if it is known why that one is missing
_ARGUMENTS = r"(?:'\w{1,80}'(?:, and |, | and )?){1,9}"
_OWN_ARGUMENTS = re.compile(
    rf"(\w{{1,80}})(?:\.__init__)?\(\) missing \d+ required positional arguments?: ({_ARGUMENTS})"
)


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
    notebooks: Sequence[Notebook] = (),
    are_judged_again: Callable[[Collection[str]], bool] = lambda _: False,
) -> list[ItemResult]:
    """Return a verdict for each item that tests judge, in the rubric's order.

    Args:
        assignment: the rubric.
        work: the submission, after its cells have run.
        seed: with the revision and the item it decides all that is random. Students must not be able to compute it.
        only: ids of the items to judge; None for all.
        mode: how items that are earned by training are judged.
        trainer: trains models; None if the mode is none or the data set is missing.
        progress: called with a short description of how far the trainings are.
        absences: says why a name is not defined.
        notebooks: the submission's notebooks, whose lines are quoted in the results.
        are_judged_again: takes the ids of the items that are lost, and tells whether all of them will be judged once
            more. Then their results have no message.

    Raises:
        AssignmentError: the rubric is wrong, whatever the submission is, so it gives no verdicts.
        RubricFault: a test broke, and the submission's answers are not to blame.
        SystemFault: the sandbox failed.
    """
    rubric = load_rubric(assignment)
    items = [item for item in assignment.items if not item.by_person and (only is None or item.id in only)]
    finder = StateFinder(assignment, work, rubric.filled_in)
    states = {item.id: ItemStates(finder.find_defined(item), partial(finder.find_instances, item)) for item in items}
    searches = partial(finder.plan_searches, items)
    absences = absences or AbsenceReasons()
    places = ItemPlaces(work, notebooks)
    seed = f"{seed}\n{assignment.revision}"
    trainings = {item.id: _make_training(item, assignment, mode, trainer, seed) for item in assignment.trained}
    with isolate_pytest():
        start_prober()
        with rubric.lend_plugin() as plugin:
            evaluations = Evaluations(plugin, assignment, work, states, searches, seed, trainings)
            evaluations.run()
        broken_tests = BrokenTests(evaluations, rubric)
        sole = SoleDifferences(assignment, rubric, notebooks, evaluations, places)
        lost = {item.id for item in items if _is_lost(item, evaluations)}
        unexplained = lost if are_judged_again(lost) else set()
        results = {
            item.id: _make_unexplained_result(item, evaluations, places)
            if item.id in unexplained
            else _make_result(item, evaluations, broken_tests, rubric, absences, places, sole)
            for item in items
        }
        if not unexplained:
            results = Causes(assignment, items, results, evaluations, rubric, notebooks).explain()
    if trainer is not None:
        waiting = {item: evaluations.by_item[item.id] for item in items if item.recipes}
        results |= resolve_trainings(
            waiting, results, mode, trainer, work, progress, trainings, places, assignment.own_loop
        )
    return [explain_symbols(results[item.id], assignment.symbols) for item in items]


def load(assignment: Assignment) -> None:
    """Collect an assignment's tests and run its model solution ahead of time.

    Otherwise `judge` does it for the first submission.

    Raises:
        AssignmentError: the rubric is wrong.
    """
    rubric = load_rubric(assignment)
    with isolate_pytest(), rubric.lend_plugin():
        pass
    load_right_names(rubric)


def _make_training(item: Item, assignment: Assignment, mode: Mode, trainer: Trainer | None, seed: str) -> Training:
    recipe = item.recipes.get(mode)
    secrets = derive_seed(seed, item.id, "probes"), derive_seed(seed, item.id, "judged images")
    if trainer is None:
        return Training(mode, recipe, None, 0, *secrets)
    teraflops, memory = trainer.bound(assignment.limits)
    return Training(mode, recipe, trainer.data_set, teraflops, *secrets, memory)


def _is_lost(item: Item, evaluations: Evaluations) -> bool:
    candidates = evaluations.by_item[item.id]
    if not candidates:
        return True
    best = choose_best(item, candidates).evaluation
    return not (best.passed or best.pending)


def _make_unexplained_result(item: Item, evaluations: Evaluations, places: ItemPlaces) -> ItemResult:
    """Return the result of a lost item that will be judged again: only its points and its verdict count until then."""
    candidates = evaluations.by_item[item.id]
    if not candidates:
        return _fill_result(item, 0, TestOutcome(Verdict.ABSENT, ""), None, places)
    points, _, best = choose_best(item, candidates)
    return _fill_result(item, points, TestOutcome(Verdict.PARTIAL if points else Verdict.FAILED, ""), best, places)


def _make_result(
    item: Item,
    evaluations: Evaluations,
    broken_tests: BrokenTests,
    rubric: Rubric,
    absences: AbsenceReasons,
    places: ItemPlaces,
    sole: SoleDifferences,
) -> ItemResult:
    candidates = evaluations.by_item[item.id]
    if not candidates:
        message = _describe_absence(item, evaluations, absences)
        absent = TestOutcome(Verdict.ABSENT, message, place=absences.locate(item.names[0]))
        return _fill_result(item, 0, absent, None, places)
    if not any(evaluation.earns for evaluation in candidates):
        candidates = [broken_tests.settle(item, evaluation) for evaluation in candidates]
    points, name, best = choose_best(item, candidates)
    if best.passed:
        remarks = [remark for outcome in best.outcomes.values() for remark in outcome.remarks]
        message = "; ".join([_describe_origin(best.state) or "right", *remarks])
        return _fill_result(item, points, TestOutcome(Verdict.PASSED, message), best, places)
    if best.pending:
        return _fill_result(item, 0, best.outcomes[name], best, places)
    unwritten = _explain_unwritten(item, name, best, places)
    if unwritten is None:
        outcome = explain(item, name, best, evaluations, rubric)
    elif NOT_WRITTEN in unwritten.message:
        outcome = unwritten
    else:  # the mistake is known by a name, too
        known = explain(item, name, best, evaluations, rubric)
        outcome = replace(unwritten, misconception=known.misconception)
    if points and outcome.verdict is not Verdict.ABSENT:
        outcome = replace(outcome, verdict=Verdict.PARTIAL)
    if outcome is not unwritten or NOT_WRITTEN not in outcome.message:
        outcome = sole.place(outcome, item, best)
    outcome = _add_causes(outcome, item, best.state, absences)
    return _fill_result(item, points, outcome, best, places)


def _explain_unwritten(item: Item, name: str, best: ItemEvaluation, places: ItemPlaces) -> TestOutcome | None:
    if not item.names:
        return None
    own_name, place = best.state.found_as or item.names[0], places.find_item(item, best.state)
    return explain_unwritten(best.outcomes[name], best.responses[name], own_name, place, places.read_cell)


def _add_causes(outcome: TestOutcome, item: Item, state: CandidateState, absences: AbsenceReasons) -> TestOutcome:
    """Add to a message what it is about, if it goes by another name, and why something is missing."""
    message = outcome.message
    if origin := _describe_origin(state):
        message = f"{origin}: {message}"
    if cause := absences.describe_cause(message):
        message = f"{_GUESS.sub('', message)}; {cause}"
    elif (
        outcome.verdict is Verdict.ABSENT
        and outcome.begun_as
        and (stop := absences.describe_stop_with(outcome.begun_as))
    ):
        return replace(outcome, verdict=Verdict.FAILED, message=f"{message}; {stop}")  # it was tried
    elif outcome.verdict is Verdict.ABSENT and not item.names and (stop := absences.first_stop()):
        message = f"{message} (this may be the reason: {stop})"
    elif item.search and not state.found_as and (missing := _find_own_arguments(message, item.names[0])):
        name = item.names[0]
        message = (
            f"{name} takes arguments that the textbook's does not ({missing}): "
            f"bind a model to a name (net = {name}(...)), and it is judged instead; {message}"
        )
    return replace(outcome, message=message)


def _find_own_arguments(message: str, name: str) -> str:
    """Return the arguments that a call of `name` lacks by Python's own words, "" if it lacks none or is another's."""
    missing = _OWN_ARGUMENTS.search(message)
    return missing[2] if missing and missing[1] == name else ""


def _describe_origin(state: CandidateState) -> str:
    """Return under which name and where something was found, or "" if the name is the item's."""
    if not (state.found_as and state.definition):
        return ""
    expected = f", expected {state.expected}" if state.expected else ""
    return f"found as {state.found_as} in {describe_cell(state.definition.cell)}{expected}"


def _fill_result(
    item: Item, points: float, outcome: TestOutcome, evaluation: ItemEvaluation | None, places: ItemPlaces
) -> ItemResult:
    definition = evaluation.state.definition if evaluation else None
    source = definition.sources.get(item.names[0]) if definition and item.names else None
    place = places.complete(outcome.place, outcome.bound) if outcome.place else None
    if place is None and evaluation:
        place = places.find_item(item, evaluation.state)
    result = ItemResult(
        id=item.id,
        section=item.section,
        title=item.title,
        points=points,
        max_points=item.points,
        verdict=outcome.verdict,
        message=f"{outcome.message} (defined in {source})" if source else outcome.message,
        evidence=outcome.evidence,
        misconception=outcome.misconception,
        tests={name: test.verdict for name, test in evaluation.outcomes.items()} if evaluation else {},
    )
    return result.stand_at(place)


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

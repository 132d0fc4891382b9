"""What one process needs to grade one submission after the other, and how the two stages of a grading are joined."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.assignment import Assignment, compute_revision, find_assignment
from grader.errors import InputError
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.sandbox.host.sandbox import Zygote, ZygoteLine
from grader.submission.executed_notebook import ExecutedNotebook
from grader.submission.submission import Submission

if TYPE_CHECKING:
    from grader.training.trainer import Trainer

__all__ = ["GradingSession", "join_reports"]


class GradingSession:
    """Grades in this process, and keeps warm what the next submission needs as well; use as a context manager.

    It belongs to one thread: the kernel ends a warm process when the thread that started it ends.

    Args:
        data: where Fashion-MNIST must be; None to look for it.
        trainings_at_once: how many processes train on a CPU; 1 where several gradings run on one machine, None for
            one on each core.
        lent: a line to a warm process of the first assignment's packages that others use too; where that ends, this one
            starts its own.
    """

    def __init__(
        self, data: Path | None = None, trainings_at_once: int | None = None, lent: socket.socket | None = None
    ) -> None:
        self._data = data
        self._trainings_at_once = trainings_at_once
        self._assignments: dict[str, Assignment] = {}
        self._lent = ZygoteLine(lent) if lent else None
        self._zygotes: dict[tuple[str, ...], ZygoteLine] = {}
        self._trainer: Trainer | None = None

    def __enter__(self) -> GradingSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the warm processes and those that train."""
        for packages in list(self._zygotes):
            self._zygotes.pop(packages).close()
        self._close_trainer()

    def assignment(self, name: str) -> Assignment:
        """Return an assignment as its folder has it now, by its name or the path of its folder.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
        """
        found = self._assignments.get(name)
        if found is None or _changed(found):
            found = self._assignments[name] = find_assignment(name)
        return found

    def revision(self, assignment_name: str) -> str:
        """Return the revision of an assignment's rubric as its folder has it now.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
        """
        return self.assignment(assignment_name).revision

    def longest_silence(self, assignment_name: str, mode: Mode, notebooks: int) -> float:
        """Return for how many seconds `grade` may tell its `progress` nothing; after twice the time, it hangs.

        Args:
            assignment_name: an assignment's name, or the path of its folder.
            mode: what is done with trainings.
            notebooks: how many the submission has.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
        """
        from grader.grading.grade import adapt_limits

        assignment = self.assignment(assignment_name)
        limits = adapt_limits(mode, assignment.limits, notebooks)
        judging = limits.judge_seconds + len(assignment.trained) * limits.training_seconds
        if mode is Mode.NONE or not assignment.trained:
            return max(limits.submission_seconds, judging)

        from grader.training.trainer import SECONDS_UNTIL_GIVEN_UP

        return max(limits.submission_seconds, judging, SECONDS_UNTIL_GIVEN_UP)

    def load(self, assignment_names: Iterable[str]) -> None:
        """Load all that grading these assignments takes and no submission changes; forks of this process have it too.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
        """
        assignments = [self.assignment(name) for name in assignment_names]
        # What is loaded stays: to look for garbage in it takes a fifth of the time, and again in each submission.
        gc.disable()
        try:
            from grader.grading.grade import load  # not with this module: it imports torch

            for assignment in assignments:
                load(assignment)
        finally:
            gc.freeze()
            gc.enable()

    def warm_up(self, assignment_names: Sequence[str]) -> None:
        """Do all that grading these assignments takes before the first submission, so that it does not wait for it.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
            SandboxFault: a warm process did not start.
        """
        # First, because a warm process imports torch while this one does.
        zygotes = [self._zygote(self.assignment(name).packages) for name in assignment_names]
        self.load(assignment_names)
        for zygote in zygotes:
            zygote.missing  # noqa: B018 - waits until it has imported its packages

    def grade(
        self,
        submission: Submission,
        assignment_name: str,
        mode: Mode = Mode.NONE,
        only: Collection[str] | None = None,
        progress: Callable[[str], None] = lambda _: None,
        executed: Callable[[Sequence[ExecutedNotebook]], None] | None = None,
    ) -> Report:
        """Grade a submission; after a fault of ours the next one is given new processes.

        Args:
            submission: what the student handed in.
            assignment_name: an assignment's name, or the path of its folder.
            mode: what is done with trainings.
            only: ids of the items that are judged; None for all.
            progress: told in a few words what is being done.
            executed: handed the notebooks as they ran; None where nobody wants them.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
            InputError: the data set is not in the folder that was named.
            SystemFault: we or the machine broke; the submission may be graded again.
        """
        assignment = self.assignment(assignment_name)
        zygote = self._zygote(assignment.packages, progress)
        from grader.grading.grade import grade

        try:
            trainer = self._trainer_for(mode)
            return grade(
                submission,
                assignment,
                zygote,
                mode=mode,
                trainer=trainer,
                only=only,
                progress=progress,
                executed=executed,
            )
        except InputError:
            raise
        except BaseException:
            # Whatever it was, a process that was in the midst of something is not asked for the next thing.
            self._zygotes.pop(assignment.packages).close()
            self._close_trainer()
            raise

    def _zygote(self, packages: tuple[str, ...], progress: Callable[[str], None] = lambda _: None) -> ZygoteLine:
        """Return the warm process of these packages, a new one where there is none or it died."""
        zygote = self._zygotes.get(packages)
        if zygote is not None and zygote.ended:
            self._zygotes.pop(packages).close()
            zygote = None
        if zygote is None:
            progress("starting the sandbox")
            zygote = self._zygotes[packages] = self._lent or Zygote(packages)
            self._lent = None
        return zygote

    def _trainer_for(self, mode: Mode) -> Trainer | None:
        """Return what trains; a data set that is missing is looked for again the next time."""
        if mode is Mode.NONE:
            return None
        if self._trainer is None:
            from grader.training.datasets import find_data_set
            from grader.training.trainer import Trainer

            data_set = find_data_set(folder=self._data)
            if data_set is not None:
                self._trainer = Trainer(data_set, self._data, at_once=self._trainings_at_once)
        return self._trainer

    def _close_trainer(self) -> None:
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None


def join_reports(part: Report, trainings: Report) -> Report:
    """Return the report of a grading whose trainings were judged by themselves.

    Items that were judged among the trainings stand in the place they have in the rubric. All else is from the run that
    trained, because there the notebook ran as it is written; the time is that of both runs, and a limit counts that
    either hit.

    Args:
        part: what all items came to while nothing was trained.
        trainings: what the items that are earned by training came to.
    """
    trained = {item.id: item for item in trainings.items}
    return replace(
        trainings,
        items=tuple(trained.get(item.id, item) for item in part.items),
        limits_hit=tuple(dict.fromkeys((*part.limits_hit, *trainings.limits_hit))),
        timing={**trainings.timing, **_sums(part.timing, trainings.timing)},
    )


def _sums(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, float]:
    names = ("cells_seconds", "total_seconds")
    return {name: round(first.get(name, 0.0) + second.get(name, 0.0), 4) for name in names}


def _changed(assignment: Assignment) -> bool:
    try:
        return compute_revision(assignment.folder, assignment.reference) != assignment.revision
    except OSError:  # it is being replaced, or gone: finding it again says so in words
        return True

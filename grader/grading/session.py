"""Everything one process needs to grade one submission after the other, and joining the reports of two stages."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.assignment import Assignment, find_assignment
from grader.errors import InputError, RubricFault
from grader.gpu.access import find_library_folders
from grader.gpu.device import GPU
from grader.grading.guarded_gpu import GuardedGPU
from grader.installation_key import InstallationKey, load_installation_key
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.revision import compute_revision
from grader.sandbox.host.required_layers import accept_any_layers, require_layers
from grader.sandbox.host.sandbox import Zygote, ZygoteLine
from grader.submission.executed_notebook import ExecutedNotebook
from grader.submission.submission import Submission

if TYPE_CHECKING:
    from grader.training.trainer import Trainer

__all__ = ["GradingSession", "join_reports"]


class GradingSession:
    """Grade in this process and keep warm what the next submission needs, too; use as a context manager.

    A session belongs to one thread, because Linux ends a warm process when the thread that started it ends.

    Args:
        data: the folder with Fashion-MNIST; None to look for it.
        trainings_at_once: the number of processes that train on a CPU: 1 if several jobs run on one machine, None for
            one on each core.
        lent: a line to a warm process with the first assignment's packages that other sessions also use. If it ends,
            this session starts its own.
        find_key: returns the key that seeds are derived from; called for each submission, because keys are replaced.
        unsafe: whether to grade without layers of the sandbox that strangers' work needs (docs/sandbox.md).
        gpu: the GPU that this session has for itself; None for none.
        lends_gpu: whether cells may use it if the assignment says so; if not, trainings of ours alone do.
    """

    def __init__(
        self,
        data: Path | None = None,
        trainings_at_once: int | None = None,
        lent: socket.socket | None = None,
        find_key: Callable[[], InstallationKey] = load_installation_key,
        *,
        unsafe: bool = False,
        gpu: GPU | None = None,
        lends_gpu: bool = True,
    ) -> None:
        self._data = data
        self._find_key = find_key
        self._accept_layers = accept_any_layers if unsafe else require_layers
        self._trainings_at_once = trainings_at_once
        self._assignments: dict[str, Assignment] = {}
        self._lent = ZygoteLine(lent) if lent else None
        self._zygotes: dict[tuple[str, ...], ZygoteLine] = {}
        self._trainer: Trainer | None = None
        self._has_graded = False
        self._gpu = GuardedGPU(gpu) if gpu else None
        self._lent_gpu = gpu if lends_gpu else None

    def __enter__(self) -> GradingSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the warm processes, the trainer, and the process that computes graphs."""
        for packages in list(self._zygotes):
            self._zygotes.pop(packages).close()
        self._close_trainer()
        if self._has_graded:
            from grader.training.probing import stop_prober

            stop_prober()

    def find_assignment(self, name: str) -> Assignment:
        """Return an assignment in its current state, by its name or the path of its folder.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
        """
        assignment = self._assignments.get(name)
        if assignment is None or _has_changed(assignment):
            assignment = self._assignments[name] = find_assignment(name)
        return assignment

    def find_revision(self, assignment_name: str) -> str:
        """Return the current revision of an assignment's rubric.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
        """
        return self.find_assignment(assignment_name).revision

    def compute_longest_silence(self, assignment_name: str, mode: Mode, notebooks: int) -> float:
        """Return the longest time in seconds between two calls of `progress` by `grade`. After twice as long, it hangs.

        Args:
            assignment_name: an assignment's name, or the path of its folder.
            mode: how trainings run.
            notebooks: the number of notebooks in the submission.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
        """
        from grader.grading.grade import adapt_limits

        assignment = self.find_assignment(assignment_name)
        limits = adapt_limits(mode, assignment.limits, notebooks)
        judging = limits.judge_seconds + limits.search_seconds + len(assignment.trained) * limits.training_seconds
        if mode is Mode.NONE or not assignment.trained:
            return max(limits.submission_seconds, judging)

        from grader.training.trainer import SECONDS_UNTIL_GIVEN_UP

        return max(limits.submission_seconds, judging, SECONDS_UNTIL_GIVEN_UP)

    def load(self, assignment_names: Iterable[str]) -> None:
        """Load everything for grading these assignments that no submission changes. Forks of this process inherit it.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
        """
        assignments = [self.find_assignment(name) for name in assignment_names]
        # Loaded modules are never freed. To scan them for garbage would take a fifth of this time, and the same again
        # in every submission.
        gc.disable()
        try:
            from grader.grading.grade import load  # imported here because it imports torch

            for assignment in assignments:
                load(assignment)
        finally:
            gc.freeze()
            gc.enable()

    def warm_up(self, assignment_names: Sequence[str]) -> None:
        """Prepare for grading these assignments, so that the first submission does not have to wait.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
            SandboxFault: a warm process did not start.
        """
        # Start these first, so that they import torch at the same time as this process.
        zygotes = [self._get_zygote(self.find_assignment(name).packages) for name in assignment_names]
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
        """Grade a submission. After a fault of the grader, the next submission gets new processes.

        Args:
            submission: the student's notebooks.
            assignment_name: an assignment's name, or the path of its folder.
            mode: how trainings run.
            only: ids of the items to judge; None for all.
            progress: called with a few words on each step.
            executed: called with the notebooks and their outputs; None if they are not needed.

        Raises:
            AssignmentError: there is no such assignment, or its rubric contradicts itself.
            InputError: the data set is not in the given folder, the key cannot be used, or a required layer of the
                sandbox does not hold.
            RubricFault: a test of the rubric broke over this submission.
            SystemFault: the grader or the machine broke; the submission may be graded again.
        """
        assignment = self.find_assignment(assignment_name)
        key = self._find_key()
        zygote = self._get_zygote(assignment.packages, progress)
        from grader.grading.grade import grade

        self._has_graded = True
        self.require_gpu_back()
        try:
            if self._gpu is not None:
                self._gpu.begin_submission()
            trainer = self._get_trainer(mode)
            report = grade(
                submission,
                assignment,
                zygote,
                key=key,
                mode=mode,
                trainer=trainer,
                gpu=self._lent_gpu,
                only=only,
                accept_layers=self._accept_layers,
                progress=progress,
                executed=executed,
            )
            if self._gpu is not None:
                self._gpu.check_health()  # what ran on a GPU that failed proves nothing
            return report
        except (InputError, RubricFault):
            raise
        except BaseException:
            # Do not reuse processes that were interrupted, whatever the reason.
            self._zygotes.pop(assignment.packages).close()
            self._close_trainer()
            raise

    def require_gpu_back(self) -> None:
        """Wait until the memory of the GPU that the last submission took is free again. Without a GPU, do nothing.

        `grade` does this before it begins. Call it after the report is stored, to learn of a fault before the next
        submission is taken.

        Raises:
            DeviceFault: the memory did not come back, or the GPU does not answer.
        """
        if self._gpu is not None:
            if self._trainer is not None:
                self._trainer.release()
            self._gpu.require_memory_back()

    def _get_zygote(self, packages: tuple[str, ...], progress: Callable[[str], None] = lambda _: None) -> ZygoteLine:
        """Return the warm process of these packages, and start a new one if there is none or it has ended."""
        zygote = self._zygotes.get(packages)
        if zygote is not None and zygote.ended:
            self._zygotes.pop(packages).close()
            zygote = None
        if zygote is None:
            progress("starting the sandbox")
            zygote = self._zygotes[packages] = self._lent or Zygote(
                packages, library_folders=find_library_folders([self._lent_gpu] if self._lent_gpu else ())
            )
            self._lent = None
        return zygote

    def _get_trainer(self, mode: Mode) -> Trainer | None:
        """Return the trainer, or None. A missing data set is looked for again the next time."""
        if mode is Mode.NONE:
            return None
        gpu = self._gpu.gpu if self._gpu and mode is Mode.FULL else None  # quick recipes are for a CPU
        if self._trainer is not None and self._trainer.gpu != gpu:
            self._close_trainer()
        if self._trainer is None:
            from grader.training.datasets import find_data_set
            from grader.training.trainer import Trainer

            data_set = find_data_set(folder=self._data)
            if data_set is not None:
                at_once = None if gpu else self._trainings_at_once
                self._trainer = Trainer(data_set, self._data, at_once=at_once, gpu=gpu)
        return self._trainer

    def _close_trainer(self) -> None:
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None


def join_reports(part: Report, trainings: Report) -> Report:
    """Join the reports of the two stages of a job whose trainings were judged separately.

    The items keep the rubric's order. Everything else is from the second stage, because the notebook ran there as it is
    written. The times are summed, and the limits are those that either stage hit.

    Args:
        part: the report on all items, without trainings.
        trainings: the report on the items that are earned by training.
    """
    trained = {item.id: item for item in trainings.items}
    return replace(
        trainings,
        items=tuple(trained.get(item.id, item) for item in part.items),
        limits_hit=tuple(dict.fromkeys((*part.limits_hit, *trainings.limits_hit))),
        timing={**trainings.timing, **_add_times(part.timing, trainings.timing)},
    )


def _add_times(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, float]:
    names = ("cells_seconds", "total_seconds")
    return {name: round(first.get(name, 0.0) + second.get(name, 0.0), 4) for name in names}


def _has_changed(assignment: Assignment) -> bool:
    try:
        return compute_revision(assignment.folder, assignment.reference) != assignment.revision
    except OSError:  # it is missing or being replaced; finding it again raises an error that says so
        return True

"""The messages between `grader batch` and the processes that grade for it (`grading_process.py` and `child.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from grader.gpu.device import GPU
from grader.installation_key import InstallationKey
from grader.models.recipe import Mode
from grader.results.notice import Notice

__all__ = [
    "GRADE_ANSWERS",
    "LOADED_REQUESTS",
    "MAX_FRAME_BYTES",
    "STARTS",
    "BatchSettings",
    "ChildReady",
    "CommandError",
    "ExitCode",
    "ExitCodeRequest",
    "FinishedReport",
    "ForkRequest",
    "Forked",
    "GradeAnswer",
    "GradeOutcome",
    "GradeRequest",
    "GradingFault",
    "GradingStep",
    "LoadedRequest",
    "LongestSilence",
    "Start",
    "SubmittedFile",
]

MAX_FRAME_BYTES = 2**32 - 1  # as much as a frame can hold: both processes are ours


@dataclass(frozen=True)
class BatchSettings:
    """What all submissions of a batch have in common; the first message to a loaded process.

    Attributes:
        assignment: the assignment's folder.
        mode: what is done with trainings.
        data: the folder that Fashion-MNIST must be in; None to look for it.
        trainings_at_once: how many processes train at once; None for one on each core.
        unsafe: whether to grade without layers of the sandbox that strangers' work needs.
        reads_graphs: whether a submission of the batch has models that can be trained.
        key: the installation's key. No warm process gets this message.
    """

    assignment: Path
    mode: Mode
    data: Path | None
    trainings_at_once: int | None
    unsafe: bool
    reads_graphs: bool
    key: InstallationKey


@dataclass(frozen=True)
class ForkRequest:
    """Fork a process that grades. Comes with file descriptors: its log, its line, and maybe a line to a zygote.

    `gpu` is the GPU that the process has for itself.
    """

    gpu: GPU | None = None


@dataclass(frozen=True)
class ExitCodeRequest:
    """Wait for a fork that has ended, and tell its exit code."""

    pid: int


@dataclass(frozen=True)
class ChildReady:
    """The process has loaded everything, or takes submissions."""


@dataclass(frozen=True)
class CommandError:
    """The command was wrong: the assignment, or the folder of the data set."""

    message: str


@dataclass(frozen=True)
class Forked:
    """The fork that was requested."""

    pid: int


@dataclass(frozen=True)
class ExitCode:
    """How a fork ended: its exit code, or the negative number of the signal that ended it."""

    code: int


@dataclass(frozen=True)
class SubmittedFile:
    """One file of a submission."""

    name: str
    content: bytes


@dataclass(frozen=True)
class GradeRequest:
    """Grade one submission."""

    files: tuple[SubmittedFile, ...]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class LongestSilence:
    """From now on, a process that sends nothing for this many `seconds` hangs."""

    seconds: float


@dataclass(frozen=True)
class GradingStep:
    """What the process is doing, in a few words."""

    text: str


@dataclass(frozen=True)
class FinishedReport:
    """The submission was graded; `report` is the report as JSON, and `sources` are its cells, packed."""

    report: str
    sources: str = "{}"


@dataclass(frozen=True)
class GradingFault:
    """The grader or the machine failed.

    `lasts` tells whether it would fail in the same way if the submission were graded again.
    """

    message: str
    lasts: bool = False


# What each end of a line expects. The types are for mypy, the tuples for `unpack_message`.
Start: TypeAlias = ChildReady | CommandError
STARTS: tuple[type[Start], ...] = (ChildReady, CommandError)
LoadedRequest: TypeAlias = ForkRequest | ExitCodeRequest
LOADED_REQUESTS: tuple[type[LoadedRequest], ...] = (ForkRequest, ExitCodeRequest)
GradeOutcome: TypeAlias = FinishedReport | CommandError | GradingFault
GradeAnswer: TypeAlias = LongestSilence | GradingStep | GradeOutcome
GRADE_ANSWERS: tuple[type[GradeAnswer], ...] = (
    *(LongestSilence, GradingStep),
    *(FinishedReport, CommandError, GradingFault),
)

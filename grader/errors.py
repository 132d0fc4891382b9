"""Errors of the grader, the machine or the caller, never of the student.

What a student's code does becomes a verdict (see `grader/results/report.py`), so no exception here describes it.

    GraderError
    ├── InputError              the input or the command is wrong: exit code 2
    │   ├── SubmissionError     a file that is no notebook, or exceeds its limits
    │   └── AssignmentError     a rubric that contradicts itself
    └── SystemFault             the grader or the machine failed: exit code 3, the submission may be graded again
        ├── SandboxFault        the sandbox did not start, or failed
        ├── DeviceFault         the GPU failed or vanished: another one can grade the submission
        └── LastingFault        it would fail in the same way again: the submission is not graded again by itself
            ├── MemoryFault     one submission took more memory of our own process than it may
            └── RubricFault     a rubric's test broke over one submission
"""

__all__ = [
    "AssignmentError",
    "DeviceFault",
    "GraderError",
    "InputError",
    "LastingFault",
    "MemoryFault",
    "RubricFault",
    "SandboxFault",
    "SubmissionError",
    "SystemFault",
]


class GraderError(Exception):
    """Any error that prevents a report."""


class InputError(GraderError):
    """The input or the command is wrong. The message says what to do next."""


class SubmissionError(InputError):
    """A submitted file cannot be read as a notebook."""


class AssignmentError(InputError):
    """An assignment's rubric is incomplete or contradicts itself."""


class SystemFault(GraderError):
    """The grader or the machine failed. No verdict may be drawn from it."""


class SandboxFault(SystemFault):
    """The sandbox did not start, or failed."""


class DeviceFault(SystemFault):
    """The GPU failed or vanished, or its memory did not come back. Nothing else may run on it before it is checked."""


class LastingFault(SystemFault):
    """A fault over one submission that would come again. The others can be graded."""


class MemoryFault(LastingFault):
    """One submission took more memory of the process that judges than it may. The process should be replaced."""


class RubricFault(LastingFault):
    """A rubric's test broke over one submission, which needs a mended test."""

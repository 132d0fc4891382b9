"""Faults that are ours, the machine's or the caller's; never the student's.

What a student's code does is a value (a verdict, see `report.py`), so nothing here describes it.

    GraderError
    ├── InputError              the input or the command is wrong: exit code 2
    │   ├── SubmissionError     a file that is no notebook, or is past its bounds
    │   └── AssignmentError     a rubric that contradicts itself
    └── SystemFault             we or the machine broke: exit code 3, the submission may be tried again
        └── SandboxFault        the sandbox could not be started, or broke from our side
"""

__all__ = ["AssignmentError", "GraderError", "InputError", "SandboxFault", "SubmissionError", "SystemFault"]


class GraderError(Exception):
    """Anything that keeps the grader from giving a report."""


class InputError(GraderError):
    """The input or the command is wrong; the message says what to do next."""


class SubmissionError(InputError):
    """A submitted file cannot be read as a notebook."""


class AssignmentError(InputError):
    """An assignment's rubric is incomplete or contradicts itself."""


class SystemFault(GraderError):
    """We or the machine broke; no verdict may be drawn from it."""


class SandboxFault(SystemFault):
    """The sandbox could not be started, or broke from our side."""

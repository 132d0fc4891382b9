"""What a student's code did instead of returning a result, and where."""

from __future__ import annotations

from enum import StrEnum

from grader.place import Place, describe_cell

__all__ = ["Fault", "StudentFault"]

_LONGEST_QUOTE = 120  # characters of a library's own words


class Fault(StrEnum):
    """What a student's code did instead of returning a result."""

    RAISED = "raised"  # an exception
    TIMED_OUT = "timed out"  # ran out of time
    CRASHED = "crashed"  # its process ended
    OUT_OF_MEMORY = "out of memory"  # requested more memory than its limit
    MALFORMED = "malformed"  # returned something that is not plain data
    CHANGED_ARGUMENT = "changed argument"  # modified an argument
    MISSING = "missing"  # the name is not defined in this state


class StudentFault(Exception):
    """A student's code returned no result. The engine turns the fault into a verdict.

    The message is the same wherever the fault happens, so that faults can be compared. `describe` adds the rest.

    Attributes:
        fault: what it did.
        message: the exception's class and text ("raises NameError: name 'k' is not defined"), or another sentence.
        raised: the name of the exception's class, or "" if no exception was raised.
        place: the last line of the student's own code that was running, or None.
        words: what the exception's text means there, or "".
        advice: what may be meant, or what to do about it ("did you mean K?"), or "".
    """

    def __init__(
        self,
        fault: Fault,
        message: str,
        raised: str = "",
        *,
        place: Place | None = None,
        words: str = "",
        advice: str = "",
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message
        self.raised = raised
        self.place = place
        self.words = words
        self.advice = advice

    def describe(self) -> str:
        """Return the message with the place and what it means, as far as they are known."""
        if self.fault is Fault.TIMED_OUT and self.place is not None:
            code = f", `{self.place.code}`" if self.place.code else ""
            function = f" of {self.place.function}" if self.place.function else ""
            where = f"{describe_cell(self.place.cell)}{code}"
            return f"{self.message}: line {self.place.line}{function} was running ({where})"
        if self.fault is Fault.OUT_OF_MEMORY:
            return f"{self.message}{self._describe_place()}"
        if self.fault is not Fault.RAISED or not self.raised:
            return self.message
        text = self.message.removeprefix(f"raises {self.raised}").removeprefix(": ")
        told = "; ".join(filter(None, (self.words or text, self.advice)))
        quoted = f" (in its own words: {_clip(text)})" if self.words and text else ""
        return f"raises {self.raised}{self._describe_place()}{f': {told}' if told else ''}{quoted}"

    def _describe_place(self) -> str:
        if self.place is None:
            return ""
        function = f"{self.place.function}, " if self.place.function else ""
        code = f" (`{self.place.code}`)" if self.place.code else ""
        return f" in {function}{describe_cell(self.place.cell)}, line {self.place.line}{code}"


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[: _LONGEST_QUOTE - 1]}…"
